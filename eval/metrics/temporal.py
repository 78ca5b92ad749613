"""Consistency over time in CLIP's space: two published numbers of one name that are not the
same."""

from collections.abc import Mapping
from dataclasses import replace

import numpy.typing as npt

from eval.metrics.definitions import Definition, Features, metric
from eval.metrics.identity import cosines
from eval.metrics.vbench import neighbour_cosines


def image_consistency(image_feature: npt.ArrayLike, frame_features: npt.ArrayLike) -> float:
    """Mean cosine between the input image and every frame, frame 0 included: the paper's CLIPTemp.

    Args:
        image_feature: float (D,), the input image by CLIP ViT-B/32.
        frame_features: float (F, D), F >= 1.

    Raises:
        EvalError: shapes that do not fit, values that are not finite.

    Source: Guo et al. 2024 (I2V-Adapter), section 4.2.

    Examples:
        >>> image_consistency([1.0, 0.0], [[2.0, 0.0], [0.0, 4.0]])
        0.5
    """
    return float(cosines(image_feature, frame_features).mean())


def neighbour_consistency(frame_features: npt.ArrayLike) -> float:
    """Mean cosine between neighbouring frames: EvalCrafter's CLIP-Temp.

    Args:
        frame_features: float (F, D), F >= 2.

    Raises:
        EvalError: fewer than two frames, shapes that do not fit, values that are not finite.

    Source: Liu et al. 2024 (EvalCrafter), temporal consistency.

    Examples:
        >>> neighbour_consistency([[2.0, 0.0], [0.0, 4.0], [0.0, 8.0]])
        0.5
    """
    return float(neighbour_cosines(frame_features).mean())


_PAPER = "Guo et al. 2024 (I2V-Adapter), table 1"
_EVALCRAFTER = "Liu et al. 2024 (EvalCrafter)"


@metric(
    Definition(
        name="paper.clip_temp",
        encoder_revision=1,
        kind="image-text",
        needs=("image",),
        unit="cosine",
        higher_is_better=True,
        description="Mean cosine between the input image and every frame, frame 0 too, in CLIP's "
        "space.",
        source=f"{_PAPER}, CLIPTemp",
        published="clip_vitb32_openai",
        caution="The paper does not say whether frame 0 counts; it adds 1/F where it is the input.",
        cannot_see="The order of frames and any motion: a still clip of the input image scores 1.",
    ),
)
def _image_consistency(features: Features) -> float:
    return image_consistency(features.image(), features.frames())


_NEIGHBOURS = Definition(
    name="consistency",
    kind="image-text",
    unit="cosine",
    higher_is_better=True,
    description="Mean cosine between neighbouring frames in CLIP's space.",
    source=f"{_EVALCRAFTER}, CLIP-Temp, with CLIP's own preprocessing",
    caution="Slow drift hardly lowers it, and a still clip scores 1.",
    cannot_see="Where a drift ends: only neighbouring frames are compared.",
)
_CLIP_TEMP = replace(
    _NEIGHBOURS,
    name="evalcrafter.clip_temp",
    source=f"{_EVALCRAFTER}, CLIP-Temp",
    published="clip_vitb32_openai",
    encoder_revision=1,
)


@metric(
    _NEIGHBOURS,
    replace(
        _CLIP_TEMP,
        caution=f"{_CLIP_TEMP.caution} v1 prepares frames as CLIP was trained, EvalCrafter does "
        "not: use v2 to compare with its values, and consistency for a sound number.",
    ),
    replace(
        _CLIP_TEMP,
        versions=("v2",),
        view="evalcrafter",
        caution=f"{_CLIP_TEMP.caution} EvalCrafter squashes frames (antialiased with torchvision "
        "0.17 or later) and shows CLIP values of 0 to 255 without mean and deviation, which CLIP "
        "was not trained on; consistency is the sound number.",
    ),
)
def _neighbour_consistency(features: Features) -> Mapping[str, float]:
    value = neighbour_consistency(features.frames())
    return {"consistency": value, "evalcrafter.clip_temp": value}
