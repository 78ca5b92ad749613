"""Kernel video distance: an unbiased distance between two sets of features that needs no
Gaussian."""

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError
from eval.io.arrays import Float64Array
from eval.metrics.definitions import Definition, metric
from eval.metrics.frechet import feature_matrix


def polynomial_kernel(
    a: Float64Array, b: Float64Array, *, degree: int = 3, coefficient: float = 1.0
) -> Float64Array:
    """(a_i . b_j / D + coefficient) ** degree for rows of float64 (N, D) and (M, D): float64 (N,
    M).
    """
    return np.asarray((a @ b.T / a.shape[1] + coefficient) ** degree)


def kernel_distance(real: npt.ArrayLike, fake: npt.ArrayLike) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy under the cubic kernel (x . y / D +
    1)^3.

    Unbiased means that its expectation does not depend on the number of clips: it is 0 for two
    samples of one distribution, and single values may be negative. All pairs are used, not random
    subsets, so there is nothing to seed.

    Args:
        real: float (N, D), N >= 2.
        fake: float (M, D), M >= 2; M may differ from N.

    Raises:
        EvalError: fewer than two features in a set, feature sizes that differ, values that are
            not finite.

    Source: Gretton et al. 2012, equation 3; Binkowski et al. 2018 (kernel and its constants);
    Unterthiner et al. 2018.

    Examples:
        >>> kernel_distance([[0.0], [0.0]], [[2.0], [2.0]])
        124.0
    """
    left, right = feature_matrix(real, "real"), feature_matrix(fake, "fake")
    n, m = len(left), len(right)
    if left.shape[1] != right.shape[1]:
        raise EvalError(
            f"features of {left.shape[1]} and of {right.shape[1]} dimensions: use one encoder for "
            "both."
        )
    if min(n, m) < 2:
        raise EvalError(
            f"kernel distance: sets of {n} and {m} features; 2 or more are needed in each."
        )
    within_real, within_fake = polynomial_kernel(left, left), polynomial_kernel(right, right)
    value = (
        (within_real.sum() - np.trace(within_real)) / (n * (n - 1))
        + (within_fake.sum() - np.trace(within_fake)) / (m * (m - 1))
        - 2 * polynomial_kernel(left, right).mean()
    )
    if not np.isfinite(value):
        raise EvalError(
            f"kernel distance: the result is {value}; the features are too large for float64."
        )
    return float(value)


@metric(
    Definition(
        name="kvd",
        encoder_revision=1,
        kind="video",
        scope="set",
        unit="squared feature distance",
        higher_is_better=False,
        description="Unbiased squared maximum mean discrepancy (cubic kernel) between features of "
        "true and generated clips: means over the N (N - 1) pairs of different clips of a set.",
        source="Binkowski et al. 2018 (KID); Unterthiner et al. 2018 (KVD)",
        caution="Unbiased, so it may be negative; not an FVD, and of another scale.",
        cannot_see="Single clips: where the statistics of the set agree, it does not matter which "
        "clip shows what, or whether a clip fits its own image.",
    )
)
def _kvd(real: Float64Array, fake: Float64Array) -> float:
    return kernel_distance(real, fake)
