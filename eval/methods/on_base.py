"""The paper's families on the user's base: the glyph world's methods with other weights."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import BaseModel

from eval import __version__
from eval import device as devices
from eval.clips.lossless import Clip, rounded_clip
from eval.methods import FirstFrame
from eval.methods.base import Base
from eval.methods.base_call import check_call
from eval.methods.base_identity import contents
from eval.methods.base_parts import (
    Recipe,
    control_scales,
    lora_name,
    lora_scales,
)
from eval.methods.base_pipelines import pipeline
from eval.methods.base_sampling import (
    AdapterSampling,
    ContentSampling,
    FullSampling,
    PriorSampling,
    Sampling,
)
from eval.methods.conditioning import conditioning_frames
from eval.methods.loaders import check_placement
from eval.methods.model_files import version
from eval.samples import Sample


class OnBase:
    """A family on a base. Building one and its fingerprint load no model.

    Args:
        settings: of the class's `Settings`.
        base: what to load.

    Attributes:
        version: a change of what the method does is a new one.
        first_frame: see :data:`eval.methods.FirstFrame`.
        adapter, content, concatenation: what of the base it loads.
        without_image: a widened UNet's image channels stay at zero.
    """

    Settings: ClassVar[type[BaseModel]] = Sampling
    version: ClassVar[str]
    first_frame: ClassVar[FirstFrame]
    adapter: ClassVar[bool] = False
    content: ClassVar[bool] = False
    concatenation: ClassVar[bool] = False
    without_image: ClassVar[bool] = False
    takes_device: ClassVar[bool] = True

    def __init__(self, settings: Any, base: Base) -> None:
        self.settings = settings
        self.base = base
        self._device = base.device or "auto"
        self._dtype: str = base.dtype or "float32"

    def to(self, device: str, dtype: str) -> None:
        """Where to run and in which precision, unless the base says so itself."""
        self._device = self.base.device or device
        self._dtype = self.base.dtype or dtype

    def check_placement(self) -> None:
        """Raises EvalError if this machine lacks its device, or cannot compute so on it."""
        check_placement(self._device, self._dtype, self.base.offload)

    @property
    def device(self) -> str:
        """The torch device that it runs on. Raises EvalError if it is not there."""
        return devices.resolve(self._device)

    @property
    def recipe(self) -> Recipe:
        """What of the base the pipeline is made of."""
        return Recipe.of(
            self.base,
            adapter=self.adapter,
            content=self.content,
            concatenation=self.concatenation,
            lora=self.settings.lora,
            controlnet=self.settings.controlnet,
            dtype=self._dtype,
        )

    def fingerprint(self) -> str:
        """sha256 over the method's version, the libraries, precision and files of every part that
        it loads.

        Raises:
            EvalError: a part is missing, or this base's pipeline does not take a setting.
        """
        names = ["diffusers", "transformers", "torch"]
        known = {name: version(name) for name in names} | {"i2v-adapter": __version__}
        if lora_scales(self.recipe):
            known["peft"] = version("peft")
        libraries = " ".join(f"{name} {number}" for name, number in known.items())
        check_call(self.recipe, self.settings)
        lines = [f"{self.version} on a base; {libraries}", *contents(self.recipe)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def generate(self, samples: Sequence[Sample], seeds: Sequence[int]) -> list[Clip]:
        """One clip per sample, each from a generator of its own on the CPU.

        Raises:
            EvalError: a part that cannot be loaded or does not fit, or values that are not finite.
        """
        return self._clips(samples, seeds, [getattr(self.settings, "p", None)] * len(samples))

    def _clips(
        self, samples: Sequence[Sample], seeds: Sequence[int], p: Sequence[Any]
    ) -> list[Clip]:
        alone = self.base.named_controlnet(self.settings.controlnet) or getattr(
            self.settings, "free_noise", False
        )
        if alone and len(samples) > 1:
            rows = zip(samples, seeds, p, strict=True)
            return [
                clip for sample, seed, own in rows for clip in self._clips([sample], [seed], [own])
            ]
        found = self.prepared()
        videos = found(**self.arguments(samples, seeds, p)).frames
        return [rounded_clip(video, self.settings.fps) for video in videos]

    def prepared(self) -> Any:
        """The pipeline with this cell's scales and options set, as :meth:`generate` calls it."""
        self.check_placement()
        device = self.device
        settings, recipe = self.settings, self.recipe
        found = pipeline(recipe, device)
        scales = lora_scales(recipe)
        if scales:
            names = [lora_name(index) for index in range(len(scales))]
            found.set_adapters(names, [scale * settings.lora_scale for scale in scales])
        if self.content:
            assert self.base.content_adapter is not None
            own = settings.content_scale
            found.set_ip_adapter_scale(self.base.content_adapter.scale if own is None else own)
        if self.adapter:
            found.i2v_adapter.scale = settings.scale
            settings.switch(found)
            _switch(found, "free_init", settings.free_init)
            if hasattr(found, "free_noise_enabled"):
                _switch(found, "free_noise", settings.free_noise)
        return found

    def arguments(
        self, samples: Sequence[Sample], seeds: Sequence[int], p: Sequence[Any]
    ) -> dict[str, Any]:
        """Of the pipeline's call, under its own names."""
        import torch

        settings = self.settings
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        values: dict[str, Any] = {
            "image": [sample.image for sample in samples],
            "prompt": [sample.prompt for sample in samples],
            "num_frames": settings.frames,
            "height": settings.height,
            "width": settings.width,
            "num_inference_steps": settings.steps,
            "guidance_scale": settings.guidance_scale,
            "prior": self._prior(p),
            "eta": settings.eta,
            "generator": generators[0] if getattr(settings, "free_noise", False) else generators,
            "clip_skip": settings.clip_skip,
            "match_colors": settings.match_colors,
            "output_type": "np",
        }
        if settings.negative_prompt is not None:
            values["negative_prompt"] = [settings.negative_prompt] * len(samples)
        if getattr(settings, "guidance_interval", None) is not None:
            values["guidance_interval"] = settings.guidance_interval
        if self.without_image:
            values["without_image"] = True
        nets = self.base.named_controlnet(settings.controlnet)
        if nets:
            frames = [
                conditioning_frames(self.recipe, net, samples[0], settings.frames) for net in nets
            ]
            scales = [scale * settings.control_scale for scale in control_scales(self.recipe)]
            values["conditioning_frames"] = frames if len(nets) > 1 else frames[0]
            values["controlnet_conditioning_scale"] = scales if len(nets) > 1 else scales[0]
        return values | settings.call

    def _prior(self, p: Sequence[Any]) -> Any:
        from i2v_adapter import FrameSimilarityPrior

        t0 = getattr(self.settings, "t0", None)
        return None if t0 is None else FrameSimilarityPrior(t0, list(p))


class _Swept(OnBase):
    """p decides the start alone, and no timestep, so it may differ within a call."""

    Settings: ClassVar[type[BaseModel]] = PriorSampling
    varying: ClassVar[tuple[str, ...]] = ("p",)

    def generate(
        self, samples: Sequence[Sample], seeds: Sequence[int], p: Sequence[float] | None = None
    ) -> list[Clip]:
        """As every family does; ``p``: one for each sample, in place of the settings'."""
        return self._clips(samples, seeds, [self.settings.p] * len(samples) if p is None else p)


class FullOnBase(_Swept):
    """I2V adapter, content adapter and frame similarity prior: the paper's full system."""

    Settings = FullSampling
    version = "i2v-adapter.v1"
    first_frame = "input"
    adapter = content = True


class AloneOnBase(_Swept):
    """I2V adapter and prior without the content adapter."""

    Settings = AdapterSampling
    version = "i2v-adapter-alone.v1"
    first_frame = "input"
    adapter = True


class ContentOnBase(_Swept):
    """The content adapter in cross-attention alone."""

    Settings = ContentSampling
    version = "content-adapter.v1"
    first_frame = "reconstruction"
    content = True


class PriorOnBase(_Swept):
    """Text-to-video from the frame similarity prior."""

    version = "image-prior.v1"
    first_frame = "reconstruction"


class TextOnBase(OnBase):
    """The prompt alone; of the image only the size is used."""

    version = "text-to-video.v1"
    first_frame = "free"


class ConcatenationOnBase(OnBase):
    """A widened UNet that reads the image's latent beside every noisy frame."""

    version = "channel-concatenation.v1"
    first_frame: ClassVar[FirstFrame] = "reconstruction"
    concatenation = True


class ConcatenationTextOnBase(ConcatenationOnBase):
    """The same UNet without the image."""

    version = "concatenation-text.v1"
    first_frame: ClassVar[FirstFrame] = "free"
    without_image = True


def _switch(found: Any, name: str, wanted: bool | dict[str, Any]) -> None:
    """Enables or disables `free_init` or `free_noise`."""
    enabled = getattr(found, f"{name}_enabled", False)
    if wanted is not False:
        if enabled:
            getattr(found, f"disable_{name}")()
        getattr(found, f"enable_{name}")(**(wanted if isinstance(wanted, dict) else {}))
    elif enabled:
        getattr(found, f"disable_{name}")()
