"""Consistency over time in CLIP's space: two published numbers of one name that are not the
same."""

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

    Example:
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

    Example:
        >>> neighbour_consistency([[2.0, 0.0], [0.0, 4.0], [0.0, 8.0]])
        0.5
    """
    return float(neighbour_cosines(frame_features).mean())


_PAPER = "Guo et al. 2024 (I2V-Adapter), table 1"
_EVALCRAFTER = "Liu et al. 2024 (EvalCrafter)"


@metric(
    Definition(
        name="paper.clip_temp",
        kind="image-text",
        needs=("image",),
        unit="cosine",
        higher_is_better=True,
        description="Mean cosine between the input image and every frame, frame 0 too, in CLIP's "
        "space.",
        source=f"{_PAPER}, CLIPTemp",
        published="clip_vitb32_openai",
        caution="The paper does not say whether frame 0 counts; it adds 1/F where it is the input.",
    ),
)
def _image_consistency(features: Features) -> float:
    return image_consistency(features.image(), features.frames())


@metric(
    Definition(
        name="evalcrafter.clip_temp",
        kind="image-text",
        unit="cosine",
        higher_is_better=True,
        description="Mean cosine between neighbouring frames in CLIP's space.",
        source=f"{_EVALCRAFTER}, CLIP-Temp",
        published="clip_vitb32_openai",
        caution="Slow drift hardly lowers it, and a still clip scores 1.",
    ),
)
def _neighbour_consistency(features: Features) -> float:
    return neighbour_consistency(features.frames())
