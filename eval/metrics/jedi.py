"""JEDi's distance between two sets of features."""

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError
from eval.metrics.definitions import Definition, SetNotes, SetSteps, metric
from eval.metrics.frechet import feature_matrix, small_sample

SCALE = 100.0
"""JEDi is this many times the squared maximum mean discrepancy."""


def biased_mmd(
    real: npt.ArrayLike,
    fake: npt.ArrayLike,
    *,
    degree: int = 2,
    gamma: float | None = None,
    coefficient: float = 0.0,
) -> float:
    """Squared maximum mean discrepancy under the kernel (gamma x . y + coefficient) ** degree.

    All pairs of a set count, a feature with itself too, so that the value is never below 0 (up to
    rounding) and its expectation falls as sets grow. Compare equal N only.

    Args:
        real: float (N, D).
        fake: float (M, D); M may differ from N.
        degree: of the polynomial.
        gamma: 1 / D if None.
        coefficient: constant of the polynomial.

    Raises:
        EvalError: a wrong shape, feature sizes that differ, values that are not finite, or a
            result that float64 cannot hold.

    Source: Luo et al. 2024 (JEDi), videojedi/mmd_polynomial.py.

    Example:
        >>> biased_mmd([[1.0], [3.0]], [[2.0]])
        1.0
    """
    left, right = feature_matrix(real, "real"), feature_matrix(fake, "fake")
    if left.shape[1] != right.shape[1]:
        raise EvalError(
            f"features of {left.shape[1]} and of {right.shape[1]} dimensions: use one encoder for "
            "both."
        )
    scale = 1 / left.shape[1] if gamma is None else gamma

    def mean(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
        return float(((scale * (a @ b.T) + coefficient) ** degree).mean())

    with np.errstate(over="ignore", invalid="ignore"):
        value = mean(left, left) + mean(right, right) - 2 * mean(left, right)
    if not np.isfinite(value):
        raise EvalError(f"JEDi: the result is {value}; the features are too large for float64.")
    return value


def jedi(real: npt.ArrayLike, fake: npt.ArrayLike) -> float:
    """100 times `biased_mmd` with the kernel (x . y / D) ** 2.

    Args:
        real: float (N, D), features of true clips; V-JEPA's have D = 1280.
        fake: float (M, D), features of generated clips.

    Raises:
        EvalError: as `biased_mmd`.

    Source: Luo et al. 2024, "Beyond FVD: Enhanced Evaluation Metrics for Video Generation Quality".

    Example:
        >>> jedi([[1.0], [3.0]], [[2.0]])
        100.0
    """
    return SCALE * biased_mmd(real, fake)


def _few_clips(
    real: npt.NDArray[np.float64], fake: npt.NDArray[np.float64], images: int, dimension: int
) -> SetNotes:
    return SetNotes(float("nan"), small_sample(min(len(fake), len(real), images), dimension))


@metric(
    Definition(
        name="jedi",
        kind="video",
        scope="set",
        unit="100 x squared kernel distance",
        higher_is_better=False,
        description="100 times the biased squared maximum mean discrepancy between the video "
        "features of true and generated clips, with the kernel (x . y / D) ** 2.",
        source="Luo et al. 2024 (JEDi)",
        published="vjepa1_vith16_ssv2",
        also=("vjepa2_vitl_ssv2",),
        caution="Biased upwards: equal N only. JEDi leaves size, crop and frame rate to the "
        "caller; here V-JEPA is shown 16 frames squashed to 224 x 224, so published values need "
        "the same. Its code cannot normalise clips of other than 3 frames, so which normalisation "
        "its published figures used is not known; here it is ImageNet's, per channel. V-JEPA 2 or "
        "another encoder is another measure.",
        cannot_see="Single clips: where the statistics of the set agree, it does not matter which "
        "clip shows what, or whether a clip fits its own image.",
    ),
    steps=SetSteps(notes=_few_clips),
)
def _jedi(real: npt.NDArray[np.float64], fake: npt.NDArray[np.float64]) -> float:
    return jedi(real, fake)
