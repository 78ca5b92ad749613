"""The value of a set metric, with its jackknife interval and what a reader must know about it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eval.errors import EvalError
from eval.metrics import Metric
from eval.metrics.frechet import (
    bias_corrected_frechet,
    frechet_distance_of_features,
    small_sample_note,
)
from eval.metrics.kernel import kernel_distance
from eval.summary.statistics import Interval, few_clusters_note, jackknife_interval

Features = NDArray[np.float32] | NDArray[np.float64]


def set_value(
    metric: Metric, real: Features, fake: Features, owners: Sequence[int], *, paired: bool = True
) -> tuple[Interval, str]:
    """A set metric between true and generated clips.

    Args:
        metric: of scope ``set``.
        real: (R, D) features of the true clips, one an input image; or of any reference set, if
            not ``paired``.
        fake: (N, D) features of the generated clips.
        owners: for each generated clip, the number of its input image: the row of its true
            clip, if ``paired``.
        paired: whether an image left out by the jackknife takes its true clip with it. An
            unpaired reference set stays whole, so the interval speaks of the generated clips alone.

    Returns:
        The value with its delete-a-group jackknife interval (groups are input images, whose true
        clip goes with them; nan ends below three images), n = N, and a note: for Fréchet distances
        the small-sample warning and, from four images on, the bias-corrected value; for kernel
        distances, which have no such bias, the warning that intervals over few images are too
        narrow. Below two images the value is nan and the note says so.

    Raises:
        EvalError: for a family of metrics it does not know.
    """
    owner = np.asarray(owners)
    images = len(np.unique(owner))
    if not paired and len(real) == 1:
        return Interval(
            np.nan, np.nan, np.nan, len(fake), images
        ), f"{len(real)} reference clip: two or more are needed"
    if images < 2:
        return Interval(
            np.nan, np.nan, np.nan, len(fake), images
        ), f"{images} input image: two or more are needed"
    if metric.family not in ("fvd", "kvd"):
        raise EvalError(
            f"metric {metric.id}: no set metric of family '{metric.family}'; known: fvd, kvd"
        )
    frechet = metric.family == "fvd"
    note = (
        small_sample_note(min(len(fake), len(real), images), real.shape[1])
        if frechet
        else few_clusters_note(images)
    )
    notes = [note] if note and (frechet or images > 2) else []
    if frechet:
        real, fake = in_common_span(real, fake)
        if min(images, len(real)) >= 4:
            notes.append(f"bias-corrected {bias_corrected_frechet(real, fake).value:.4g}")

    def statistic(kept: NDArray[np.intp]) -> float:
        a, b = real[np.unique(owner[kept])] if paired else real, fake[kept]
        return frechet_distance_of_features(a, b) if frechet else kernel_distance(a, b)

    if images < 3:
        everything = statistic(np.arange(len(fake)))
        notes.append("2 input images: no interval")
        return Interval(everything, np.nan, np.nan, len(fake), images), "; ".join(notes)
    return jackknife_interval(statistic, owners), "; ".join(notes)


def in_common_span(
    real: Features, fake: Features
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both sets in an orthonormal basis of the affine space they span, float64 (., r), r < R + N.

    Fréchet distances do not change under this isometry, and far fewer dimensions than features' own
    make them cheap.
    """
    both = np.concatenate([real, fake]).astype(np.float64)
    both -= both.mean(axis=0)
    if len(both) > both.shape[1]:
        return both[: len(real)], both[len(real) :]
    left, singular, _ = np.linalg.svd(both, full_matrices=False)
    coordinates = left * singular
    return coordinates[: len(real)], coordinates[len(real) :]
