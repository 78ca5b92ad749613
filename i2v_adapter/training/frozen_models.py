"""The frozen models of a training run, and what they make of clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import AnimateDiffPipeline, DDIMScheduler, MotionAdapter
from diffusers.models.embeddings import ImageProjection
from PIL import Image

from i2v_adapter.adapter import I2VAdapter
from i2v_adapter.pipelines import I2VAdapterPipeline
from i2v_adapter.training.config import TrainingConfig, TrainingError
from i2v_adapter.training.dataset import TrainingClip
from i2v_adapter.training.loop import Batch


def load_pipeline(config: TrainingConfig, dtype: torch.dtype) -> I2VAdapterPipeline:
    """The configured models as a pipeline: frozen ones in `dtype`, the adapter to train in float32.

    Raises:
        TrainingError: naming the key and the model that cannot be loaded.
    """
    parts: dict[str, Any] = {}
    if config.motion_adapter is not None:
        with _named("motion_adapter", config.motion_adapter):
            parts["motion_adapter"] = MotionAdapter.from_pretrained(
                config.motion_adapter, dtype=dtype
            )
    with _named("base", config.base):
        base = AnimateDiffPipeline.from_pretrained(config.base, dtype=dtype, **parts)
    if config.content_adapter is not None:
        with _named("content_adapter", config.content_adapter.path):
            base.load_ip_adapter(
                config.content_adapter.path,
                subfolder=config.content_adapter.subfolder,
                weight_name=config.content_adapter.weight_name,
                image_encoder_folder=config.content_adapter.image_encoder_folder,
            )
    longest = base.unet.config.motion_max_seq_length
    if config.data.frames > longest:
        raise TrainingError(
            f"data.frames: {config.data.frames} is more than the motion modules' {longest} frames"
        )
    if config.adapter is None:
        adapter = I2VAdapter.from_unet(base.unet)
    else:
        with _named("adapter", config.adapter):
            adapter = I2VAdapter.from_pretrained(config.adapter)
            with adapter.attached(base.unet):  # says which layer does not fit
                pass
    changes = {} if config.beta_schedule is None else {"beta_schedule": config.beta_schedule}
    scheduler = DDIMScheduler.from_config(base.scheduler.config, clip_sample=False, **changes)
    pipeline = I2VAdapterPipeline(
        **{**base.components, "scheduler": scheduler, "i2v_adapter": adapter.float()}
    )
    for name, part in pipeline.components.items():
        if isinstance(part, torch.nn.Module) and name != "i2v_adapter":
            part.requires_grad_(False).eval()
    pipeline.vae.enable_slicing()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@contextmanager
def _named(key: str, value: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"{key}: {value!r} cannot be used ({' '.join(str(error).split())})"
        ) from error


def encoder(pipeline: I2VAdapterPipeline) -> Callable[[Sequence[TrainingClip]], Batch]:
    """Function from clips to a batch of :func:`~i2v_adapter.training.train`, on the pipeline's
    device.

    Latents are samples of the VAE's posterior, drawn from each clip's own seed, in float32. Where
    the content adapter's image is dropped it is given the features of an image of zeros, as for
    guidance in the pipeline.
    """
    device = pipeline.vae.device

    @torch.no_grad()
    def encode(clips: Sequence[TrainingClip]) -> Batch:
        latents = []
        for clip in clips:
            pixels = (
                torch.from_numpy(clip.frames).to(device).permute(0, 3, 1, 2).to(pipeline.vae.dtype)
                / 127.5
                - 1
            )
            posterior = pipeline.vae.encode(pixels).latent_dist
            drawn = (
                posterior.sample(torch.Generator().manual_seed(clip.seed))
                * pipeline.vae.config.scaling_factor
            )
            latents.append(drawn.transpose(0, 1).float())
        text, _ = pipeline.encode_prompt([clip.text for clip in clips], device, 1, False)
        batch = {"latents": torch.stack(latents), "encoder_hidden_states": text}
        if pipeline.unet.encoder_hid_proj is not None:
            images = [Image.fromarray(clip.frames[0]) for clip in clips]
            features, without = pipeline.encode_image(
                images, device, 1, _takes_hidden_states(pipeline)
            )
            dropped = torch.tensor([clip.image_dropped for clip in clips], device=device)
            features = torch.where(dropped.view(-1, *[1] * (features.ndim - 1)), without, features)
            batch["added_cond_kwargs"] = {"image_embeds": [features[:, None]]}
        return batch

    return encode


def _takes_hidden_states(pipeline: I2VAdapterPipeline) -> bool:
    return not isinstance(
        pipeline.unet.encoder_hid_proj.image_projection_layers[0], ImageProjection
    )
