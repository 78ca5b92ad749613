"""Frame times: whether they are even, the rate, and how often a held GIF frame is repeated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from i2v_adapter.media.errors import MediaError

JITTER = 0.2
"""Largest relative deviation of a frame's duration from the median that still counts as a constant
rate; besides, the container's own rounding is allowed for."""
STILL_RATE = 8.0
"""Frames per second of a GIF that holds one picture, which states none."""


def constant_rate(times: Sequence[float], tick: float, stated: Sequence[float]) -> float | None:
    """Frames per second of frames shown at `times`.

    Args:
        times: seconds, in order of display.
        tick: the container's unit of time, in seconds.
        stated: rates that the file states; the first that agrees with the times within 1 % is
            more exact than they are.

    Returns:
        The rate; None for a single frame without a stated rate.

    Raises:
        MediaError: durations that vary, or times that do not grow.
    """
    if len(times) < 2:
        return next((rate for rate in stated if rate > 0), None)
    steps = np.diff(np.asarray(times, np.float64))
    median = float(np.median(steps))
    if not np.isfinite(steps).all() or median <= 0:
        raise MediaError("frames without usable times; convert the clip to a constant rate")
    if np.abs(steps - median).max() > max(JITTER * median, 1.5 * tick):
        raise MediaError(
            f"frame durations vary from {steps.min() * 1000:.0f} to {steps.max() * 1000:.0f} ms; "
            "convert the clip to a constant rate"
        )
    measured = 1.0 / float(steps.mean())
    slack = max(0.01, 1.5 * tick / float(np.sum(steps)))
    return next((rate for rate in stated if abs(rate - measured) < slack * measured), measured)


def gif_repeats(durations: Sequence[int]) -> tuple[list[int], float]:
    """How often each picture of a GIF is to be repeated for a constant rate.

    Writers merge equal neighbours into one picture of a longer duration, and round durations to
    1/100 s. The shortest durations are taken for single frames.

    Args:
        durations: of each picture, in 1/100 s.

    Returns:
        Repeats, 1 or more each, and the rate in frames per second.

    Raises:
        MediaError: durations that are not multiples of the shortest, to within the rounding.
    """
    shown = np.asarray(durations, np.float64)
    if len(shown) < 2:
        seconds = float(shown.sum()) / 100
        return [max(1, round(seconds * STILL_RATE))], STILL_RATE
    low = float(shown.min())
    single = shown <= max(low + 1, low * (1 + JITTER))
    if single.all():
        return [1] * len(shown), 100 / float(shown.mean())
    # The true duration of a frame, of which the file states the whole part: the nearest that
    # explains the longer ones to within the rounding.
    candidates = np.linspace(max(low - 0.5, low / 2), float(shown[single].max()) + 0.99, 401)
    counts = np.maximum(1, np.rint(shown[~single, None] / candidates))
    errors = np.abs(shown[~single, None] - counts * candidates).max(axis=0)
    distance = np.abs(candidates - shown[single].mean())
    best = int(np.lexsort((distance, candidates < low, errors > 1))[0])
    if low <= 0 or errors[best] > 1:
        raise MediaError(
            f"frame durations vary from {low * 10:.0f} to {shown.max() * 10:.0f} ms; convert the "
            "clip to a constant rate"
        )
    repeats = np.ones(len(shown), int)
    repeats[~single] = counts[:, best].astype(int)
    return repeats.tolist(), 100 / float(shown[single].mean())
