"""Text alignment: how well the frames show what the prompt says."""

from collections.abc import Mapping

import numpy.typing as npt

from eval.metrics.definitions import Definition, Features, metric
from eval.metrics.identity import cosines


def text_alignment(text_feature: npt.ArrayLike, frame_features: npt.ArrayLike) -> dict[str, float]:
    """Mean and minimum over frames of 100 * cos(prompt, frame).

    All frames count, frame 0 too. Neither clipped at 0 nor multiplied by 2.5 as CLIPScore is.

    Args:
        text_feature: float (D,), the prompt in the encoder's joint space; any length but zero.
        frame_features: float (F, D), the frames in the same space; F >= 1.

    Returns:
        ``text``, the mean, and ``text_min``, the smallest: values in [-100, 100].

    Raises:
        EvalError: shapes that do not fit, values that are not finite.

    Source: Hessel et al. 2021, "CLIPScore", equation 1 without its weight; the suite's metrics.md,
    "Text alignment".

    Examples:
        >>> text_alignment([0.0, 2.0], [[3.0, 4.0], [0.0, 1.0]])
        {'text': 90.0, 'text_min': 80.0}
    """
    values = 100.0 * cosines(text_feature, frame_features)
    return {"text": float(values.mean()), "text_min": float(values.min())}


_TEXT = "Hessel et al. 2021 (CLIPScore, but neither scaled by 2.5 nor clamped at 0), per frame"


@metric(
    Definition(
        name="text",
        encoder_revision=1,
        kind="image-text",
        needs=("prompt",),
        unit="100 x cosine",
        higher_is_better=True,
        description="Mean over frames of 100 times the cosine between prompt and frame, not "
        "clamped at 0.",
        source=_TEXT,
        cannot_see="The order of frames and whether they move, so a prompted motion only as far as "
        "single frames show it.",
    ),
    Definition(
        name="text_min",
        encoder_revision=1,
        kind="image-text",
        needs=("prompt",),
        unit="100 x cosine",
        higher_is_better=True,
        description="Smallest over frames of 100 times the cosine between prompt and frame, not "
        "clamped at 0.",
        source=_TEXT,
        cannot_see="All frames but the worst, their order, and whether they move.",
    ),
)
def _text(features: Features) -> Mapping[str, float]:
    return text_alignment(features.prompt(), features.frames())
