"""What all image-to-video pipelines share: the adapter, the encoded first frame, the result."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from diffusers.image_processor import VaeImageProcessor
from diffusers.pipelines.animatediff.pipeline_output import AnimateDiffPipelineOutput
from torch import Tensor

from i2v_adapter.adapter import I2VAdapter
from i2v_adapter.pipelines.color import match_chroma
from i2v_adapter.pipelines.denoising import DenoisingMixin
from i2v_adapter.pipelines.inputs import PipelineImage, image_list
from i2v_adapter.prior import FrameSimilarityPrior, Generators
from i2v_adapter.unet_layers import name_repeated_blocks

DEFAULT_PRIOR = FrameSimilarityPrior()


class FirstFrameMixin(DenoisingMixin):
    """For a diffusers AnimateDiff pipeline: holds the adapter, encodes the first frame, decodes the
    result.

    The adapter is attached to the UNet during calls only, so other pipelines may share the UNet.
    """

    _exclude_from_cpu_offload: ClassVar[list[str]] = ["i2v_adapter"]
    _vae_overflows_in_float16: ClassVar[bool] = False

    def _add_i2v_adapter(self, i2v_adapter: I2VAdapter | None) -> None:
        if not isinstance(i2v_adapter, (I2VAdapter, type(None))):
            raise ValueError(
                f"i2v_adapter must be an I2VAdapter, but is {type(i2v_adapter).__name__}"
            )
        self.register_modules(i2v_adapter=i2v_adapter)
        name_repeated_blocks(self.unet)
        self.image_processor = VaeImageProcessor(
            vae_scale_factor=self.vae_scale_factor,
            vae_latent_channels=self.vae.config.latent_channels,
        )

    def load_i2v_adapter(
        self, source: str | os.PathLike[str], weight_name: str | None = None, **options: Any
    ) -> None:
        """Load an adapter for this UNet, in its dtype and on its device, in place of the one at
        hand.

        Args:
            source: hub id, folder or file, of this project's format or a released one.
            weight_name: file of a released checkpoint in that repository or folder.
            **options: see :meth:`I2VAdapter.from_pretrained`.

        Raises:
            ValueError: the checkpoint does not fit the UNet; the message names the tensors or
                the layer.
        """
        options = {"torch_dtype": self.unet.dtype, **options}
        adapter = I2VAdapter.from_pretrained(
            source, weight_name=weight_name, unet=self.unet, **options
        )
        adapter.to(self.unet.device)
        with adapter.attached(self.unet):  # Raises where it does not fit.
            pass
        self.register_modules(i2v_adapter=adapter)

    def enable_fp8_storage(self, adapter: bool = True) -> None:
        """Keep the UNet's weights, and the adapter's, in 8 bits (float8_e4m3fn), each cast to the
        dtype it computes in for the moment it is used; norms stay as they are.

        Half the memory of float16. It rounds the weights, so it changes the video, and there is no
        way back but to load the models again.

        Args:
            adapter: False leaves the adapter's weights as they are.

        Examples:
            >>> from i2v_adapter import I2VAdapterPipeline
            >>> from i2v_adapter.tiny import tiny_components
            >>> pipe = I2VAdapterPipeline(**tiny_components())
            >>> pipe.enable_fp8_storage()
            >>> pipe.unet.conv_in.weight.dtype, pipe.unet.dtype  # stored, computed in
            (torch.float8_e4m3fn, torch.float32)
        """
        for model in (self.unet, self.i2v_adapter if adapter else None):
            if model is not None:
                model.enable_layerwise_casting(torch.float8_e4m3fn, compute_dtype=self.unet.dtype)

    def _require_adapter(self) -> None:
        """Raises ValueError if the pipeline has no adapter."""
        if self.i2v_adapter is None:
            raise ValueError(
                "the pipeline has no adapter: call load_i2v_adapter() or pass i2v_adapter= to it"
            )

    def _first_frames(
        self,
        image: PipelineImage | list[PipelineImage] | None,
        image_latents: Tensor | None,
        num_frames: int,
        height: int | None,
        width: int | None,
    ) -> tuple[list[Any], int, int]:
        """What the videos start from (images, else the latents given), and the size of the videos
        in pixels.
        """
        self._require_adapter()
        if image is None and image_latents is None:
            raise ValueError("image is missing: pass the first frame of the video as image=")
        max_frames = self.unet.config.motion_max_seq_length
        if self._free_noise:
            shortest = self._free_noise_context_length
            if num_frames < shortest:
                raise ValueError(
                    f"num_frames must be at least FreeNoise's window of {shortest}, but is "
                    f"{num_frames}"
                )
        elif not 2 <= num_frames <= max_frames:
            raise ValueError(
                f"num_frames must lie in 2..{max_frames} for this motion UNet, but is {num_frames}"
            )
        if image_latents is None:
            images = image_list(image)  # type: ignore[arg-type]
            height, width = self.image_processor.get_default_height_width(images[0], height, width)
            return images, height, width
        channels = self.unet.config.in_channels
        if image_latents.ndim != 4 or image_latents.shape[1] != channels:
            raise ValueError(
                f"image_latents must have shape (B, {channels}, h, w), but have "
                f"{tuple(image_latents.shape)}"
            )
        size = tuple(side * self.vae_scale_factor for side in image_latents.shape[-2:])
        if (height or size[0], width or size[1]) != size:
            raise ValueError(
                f"image_latents are those of {size[0]}x{size[1]} pixels, not of {height}x{width}"
            )
        images = list(image_latents) if image is None else image_list(image)
        if len(images) != len(image_latents):
            raise ValueError(
                f"{len(images)} images and {len(image_latents)} image_latents were given"
            )
        return images, *size

    def _start(
        self,
        batch: int,
        generator: Generators,
        *,
        guidance_scale: float,
        clip_skip: int | None,
        cross_attention_kwargs: dict[str, Any] | None,
    ) -> torch.device:
        """Checks the generators of `batch` videos, and sets what diffusers' methods read from the
        pipeline during a call. Returns the device that the call runs on.
        """
        if isinstance(generator, list) and len(generator) != batch:
            raise ValueError(
                f"{len(generator)} generators were given for {batch} videos: give one, or one for "
                "each"
            )
        self._guidance_scale = guidance_scale
        self._clip_skip = clip_skip
        self._cross_attention_kwargs = cross_attention_kwargs
        self._interrupt = False
        return self._execution_device

    def _encode_first_frame(
        self,
        images: list[PipelineImage],
        image_latents: Tensor | None,
        height: int,
        width: int,
        generator: Generators,
        device: torch.device,
    ) -> Tensor:
        """(B, C, 1, h, w): a sample of the posterior times the scaling factor, or the latents
        given.
        """
        if image_latents is not None:
            return image_latents.to(device).expand(len(images), -1, -1, -1)[:, :, None]
        pixels = self.image_processor.preprocess(images, height=height, width=width)
        with self._safe_vae():
            posterior = self.vae.encode(pixels.to(device, self.vae.dtype)).latent_dist
        return (posterior.sample(generator) * self.vae.config.scaling_factor)[:, :, None]

    def _finish(
        self,
        latents: Tensor,
        output_type: str,
        return_dict: bool,
        decode_chunk_size: int,
        match_colors: bool,
    ) -> AnimateDiffPipelineOutput | tuple[Any]:
        """The result of a call, from its latents (B, C, F, h, w)."""
        if output_type == "latent":
            video: Any = latents
        else:
            with self._safe_vae():
                decoded = self.decode_latents(latents.to(self.vae.dtype), decode_chunk_size)
            video = self.video_processor.postprocess_video(
                video=match_chroma(decoded) if match_colors else decoded, output_type=output_type
            )
        self.maybe_free_model_hooks()
        return AnimateDiffPipelineOutput(frames=video) if return_dict else (video,)

    @contextmanager
    def _safe_vae(self) -> Iterator[None]:
        """SDXL's VAE overflows in float16: in float32 within the block."""
        upcast = (
            self._vae_overflows_in_float16
            and self.vae.dtype == torch.float16
            and self.vae.config.force_upcast
        )
        if upcast:
            self.vae.to(torch.float32)
        try:
            yield
        finally:
            if upcast:
                self.vae.to(torch.float16)
