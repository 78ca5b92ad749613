"""The Frame Similarity Prior: where the generated frames start from (paper, section 3.3, equation
7).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

Generators: TypeAlias = torch.Generator | Sequence[torch.Generator] | None

BLUR_SIZE = 9
BLUR_SIGMA = 18.0


class PriorSample(NamedTuple):
    """Start of the denoising: `latents` (B, C, F, h, w), frame 0 clean, and the `timesteps` still
    to run.
    """

    latents: Tensor
    timesteps: Tensor


@dataclass(frozen=True)
class FrameSimilarityPrior:
    """Generated frames start as noised copies of the degraded input image (equation 7)::

        x_i ~ N(alpha_t0 * D(x_1), sigma_t0^2 I)        D(x) = M_p * x + (1 - M_p) * GaussianBlur(x)

    The noise level of t0 = 1 is that of the schedule's first step. The prior acts there because the
    usual schedules keep a little of the signal at their end (alpha about 0.05); one with zero
    terminal SNR erases it.

    Args:
        t0: in (0, 1]: share of the timesteps that is run, the last ones, as `strength` of
            image-to-image pipelines. Lower values keep more of the image and move less.
        p: in [0, 1]: probability that an element of the latent is kept instead of blurred. One
            for all, or one for each of the B elements of a batch, in order: p moves the start
            alone, so one call can sweep it.

    Raises:
        ValueError: t0 or p out of range, or an empty sequence of p.

    Examples:
        >>> latents = torch.ones(1, 4, 8, 8)  # a constant image stays what it is
        >>> FrameSimilarityPrior(t0=0.8, p=0.5).degrade(latents).equal(latents)
        True
    """

    t0: float = 1.0
    p: float | Sequence[float] = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.t0 <= 1:
            raise ValueError(f"t0 must lie in (0, 1], but is {self.t0}")
        if isinstance(self.p, Sequence):
            object.__setattr__(self, "p", tuple(self.p))  # hashable, and nobody else's list
        if not self._each_p:
            raise ValueError("p is empty: give one, or one for each element of the batch")
        for p in self._each_p:
            if not 0 <= p <= 1:
                raise ValueError(f"p must lie in [0, 1], but is {p}")

    @property
    def _each_p(self) -> tuple[float, ...]:
        return tuple(self.p) if isinstance(self.p, Sequence) else (self.p,)

    def degrade(self, latents: Tensor, generator: Generators = None) -> Tensor:
        """D(x): each element of `latents` is kept with probability p, else taken from the blurred
        latents.

        Args:
            latents: (B, C, h, w) or (B, C, F, h, w); in the latter case every frame has its own
                mask.
            generator: one for all, or one for each of the B elements.

        Raises:
            ValueError: one p for each of another number of elements than B.
        """
        return self._mix(latents, gaussian_blur(latents), generator)

    def sample(
        self,
        image_latents: Tensor,
        num_frames: int,
        scheduler: Any,
        generator: Generators = None,
        noise: Tensor | None = None,
    ) -> PriorSample:
        """Draw the starting latents. The mask's draws come first, then the noise; neither depends
        on t0 or p.

        Args:
            image_latents: (B, C, h, w): the clean first frame, scaled as the UNet expects.
            num_frames: F >= 2, the first one included.
            scheduler: a diffusers scheduler whose timesteps are set; its begin index is set
                where it has one.
            generator: one for all, or one for each of the B elements, whose draws then do not
                depend on its neighbours.
            noise: (B, C, F, h, w) standard normal, used in place of the generator's (frame 0 of
                it is ignored).

        Returns:
            the latents in `image_latents`' dtype, frame 0 equal to it bit by bit, and the remaining
            timesteps.

        Raises:
            ValueError: fewer than two frames, a scheduler without timesteps, noise of another
                shape, or one p for each of another number of elements than B.

        Warns:
            UserWarning: the schedule's terminal SNR is zero.
        """
        if num_frames < 2:
            raise ValueError(
                "num_frames must be at least 2 (the image and one generated frame), but is "
                f"{num_frames}"
            )
        if getattr(scheduler, "num_inference_steps", None) is None:
            raise ValueError(
                f"call set_timesteps() of the {type(scheduler).__name__} before sampling the prior"
            )
        _warn_if_terminal_snr_is_zero(scheduler)

        batch, channels, height, width = image_latents.shape
        if noise is not None and noise.shape != (batch, channels, num_frames, height, width):
            raise ValueError(
                f"noise must have shape {(batch, channels, num_frames, height, width)}, but has "
                f"{tuple(noise.shape)}"
            )
        later_shape = (batch, channels, num_frames - 1, height, width)
        first = image_latents[:, :, None]
        # In float32: the schedule's factors lose their last digits in half precision.
        copies = first.float().expand(later_shape)
        blurred = gaussian_blur(image_latents.float())[:, :, None].expand(later_shape)
        degraded = self._mix(copies, blurred, generator)
        if noise is None:
            noise = standard_normal(later_shape, generator, image_latents.device)
        else:
            noise = noise[:, :, 1:].to(image_latents.device, torch.float32)

        start = _first_step(scheduler, self.t0)
        timesteps = scheduler.timesteps[start:]
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(start)
        noisy = add_noise(scheduler, degraded, noise, timesteps[:1].repeat(batch))
        return PriorSample(torch.cat([first, noisy.to(image_latents.dtype)], dim=2), timesteps)

    def _mix(self, latents: Tensor, blurred: Tensor, generator: Generators) -> Tensor:
        each = self._each_p
        if len(each) not in (1, len(latents)):
            raise ValueError(
                f"{len(each)} values of p were given for a batch of {len(latents)}: give one, or "
                "one for each"
            )
        p = torch.tensor(each, dtype=torch.float32, device=latents.device).view(
            -1, *[1] * (latents.ndim - 1)
        )
        kept = _draw(torch.rand, tuple(latents.shape), generator, latents.device) < p
        return torch.where(kept, latents, blurred)


def gaussian_blur(latents: Tensor, size: int = BLUR_SIZE, sigma: float = BLUR_SIGMA) -> Tensor:
    """Gaussian blur of the last two axes with a `size` x `size` kernel, as the official code's (9,
    sigma 18).

    Borders are reflected; along an axis too short for that (at most size // 2 elements) the border
    is replicated.

    Args:
        latents: (..., h, w).
    """
    offsets = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).to(latents.device, latents.dtype)
    images = latents.reshape(-1, 1, *latents.shape[-2:])
    border = size // 2
    for _ in range(2):  # Separable: along the last axis, then, transposed, along the other.
        mode = "reflect" if images.shape[-1] > border else "replicate"
        padded = F.pad(images, (border, border, 0, 0), mode=mode)
        images = F.conv2d(padded, kernel.view(1, 1, 1, size)).transpose(-1, -2)
    return images.reshape(latents.shape)


def standard_normal(shape: tuple[int, ...], generator: Generators, device: torch.device) -> Tensor:
    """Float32 noise of `shape`; with a list of generators, row i comes from generator i alone."""
    return _draw(torch.randn, shape, generator, device)


def add_noise(scheduler: Any, clean: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """The scheduler's `add_noise`, but its constants stay on the CPU, where its steps read them:
    diffusers moves them to the device of `clean`.
    """
    constants = getattr(scheduler, "alphas_cumprod", None)
    try:
        noisy: Tensor = scheduler.add_noise(clean, noise, timesteps)
    finally:
        if constants is not None:
            scheduler.alphas_cumprod = constants
    return noisy


def _draw(
    distribution: Callable[..., Tensor],
    shape: tuple[int, ...],
    generator: Generators,
    device: torch.device,
) -> Tensor:
    """Draws made where the generator lives, so that a CPU generator gives the same ones for every
    device.
    """
    if generator is None or isinstance(generator, torch.Generator):
        where = device if generator is None else generator.device
        return distribution(shape, generator=generator, device=where, dtype=torch.float32).to(
            device
        )
    if len(generator) != shape[0]:
        raise ValueError(
            f"{len(generator)} generators were given for a batch of {shape[0]}: give one, or one "
            "for each"
        )
    return torch.cat([_draw(distribution, (1, *shape[1:]), single, device) for single in generator])


def _first_step(scheduler: Any, t0: float) -> int:
    """Index into scheduler.timesteps of the first step to run: the last `t0` share is kept, at
    least one step.
    """
    steps = scheduler.num_inference_steps
    # The small term keeps 0.29 * 100 from becoming 28 steps.
    kept = max(1, math.floor(steps * t0 + 1e-9))
    return int(min((steps - kept) * scheduler.order, len(scheduler.timesteps) - 1))


def _warn_if_terminal_snr_is_zero(scheduler: Any) -> None:
    alphas = getattr(scheduler, "alphas_cumprod", None)
    # Sigma-space schedulers put 2**-24 in place of the exact zero.
    if alphas is not None and float(alphas[-1]) < 1e-6:
        warnings.warn(
            f"the schedule of this {type(scheduler).__name__} ends at zero terminal SNR "
            "(rescale_betas_zero_snr):"
            " at t0 = 1 it erases the frame similarity prior",
            UserWarning,
            stacklevel=3,
        )
