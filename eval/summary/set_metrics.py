"""The value of a set metric, with its jackknife interval and what a reader must know about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.io.arrays import FeatureArray
from eval.measure.catalogue import registered
from eval.metrics import Metric
from eval.summary.cautions import Caution, few_images
from eval.summary.jackknife import jackknife_interval
from eval.summary.statistics import Interval


class SetValue(NamedTuple):
    """A set metric with its interval, its bias-corrected value (nan: none), and cautions."""

    interval: Interval
    bias_corrected: float
    cautions: list[Caution]


def set_value(
    metric: Metric,
    real: FeatureArray,
    fake: FeatureArray,
    owners: Sequence[int],
    *,
    paired: bool = True,
) -> SetValue:
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
        clip goes with them; nan ends below three images), n = N, and what the definition has to
        say (Fréchet distances warn of small samples and give the bias-corrected value), else the
        caution that intervals over few images are too narrow. Below two images the value is nan
        and a caution says so.

    Raises:
        EvalError: no definition of this name.
    """
    owner = np.asarray(owners)
    images = len(np.unique(owner))
    unknown = Interval(np.nan, np.nan, np.nan, len(fake), images)
    if not paired and len(real) == 1:
        return SetValue(unknown, np.nan, [Caution("two_references_needed", {"references": 1})])
    if images < 2:
        return SetValue(unknown, np.nan, [Caution("two_images_needed", {"clusters": images})])
    found = registered(metric)
    dimension, steps = real.shape[1], found.steps
    if steps.prepare:
        real, fake = steps.prepare(real, fake)
    corrected, cautions = np.nan, few_images(images) if images > 2 else []
    if steps.notes:
        corrected, codes = steps.notes(real, fake, images, dimension)
        cautions = [Caution(code, fields) for code, fields in codes]

    def statistic(kept: NDArray[np.intp]) -> float:
        a, b = real[np.unique(owner[kept])] if paired else real, fake[kept]
        return float(found.formula(a, b))

    if images < 3:
        interval = unknown._replace(mean=statistic(np.arange(len(fake))))
        cautions = [*cautions, Caution("no_interval", {"clusters": images})]
    else:
        interval = jackknife_interval(statistic, owners)
    return SetValue(interval, float(corrected), cautions)
