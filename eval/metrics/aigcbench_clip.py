"""AIGCBench's measures by CLIP, by their authors' arithmetic. Report them beside its table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError
from eval.metrics.definitions import Definition, Features, metric
from eval.metrics.identity import cosines, unit_vectors

FRAMES = 16
"""Frames that AIGCBench's script reads of a clip, where it does not read all."""

PRECISION = (
    "AIGCBench computes CLIP in float16 on CUDA, here in float32 unless told otherwise: about "
    "0.001 apart."
)
READABLE = "The published mean leaves out videos that cannot be read."


def adjacent_cosines(frame_features: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Cosine of each frame with the one before.

    Args:
        frame_features: float (F, D), F >= 2.

    Returns:
        float64 (F - 1,).

    Raises:
        EvalError: fewer than two frames, or as `unit_vectors`.

    Example:
        >>> adjacent_cosines([[1.0, 0.0], [0.0, 2.0], [0.0, 1.0]]).tolist()
        [0.0, 1.0]
    """
    frames = unit_vectors(frame_features, "frame features")
    if frames.ndim != 2 or len(frames) < 2:
        raise EvalError(
            f"cosines of neighbours: need features of 2 frames or more, (F, D); got {frames.shape}"
        )
    return np.asarray(1.0 - 0.5 * np.sum((frames[1:] - frames[:-1]) ** 2, axis=1))


_IMAGE = Definition(
    name="aigcbench.image_clip",
    kind="image-text",
    view="pil",
    needs=("image",),
    unit="cosine",
    higher_is_better=True,
    description="Mean over all frames, frame 0 too, of the cosine between input image and frame.",
    source="Fan et al. 2024 (AIGCBench), Image-GenVideo CLIP",
    preprocessing="frames are resized to the image's size by OpenCV's bilinear filter first, "
    "whatever the aspect ratio",
    published="clip_vitl14_openai",
    caution=f"Frame 0 counts, which many methods copy from the input. {PRECISION} {READABLE}",
    cannot_see="The order of frames and whether they move: a still clip of the input image "
    "scores 1.",
)


@metric(_IMAGE)
def _image_clip(features: Features) -> float:
    size = features.known_image().shape[:2]
    same = features.clip.frames.shape[1:3] == size
    frames = features.frames() if same else features.encoded(features.resized(*size))
    return float(cosines(features.image(), frames).mean())


@metric(
    replace(
        _IMAGE,
        name="aigcbench.text_clip",
        needs=("prompt",),
        description="Mean over frames 0 to 15 of the cosine between prompt and frame.",
        source="Fan et al. 2024 (AIGCBench), GenVideo-Text CLIP",
        preprocessing="the first 16 frames, or all of a shorter clip",
        caution="AIGCBench's script stops at a prompt of more than 77 tokens; here its last words "
        f"do not count, and the value is flagged prompt_truncated. {PRECISION}",
        cannot_see="Frames after the 16th, the order of frames, and whether they move, so a "
        "prompted motion only as far as single frames show it.",
    )
)
def _text_clip(features: Features) -> float:
    return float(cosines(features.prompt(), features.frames()[:FRAMES]).mean())


@metric(
    replace(
        _IMAGE,
        name="aigcbench.frame_clip",
        needs=(),
        description="Mean over frames 1 to 15 of the cosine between a frame and the one before.",
        source="Fan et al. 2024 (AIGCBench), GenVideo CLIP (adjacent frames)",
        preprocessing="the first 16 frames, or all of a shorter clip",
        caution=f"A still clip scores 1. {PRECISION}",
        cannot_see="Frames after the 16th, slow drift, the input image, and whether there is "
        "motion: a still clip scores 1, whatever it shows.",
    )
)
def _frame_clip(features: Features) -> float:
    return float(adjacent_cosines(features.frames()[:FRAMES]).mean())
