"""Warping error: how much a frame differs from the next one moved back onto it, where both see the
same thing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError
from eval.io.arrays import Float64Array
from eval.metrics.definitions import Definition, Features, metric
from eval.metrics.motion import flow_field
from eval.metrics.pairs import FlowPair, PairStep, flow_of_pair, values_of

TOLERANCE = (0.01, 0.5)
"""A pixel is occluded where |forward + backward|^2 exceeds TOLERANCE[0] (|forward|^2 +
|backward|^2) + TOLERANCE[1].
"""

BOUNDARY = (0.01, 0.002)
"""A pixel lies on a motion boundary where the squared jumps of the forward flow exceed BOUNDARY[0]
|forward|^2 + BOUNDARY[1].
"""


def warping_error(frames: npt.ArrayLike, forward: npt.ArrayLike, backward: npt.ArrayLike) -> float:
    """Mean over pairs of sum(|frame i - warped frame i+1|^2 x visible) / sum(visible).

    Frame i+1 is read at x + forward(x), between pixels linearly. A pixel is visible if that place
    lies in the frame and the backward flow there leads back (`TOLERANCE`). The square is summed
    over the three channels. Pairs without any visible pixel have no value and are left out.

    Args:
        frames: float (F, H, W, 3) in [0, 1], F >= 2.
        forward: float (F - 1, H, W, 2), flow in px from frame i to i + 1, (dx, dy).
        backward: float (F - 1, H, W, 2), flow in px from frame i + 1 to i.

    Returns:
        The error, >= 0, in squared units of the frames' range.

    Raises:
        EvalError: shapes that do not fit, frames outside [0, 1], flow that is not finite, or no
            pair with a visible pixel.

    Source: Lai et al. 2018, "Learning Blind Video Temporal Consistency", section 4; Sundaram, Brox
    and Keutzer 2010 (occlusion).

    Examples:
        >>> frames = np.zeros((2, 4, 4, 3)); frames[1] = 0.5
        >>> warping_error(frames, np.zeros((1, 4, 4, 2)), np.zeros((1, 4, 4, 2)))
        0.75
    """
    return _mean_of_seen([_visible_error(*pair) for pair in _pairs(frames, forward, backward)])


def _visible_error(
    one: Float64Array, two: Float64Array, there: Float64Array, back: Float64Array
) -> float | None:
    """`warping_error` of one pair; None if no pixel is visible."""
    visible = visible_pixels(there, back)
    if not visible.any():
        return None
    return float(((one - read_at(two, there)) ** 2).sum(axis=-1)[visible].mean())


def _mean_of_seen(errors: Sequence[float | None]) -> float:
    known = [error for error in errors if error is not None]
    if not known:
        raise EvalError(
            f"warping: no pixel of any of the {len(errors)} pairs is visible in both frames."
        )
    return float(np.mean(known))


def evalcrafter_warping_error(
    frames: npt.ArrayLike, forward: npt.ArrayLike, backward: npt.ArrayLike
) -> float:
    """Mean over pairs of sum(|frame i - warped frame i+1|^2 x seen) / sum(seen), EvalCrafter's way.

    It differs from `warping_error` in which pixels it counts (`seen_pixels`): those whose flow
    leaves the frame count, those at motion boundaries do not, and a pair without any has an error
    of 0.

    Args:
        frames: float (F, H, W, 3) in [0, 1], F >= 2.
        forward: float (F - 1, H, W, 2), flow in px from frame i to i + 1, (dx, dy).
        backward: float (F - 1, H, W, 2), flow in px from frame i + 1 to i.

    Returns:
        The error, >= 0, in squared units of the frames' range.

    Raises:
        EvalError: shapes that do not fit, frames outside [0, 1], or flow that is not finite.

    Source: Liu et al. 2024 (EvalCrafter), `optical_flow_scores.py`, after Lai et al. 2018;
    Ruder, Dosovitskiy and Brox 2016, section 4 (occlusion and motion boundaries).

    Examples:
        >>> frames = np.zeros((2, 4, 4, 3)); frames[1] = 0.5
        >>> evalcrafter_warping_error(frames, np.zeros((1, 4, 4, 2)), np.zeros((1, 4, 4, 2)))
        0.75
    """
    return float(np.mean([_seen_error(*pair) for pair in _pairs(frames, forward, backward)]))


def _seen_error(
    one: Float64Array, two: Float64Array, there: Float64Array, back: Float64Array
) -> float:
    """`evalcrafter_warping_error` of one pair."""
    seen = seen_pixels(there, back)
    difference = ((one - read_at(two, there)) ** 2).sum(axis=-1)
    return float(difference[seen].sum() / max(1, seen.sum()))


def seen_pixels(forward: npt.ArrayLike, backward: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Pixels (H, W) of the first frame that EvalCrafter counts, from flow (H, W, 2) both ways.

    Those where the backward flow leads back (`TOLERANCE`), inside the frame or not, and where the
    forward flow does not jump: |du/dx|^2 + |du/dy|^2 + |dv/dx|^2 + |dv/dy|^2, differences to the
    next pixel, at most `BOUNDARY`[0] |forward|^2 + `BOUNDARY`[1].
    """
    there = np.asarray(forward, dtype=np.float64)
    back = read_at(np.asarray(backward, dtype=np.float64), there)
    jumps = np.zeros(there.shape[:2])
    jumps[:, :-1] += (np.diff(there, axis=1) ** 2).sum(axis=-1)
    jumps[:-1] += (np.diff(there, axis=0) ** 2).sum(axis=-1)
    share, floor = BOUNDARY
    steady = jumps <= share * (there**2).sum(axis=-1) + floor
    return np.asarray(_leads_back(there, back) & steady)


def _leads_back(there: Float64Array, back: Float64Array) -> npt.NDArray[np.bool_]:
    share, floor = TOLERANCE
    allowed = share * ((there**2).sum(axis=-1) + (back**2).sum(axis=-1)) + floor
    return np.asarray(((there + back) ** 2).sum(axis=-1) <= allowed)


def _pairs(
    frames: npt.ArrayLike, forward: npt.ArrayLike, backward: npt.ArrayLike
) -> Iterator[tuple[Float64Array, Float64Array, Float64Array, Float64Array]]:
    """Frame, next frame, forward and backward flow of each pair, checked."""
    pixels = np.asarray(frames, dtype=np.float64)
    if pixels.ndim != 4 or pixels.shape[3] != 3 or len(pixels) < 2:
        raise EvalError(
            f"warping: frames must have shape (F, H, W, 3), F 2 or more, got {pixels.shape}."
        )
    if not (pixels.min() >= 0 and pixels.max() <= 1):
        raise EvalError(
            f"warping: frames must lie in [0, 1], these reach from {pixels.min()} to "
            f"{pixels.max()}."
        )
    there, back = flow_field(forward, "warping"), flow_field(backward, "warping")
    expected = (len(pixels) - 1, *pixels.shape[1:3], 2)
    if there.shape != expected or back.shape != expected:
        raise EvalError(
            f"warping: flow must have shape {expected}, got {there.shape} and {back.shape}."
        )
    return zip(pixels[:-1], pixels[1:], there, back, strict=True)


def visible_pixels(forward: npt.ArrayLike, backward: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Pixels (H, W) of the first frame that the second one shows too, from flow (H, W, 2) both
    ways: the flow ends inside it, and the backward flow there leads back (`TOLERANCE`).
    """
    there = np.asarray(forward, dtype=np.float64)
    back = read_at(np.asarray(backward, dtype=np.float64), there)
    height, width, _ = there.shape
    rows, columns = np.mgrid[0:height, 0:width] + np.moveaxis(there[..., ::-1], -1, 0)
    inside = (rows >= 0) & (rows <= height - 1) & (columns >= 0) & (columns <= width - 1)
    return np.asarray(inside & _leads_back(there, back))


def read_at(image: Float64Array, flow: Float64Array) -> Float64Array:
    """``image`` (H, W, C) at x + flow(x), linear between pixels, edges repeated: float64 (H, W,
    C)."""
    height, width = image.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width] + np.moveaxis(flow[..., ::-1], -1, 0)
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    top, left = (
        np.minimum(np.floor(place).astype(int), size - 1)
        for place, size in ((rows, height), (columns, width))
    )
    bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    down, across = (rows - top)[..., None], (columns - left)[..., None]
    flat = image.reshape(height * width, -1)  # one index a pixel: half the time of two

    def at(row: npt.NDArray[np.int_], column: npt.NDArray[np.int_]) -> Float64Array:
        return flat.take(row * width + column, axis=0)

    upper = at(top, left) * (1 - across) + at(top, right) * across
    lower = at(bottom, left) * (1 - across) + at(bottom, right) * across
    return np.asarray(upper * (1 - down) + lower * down)


def _parts(pair: FlowPair) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
    assert pair.backward is not None
    there, back = (flow_of_pair(flow, "warping") for flow in (pair.forward, pair.backward))
    return values_of(pair.first), values_of(pair.second), there, back


def pair_visible_error(pair: FlowPair) -> float | None:
    """`warping_error` of one pair; None if no pixel is visible in both frames."""
    return _visible_error(*_parts(pair))


def pair_seen_error(pair: FlowPair) -> float:
    """`evalcrafter_warping_error` of one pair."""
    return _seen_error(*_parts(pair))


_VISIBLE = PairStep(pair_visible_error, backward=True)
_SEEN = PairStep(pair_seen_error, backward=True)

_PAPER = "Guo et al. 2024 (I2V-Adapter), table 1"
_EVALCRAFTER = "Liu et al. 2024 (EvalCrafter)"
_WARPING = "Lai et al. 2018 (temporal consistency); occlusion test of Sundaram et al. 2010"


@metric(
    Definition(
        name="warping",
        encoder_revision=1,
        kind="flow",
        unit="squared difference",
        higher_is_better=False,
        description="Mean over pairs of sum((frame i - frame i+1 warped onto it)^2 x visible) / "
        "sum(visible), RGB in [0, 1] summed over channels; visible: the flow stays in the frame "
        "and the backward flow leads back.",
        source=_WARPING,
        caution="A still clip scores 0: read it beside motion.",
        cannot_see="Motion, and things that turn smoothly into others: what the flow can follow "
        "costs nothing.",
    ),
    pairs=_VISIBLE,
)
def _warping(features: Features) -> float:
    return _mean_of_seen(features.over_pairs(_VISIBLE))


_PAPER_WARPING = Definition(
    name="paper.warping_error",
    encoder_revision=1,
    kind="flow",
    view="half",
    unit="1000 x squared difference",
    higher_is_better=False,
    description="1000 times the warping error of the frames at half their size.",
    source=f"{_PAPER}, WarpingError; {_EVALCRAFTER}; {_WARPING}",
    published="raft_things",
    caution="The factor 1000 is inferred from the paper's values.",
    cannot_see="Motion, and things that turn smoothly into others: what the flow can follow costs "
    "nothing.",
)


@metric(
    replace(
        _PAPER_WARPING,
        caution=f"{_PAPER_WARPING.caution} v1 leaves out pixels whose flow leaves the frame and "
        "counts motion boundaries, EvalCrafter does the reverse: use v2 to compare with published "
        "values.",
    ),
    pairs=_VISIBLE,
)
def _paper_warping(features: Features) -> float:
    return 1000 * _warping(features)


@metric(
    replace(
        _PAPER_WARPING,
        versions=("v2",),
        view="half_padded",
        description="1000 times the mean over pairs of sum((frame i - frame i+1 warped onto it)^2 "
        "x seen) / sum(seen), at half size; seen: the backward flow leads back, inside the frame "
        "or not, and the flow does not jump.",
        source=f"{_PAPER}, WarpingError; {_EVALCRAFTER}; occlusion and boundaries of Ruder et al. "
        "2016",
        caution=f"{_PAPER_WARPING.caution} As in EvalCrafter the padding counts and RAFT is shown "
        "values of 0 to 1 out of 255, on which its flow is poor: warping is the sound number.",
    ),
    pairs=_SEEN,
)
def _evalcrafter_warping(features: Features) -> float:
    return float(1000 * np.mean(features.over_pairs(_SEEN)))
