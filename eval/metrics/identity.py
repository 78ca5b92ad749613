"""Identity: how much the frames still show what the input image shows."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError
from eval.metrics.definitions import Definition, Features, metric


def unit_vectors(features: npt.ArrayLike, name: str) -> npt.NDArray[np.float64]:
    """Rows of a feature array (N, D), or one feature (D,), divided by their Euclidean length, in
    float64.

    Raises:
        EvalError: a value that is not finite, a feature of length zero, or another number of
            axes; `name` names the array.
    """
    array = np.asarray(features, dtype=np.float64)
    if array.ndim not in (1, 2) or array.size == 0:
        raise EvalError(
            f"{name}: expected shape (D,) or (N, D) with no empty axis, got {array.shape}."
        )
    if not np.isfinite(array).all():
        raise EvalError(
            f"{name}: holds {int((~np.isfinite(array)).sum())} values that are not finite."
        )
    lengths = np.linalg.norm(array, axis=-1, keepdims=True)
    if not (lengths > 0).all():
        raise EvalError(f"{name}: a feature of length zero has no direction, so no cosine.")
    return np.asarray(array / lengths)


def cosines(feature: npt.ArrayLike, features: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Cosine between one feature (D,) and each row of (N, D): float64 (N,).

    Computed as 1 - |u - v|^2 / 2 for the unit vectors u and v, which is exactly 1 for equal
    features and loses no digits near 1, where the differences of interest are.

    Raises:
        EvalError: as `unit_vectors`, or feature sizes that differ.

    Examples:
        >>> cosines([2.0, 0.0], [[1.0, 0.0], [0.0, 3.0]]).tolist()
        [1.0, 0.0]
    """
    one, many = unit_vectors(feature, "reference feature"), unit_vectors(features, "frame features")
    if one.ndim != 1 or many.ndim != 2 or one.shape[0] != many.shape[1]:
        raise EvalError(
            f"cosine: expected features (D,) and (N, D), got {one.shape} and {many.shape}."
        )
    return np.asarray(1.0 - 0.5 * np.sum((many - one) ** 2, axis=1))


def identity(image_feature: npt.ArrayLike, frame_features: npt.ArrayLike) -> dict[str, float]:
    """Mean, minimum and last of c_i = cos(input image, frame i) over frames i >= 1.

    Frame 0 is left out of all three: in an image-to-video clip it is the input image itself and
    scores 1 whatever the method does. The frames are compared with the image, not with each other,
    so slow drift counts in full.

    Args:
        image_feature: float (D,), feature of the input image; any length but zero.
        frame_features: float (F, D), features of the frames by the same encoder; F >= 2.

    Returns:
        ``identity``, ``identity_min`` and ``identity_last``: cosines in [-1, 1], not clipped at 0.

    Raises:
        EvalError: fewer than two frames, shapes that do not fit, values that are not finite.

    Source: the suite's metrics.md, "Identity (DINO)"; DreamBooth's DINO score taken against the
    input image.

    Examples:
        >>> identity([1.0, 0.0], [[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])
        {'identity': -0.5, 'identity_min': -1.0, 'identity_last': -1.0}
    """
    values = cosines(image_feature, frame_features)[1:]
    if len(values) == 0:
        raise EvalError(
            "identity: the clip has 1 frame; 2 or more are needed, because frame 0 does not count."
        )
    return {
        "identity": float(values.mean()),
        "identity_min": float(values.min()),
        "identity_last": float(values[-1]),
    }


_IDENTITY = (
    "Caron et al. 2021 (DINO features); Ruiz et al. 2023 (DreamBooth's DINO score), "
    "against the input image"
)


@metric(
    Definition(
        name="identity",
        encoder_revision=1,
        kind="image",
        needs=("image",),
        unit="cosine",
        higher_is_better=True,
        description="Mean cosine between the input image and frames 1, 2, ... (frame 0 left out).",
        source=_IDENTITY,
        cannot_see="The order of frames and any motion: a still clip of the input image scores 1.",
    ),
    Definition(
        name="identity_min",
        encoder_revision=1,
        kind="image",
        needs=("image",),
        unit="cosine",
        higher_is_better=True,
        description="Smallest cosine between the input image and any of frames 1, 2, ....",
        source=_IDENTITY,
        cannot_see="The order of frames and any motion: a still clip of the input image scores 1.",
    ),
    Definition(
        name="identity_last",
        encoder_revision=1,
        kind="image",
        needs=("image",),
        unit="cosine",
        higher_is_better=True,
        description="Cosine between the input image and the last frame.",
        source=_IDENTITY,
        cannot_see="Every frame but the last: a still clip of the input image scores 1.",
    ),
)
def _identity(features: Features) -> Mapping[str, float]:
    return identity(features.image(), features.frames())


@metric(
    Definition(
        name="dreambooth.dino",
        encoder_revision=1,
        kind="image",
        needs=("image",),
        unit="100 x cosine",
        higher_is_better=True,
        description="100 times the mean cosine between the input image and frames 1, 2, ....",
        source="Ruiz et al. 2023 (DreamBooth); Wu et al. 2024 (FreeInit)",
        published="dino_vits16",
        caution="Prompts differ by tens of points; never compare without the interval.",
        cannot_see="The order of frames and any motion: a still clip of the input image scores "
        "100.",
    ),
)
def _dreambooth(features: Features) -> float:
    return 100 * identity(features.image(), features.frames())["identity"]
