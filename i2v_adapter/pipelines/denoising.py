"""The denoising loop of all image-to-video pipelines: frames 1.. around a clean frame 0."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import DiffusionPipeline
from torch import Tensor
from torch.utils._pytree import tree_map

from i2v_adapter.feature_reuse import FeatureReuse
from i2v_adapter.pipelines.noise import free_init_restart, guided_noise, plain_start
from i2v_adapter.prior import FrameSimilarityPrior, Generators, standard_normal
from i2v_adapter.step_graph import (
    Capture,
    StepGraph,
    changeable_state,
    check_weights_stay,
    cuda_capture,
)

UnetInputs = Callable[[int, Any, Tensor, dict[str, Any]], dict[str, Any]]


class DenoisingMixin(DiffusionPipeline):
    """For a diffusers AnimateDiff pipeline with an `i2v_adapter`: denoises frames 1.., keeps frame
    0 clean and discards its prediction.

    Scheduler and its timesteps stay on the CPU, and the UNet has its own copy of the timesteps, so
    that no step waits for a GPU.
    """

    _guidance_scale: float
    _step_graph = False
    _capture: Capture = staticmethod(cuda_capture)

    def enable_step_graph(self) -> None:
        """Record the UNet's step in a CUDA graph at the start of each call, and replay it: for
        small frames, where launching kernels takes longer than running them.

        Outputs are the same. A call takes two steps longer to begin, and again where shapes or
        scales change on the way. It needs a GPU that holds the weights all along, not in 8 bits,
        and no FreeNoise; else a call raises ValueError.

        Examples:
            >>> from i2v_adapter import I2VAdapterPipeline
            >>> from i2v_adapter.tiny import tiny_components
            >>> pipe = I2VAdapterPipeline(**tiny_components())
            >>> pipe.enable_step_graph()
            >>> if torch.cuda.is_available():
            ...     pipe = pipe.to("cuda")  # calls now replay the step
        """
        self._step_graph = True

    def disable_step_graph(self) -> None:
        """Launch every kernel by itself again."""
        self._step_graph = False

    _reuse: FeatureReuse | None = None

    @property
    def feature_reuse_enabled(self) -> bool:
        return self._reuse is not None

    def enable_feature_reuse(self, every: int = 3, layers: int = 1) -> None:
        """Reuse deep features of the UNet over several steps of a call
        (:class:`~i2v_adapter.feature_reuse.FeatureReuse`): faster, and another video.

        Raises:
            ValueError: a number below 1; at the call, more layers than the UNet has, a UNet that
                is compiled as a whole, or a step graph besides.

        Examples:
            >>> from i2v_adapter import I2VAdapterPipeline
            >>> from i2v_adapter.tiny import tiny_components
            >>> pipe = I2VAdapterPipeline(**tiny_components())
            >>> pipe.enable_feature_reuse(every=2)
            >>> pipe.feature_reuse_enabled
            True
        """
        self._reuse = FeatureReuse(every, layers)

    def disable_feature_reuse(self) -> None:
        """Run the whole UNet in every step again."""
        self._reuse = None

    @contextmanager
    def _reusing(self) -> Iterator[None]:
        """Feature reuse within the block, if it is enabled."""
        if self._reuse is None:
            yield
            return
        if self._step_graph:
            raise ValueError(
                "a step graph records one kind of step, feature reuse has two: call "
                "disable_step_graph() or disable_feature_reuse()"
            )
        with self._reuse.active(self.unet):
            yield

    def _unet_step(self, callback: Any) -> Callable[..., Tensor]:
        """(model input, timestep, arguments) -> the UNet's output, for one round of steps."""
        if not self._step_graph:
            return lambda *given, **arguments: self.unet(*given, **arguments).sample
        if self._free_noise:
            raise ValueError(
                "FreeNoise copies its weights of frames in every step, which a step graph cannot "
                "record: call disable_free_noise() or disable_step_graph()"
            )

        check_weights_stay(self.i2v_adapter)

        def state() -> Any:
            scale = tree_map(
                lambda value: value.tolist() if isinstance(value, Tensor) else value,
                self.i2v_adapter.scale,
            )
            return scale, changeable_state(self.unet) if callback is not None else ()

        return StepGraph(self.unet, state, self._capture)

    @property
    def _free_noise(self) -> bool:
        return getattr(self, "free_noise_enabled", False)  # SDXL's pipeline has none.

    def _denoise(
        self,
        first: Tensor,
        num_frames: int,
        num_inference_steps: int,
        tensors: dict[str, Any],
        unet_inputs: UnetInputs,
        *,
        prior: FrameSimilarityPrior | None,
        generator: Generators,
        noise: Tensor | None,
        eta: float,
        guidance_rescale: float = 0.0,
        callback: Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]] | None = None,
        callback_inputs: Sequence[str] = (),
        guidance_interval: tuple[float, float] | None = None,
    ) -> Tensor:
        """Latents (B, C, F, h, w), index 0 being `first` bit by bit.

        Args:
            first: (B, C, 1, h, w).
            tensors: what a callback may see and replace, by name; with guidance the unconditional
                half first, but for names that start with "negative".
            unet_inputs: (step, timestep, model input, tensors) -> further arguments of the UNet.
            noise: (B, C, F, h, w) standard normal in place of the generator's.
        """
        iterations, steps = 1, num_inference_steps
        if self.free_init_enabled:
            iterations = self._free_init_num_iters
            if prior is not None and prior.t0 < 1:
                raise ValueError(
                    "FreeInit starts again from the schedule's end: it needs t0 = 1, not "
                    f"{prior.t0}"
                )
        if self.free_init_enabled or self._free_noise:
            noise = self._whole_noise(first, num_frames, generator, noise)
        later = first
        for iteration in range(iterations):
            if self.free_init_enabled and self._free_init_use_fast_sampling:
                steps = max(1, num_inference_steps * (iteration + 1) // iterations)
            # On the CPU: schedulers look up constants by them, and would wait for a GPU.
            self.scheduler.set_timesteps(steps, device="cpu")
            if iteration > 0:
                assert noise is not None
                later, timesteps = (
                    free_init_restart(self, later, noise[:, :, 1:], generator),
                    self.scheduler.timesteps,
                )
            elif prior is not None:
                latents, timesteps = prior.sample(
                    first[:, :, 0], num_frames, self.scheduler, generator, noise=noise
                )
                later = latents[:, :, 1:]
            else:
                later = plain_start(self.scheduler, first, num_frames, generator, noise)
                timesteps = self.scheduler.timesteps
            self._num_timesteps = len(timesteps)
            timesteps_of_unet = timesteps.to(first.device)  # once: each copy waits for a GPU
            guided_steps = steps_of_interval(guidance_interval, len(timesteps))
            extra_step_kwargs = self.prepare_extra_step_kwargs(generator, eta)

            with (
                self.i2v_adapter.attached(self.unet),
                self._reusing(),
                self.progress_bar(total=len(timesteps)) as progress_bar,
            ):
                predict = self._unet_step(callback)
                for i, (t, t_unet) in enumerate(zip(timesteps, timesteps_of_unet, strict=True)):
                    if self.interrupt:
                        continue
                    # Schedulers that rescale their input must leave the clean frame alone.
                    model_input = torch.cat(
                        [first, self.scheduler.scale_model_input(later, t)], dim=2
                    )
                    guidance = self.do_classifier_free_guidance
                    alone = guidance and i not in guided_steps
                    if guidance and not alone:
                        model_input = torch.cat([model_input] * 2)
                    with self._unguided(alone):
                        arguments = unet_inputs(
                            i, t_unet, model_input, conditional_half(tensors) if alone else tensors
                        )
                    noise_pred = predict(model_input, t_unet, **arguments)[:, :, 1:]
                    if guidance and not alone:
                        noise_pred = guided_noise(noise_pred, self.guidance_scale, guidance_rescale)
                    later = self.scheduler.step(
                        noise_pred, t, later, **extra_step_kwargs
                    ).prev_sample
                    if callback is not None:
                        current = {**tensors, "latents": torch.cat([first, later], dim=2)}
                        changed = callback(
                            self, i, t, {name: current[name] for name in callback_inputs}
                        )
                        later = changed.get("latents", current["latents"])[:, :, 1:]
                        tensors = {
                            name: changed.get(name, value) for name, value in tensors.items()
                        }
                    progress_bar.update()
        return torch.cat([first, later], dim=2)

    @contextmanager
    def _unguided(self, alone: bool) -> Iterator[None]:
        """If `alone`, a guidance scale of 1 within the block: the UNet has the conditional half
        alone.
        """
        before = self._guidance_scale
        self._guidance_scale = 1.0 if alone else before
        try:
            yield
        finally:
            self._guidance_scale = before

    def _whole_noise(
        self, first: Tensor, num_frames: int, generator: Generators, noise: Tensor | None
    ) -> Tensor | None:
        """Noise for all frames, drawn before anything else: FreeInit needs it again, FreeNoise
        arranges it.
        """
        batch, channels, _, height, width = first.shape
        if not self._free_noise:
            shape = (batch, channels, num_frames, height, width)
            return standard_normal(shape, generator, first.device) if noise is None else noise
        if isinstance(generator, list):
            raise ValueError(
                "FreeNoise shuffles frames with one generator: pass a single one, not a list"
            )
        size = (height * self.vae_scale_factor, width * self.vae_scale_factor)
        given = None if noise is None else noise.clone()
        return self._prepare_latents_free_noise(
            batch, channels, num_frames, *size, torch.float32, first.device, generator, given
        )


def steps_of_interval(interval: Sequence[float] | None, steps: int) -> range:
    """The steps of an interval given as shares of all of them; all where there is none.

    Raises:
        ValueError: not two numbers with 0 <= start < end <= 1.

    Examples:
        >>> steps_of_interval((0.0, 0.5), 25)
        range(0, 12)
    """
    start, end = (0.0, 1.0) if interval is None else _ends(interval)
    return range(round(start * steps), round(end * steps))


def _ends(interval: Sequence[float]) -> tuple[float, float]:
    if len(interval) == 2 and 0 <= interval[0] < interval[1] <= 1:
        return interval[0], interval[1]
    raise ValueError(
        "guidance_interval must be (start, end) with 0 <= start < end <= 1, shares of the steps,"
        f" but is {interval!r}"
    )


def conditional_half(tensors: dict[str, Any]) -> dict[str, Any]:
    """The second half of each tensor, and of each in a list; names that start with "negative" are
    left as they are.
    """

    def half(value: Any) -> Any:
        if isinstance(value, list):
            return [half(one) for one in value]
        return value.chunk(2)[1] if isinstance(value, Tensor) else value

    return {
        name: value if name.startswith("negative") else half(value)
        for name, value in tensors.items()
    }
