"""The value of a set metric, with its jackknife interval and what a reader must know about it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eval.measure.catalogue import registered
from eval.metrics import Metric
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
        clip goes with them; nan ends below three images), n = N, and a note: what the definition
        has to say (Fréchet distances warn of small samples and give the bias-corrected value),
        else the warning that intervals over few images are too narrow. Below two images the value
        is nan and the note says so.

    Raises:
        EvalError: no definition of this name.
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
    found = registered(metric)
    dimension, steps = real.shape[1], found.steps
    if steps.prepare:
        real, fake = steps.prepare(real, fake)
    if steps.notes:
        notes = steps.notes(real, fake, images, dimension)
    else:
        few = few_clusters_note(images) if images > 2 else ""
        notes = [few] if few else []

    def statistic(kept: NDArray[np.intp]) -> float:
        a, b = real[np.unique(owner[kept])] if paired else real, fake[kept]
        return float(found.formula(a, b))

    if images < 3:
        everything = statistic(np.arange(len(fake)))
        notes.append("2 input images: no interval")
        return Interval(everything, np.nan, np.nan, len(fake), images), "; ".join(notes)
    return jackknife_interval(statistic, owners), "; ".join(notes)
