"""Fréchet distance between Gaussians fitted to two sets of features, its small-sample bias, and
what to warn about.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError
from eval.io.arrays import Float64Array

ENOUGH = 256
"""Sets smaller than this are warned about, whatever the feature dimension."""

ACCURACY = 1e-9
"""Relative error up to which the distance may come from the eigenvalues of the product of the
covariances.
"""

SMALLEST_PIVOT = 1e-9
"""Cholesky pivots below this share of the largest variance may be rounding; then the
eigendecomposition is used.
"""


def feature_matrix(features: npt.ArrayLike, name: str) -> Float64Array:
    """Features as float64 (N, D).

    Raises:
        EvalError: another number of axes, an empty axis, or a value that is not finite; `name`
            names the set.
    """
    array = np.asarray(features, dtype=np.float64)
    if array.ndim != 2 or min(array.shape) < 1:
        raise EvalError(
            f"{name}: features must have shape (N, D) with no empty axis, got {array.shape}."
        )
    bad = ~np.isfinite(array).all(axis=1)
    if bad.any():
        raise EvalError(
            f"{name}: {int(bad.sum())} of {len(array)} features hold values that are not finite."
        )
    return array


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """Number, mean and covariance of a set of features; two of them merge into those of the union.

    Attributes:
        n: number of features.
        mean: float64 (D,).
        covariance: float64 (D, D), with divisor n - 1; zero for a single feature.
    """

    n: int
    mean: Float64Array
    covariance: Float64Array

    @classmethod
    def from_features(cls, features: npt.ArrayLike, name: str = "features") -> "FeatureStatistics":
        """Statistics of features (N, D). Raises EvalError for a wrong shape or values that are not
        finite.
        """
        array = feature_matrix(features, name)
        mean = array.mean(axis=0)
        centred = array - mean
        return cls(len(array), mean, centred.T @ centred / max(1, len(array) - 1))

    def merge(self, other: "FeatureStatistics") -> "FeatureStatistics":
        """Statistics of the union of both sets, exact up to rounding.

        Raises:
            EvalError: feature sizes that differ.

        Source: Chan, Golub and LeVeque 1983, the pairwise update.
        """
        _same_dimension(self, other)
        n = self.n + other.n
        shift = other.mean - self.mean
        scatter = (
            (self.n - 1) * self.covariance
            + (other.n - 1) * other.covariance
            + np.outer(shift, shift) * (self.n * other.n / n)
        )
        return FeatureStatistics(n, self.mean + shift * (other.n / n), scatter / (n - 1))


def _same_dimension(a: FeatureStatistics, b: FeatureStatistics) -> None:
    if a.mean.shape != b.mean.shape:
        raise EvalError(
            f"features of {a.mean.shape[0]} and of {b.mean.shape[0]} dimensions: use one encoder "
            "for both."
        )


def _square_root(covariance: Float64Array) -> Float64Array:
    """A factor R (D, r), r the numerical rank, with R R^T = covariance: Cholesky's, several times
    cheaper, where the matrix is safely positive definite, else from the symmetric
    eigendecomposition.
    """
    symmetric = (covariance + covariance.T) / 2
    try:
        factor = np.linalg.cholesky(symmetric)
    except np.linalg.LinAlgError:
        pass
    else:
        # Rounding can carry Cholesky through a singular matrix: pivots that should be zero come out
        # as its size.
        if factor.diagonal().min() ** 2 > SMALLEST_PIVOT * symmetric.diagonal().max():
            return np.asarray(factor, dtype=np.float64)
    eigenvalues, vectors = np.linalg.eigh(symmetric)
    floor = max(float(eigenvalues[-1]), 0.0) * len(eigenvalues) * np.finfo(np.float64).eps
    kept = eigenvalues > floor
    return np.asarray(vectors[:, kept] * np.sqrt(eigenvalues[kept]))


def _product_roots(a: Float64Array, b: Float64Array) -> tuple[float, float]:
    """The sum of the square roots of the eigenvalues of C_a C_b, and a bound of its rounding error;
    the bound is inf where a covariance is not positive definite to rounding."""
    from scipy import linalg

    try:
        # Type 2 has the eigenvalues of the product: one Cholesky factor and one tridiagonal form,
        # no singular values.
        values = linalg.eigvalsh(a, b, type=2, driver="gv", check_finite=False)
    except np.linalg.LinAlgError:
        return 0.0, np.inf
    if values[0] <= 0:
        return 0.0, np.inf
    roots = np.sqrt(values)
    rounding = np.finfo(np.float64).eps * np.linalg.norm(a) * np.linalg.norm(b)
    return float(roots.sum()), float(rounding * (1 / roots).sum())


def frechet_distance(a: FeatureStatistics, b: FeatureStatistics) -> float:
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a^(1/2) C_b C_a^(1/2))^(1/2)), in float64.

    The trace of the root is the sum of the roots of the eigenvalues of C_a C_b. Rounding leaves an
    error in small eigenvalues that the root enlarges; where it may exceed `ACCURACY` of the
    distance, it is computed another way, two to three times as slow: with C_a = R_a R_a^T and C_b =
    R_b R_b^T (Cholesky, or `eigh` where singular) it is the sum of the singular values of R_a^T
    R_b. No root of a rounding error is taken there, so singular covariances (few features, many
    dimensions) do no harm and the distance of a set to itself is 0 to rounding.

    Args:
        a: statistics of one set, n >= 2.
        b: statistics of the other, n >= 2; the numbers may differ.

    Returns:
        The squared Fréchet (2-Wasserstein) distance of the two Gaussians, >= 0, symmetric in a and
        b.

    Raises:
        EvalError: fewer than two features in a set, feature sizes that differ, or a result that
            is not finite.

    Source: Dowson and Landau 1982; Heusel et al. 2017 (FID); Unterthiner et al. 2018 (FVD).

    Examples:
        >>> left = FeatureStatistics(9, np.zeros(2), np.diag([1.0, 4.0]))
        >>> right = FeatureStatistics(9, np.array([3.0, 0.0]), np.diag([4.0, 4.0]))
        >>> round(frechet_distance(left, right), 9)
        10.0
    """
    _same_dimension(a, b)
    _enough(a.n, b.n)
    shift = a.mean - b.mean
    apart = _finite(float(shift @ shift + np.trace(a.covariance) + np.trace(b.covariance)))
    if min(a.n, b.n) > len(shift):
        overlap, error = _product_roots(a.covariance, b.covariance)
        if error <= ACCURACY * (apart - 2 * overlap):
            return apart - 2 * overlap
    factors = _square_root(a.covariance).T @ _square_root(b.covariance)
    return max(0.0, apart - 2 * float(np.linalg.svd(factors, compute_uv=False).sum()))


def frechet_distance_of_features(
    x: npt.ArrayLike, y: npt.ArrayLike, *, divisor: Literal["n - 1", "n"] = "n - 1"
) -> float:
    """`frechet_distance` between the statistics of two sets of features.

    With no more features than dimensions, the trace of the root is the sum of the singular values
    of the N x M matrix X Y^T / sqrt((N - 1) (M - 1)) of centred features: no covariance is needed.

    Args:
        x: float (N, D), N >= 2.
        y: float (M, D), M >= 2.
        divisor: of the covariances; published implementations differ. ``n`` makes every
            covariance smaller by the factor (n - 1) / n.

    Raises:
        EvalError: as `frechet_distance`, or features of a wrong shape or that are not finite.

    Examples:
        >>> round(frechet_distance_of_features([[-1.0], [1.0]], [[2.0], [4.0]]), 9)
        9.0
    """
    left, right = feature_matrix(x, "x"), feature_matrix(y, "y")
    if left.shape[1] != right.shape[1] or max(len(left), len(right)) > left.shape[1]:
        statistics = (FeatureStatistics.from_features(features) for features in (left, right))
        return frechet_distance(*(_divided(each, divisor) for each in statistics))
    _enough(len(left), len(right))
    shift = left.mean(axis=0) - right.mean(axis=0)
    a, b = (
        (features - features.mean(axis=0)) / np.sqrt(len(features) - (divisor == "n - 1"))
        for features in (left, right)
    )
    apart = _finite(float(shift @ shift + (a**2).sum() + (b**2).sum()))
    return max(0.0, apart - 2 * float(np.linalg.svd(a @ b.T, compute_uv=False).sum()))


def _divided(statistics: FeatureStatistics, divisor: str) -> FeatureStatistics:
    if divisor == "n - 1":
        return statistics
    shrunk = statistics.covariance * ((statistics.n - 1) / statistics.n)
    return FeatureStatistics(statistics.n, statistics.mean, shrunk)


def _enough(n: int, m: int) -> None:
    if min(n, m) < 2:
        raise EvalError(
            f"Fréchet distance: sets of {n} and {m} features; 2 or more are needed in each."
        )


def _finite(value: float) -> float:
    if not np.isfinite(value):
        raise EvalError(
            f"Fréchet distance: the result is {value}; the features are too large for float64."
        )
    return value


class CorrectedFrechet(NamedTuple):
    """The extrapolated distance (may be slightly negative), the distance on all features, and the
    slope in 1/fraction."""

    value: float
    uncorrected: float
    slope: float


def bias_corrected_frechet(
    real: npt.ArrayLike,
    fake: npt.ArrayLike,
    *,
    fractions: Sequence[float] = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    repeats: int = 2,
    seed: int = 0,
) -> CorrectedFrechet:
    """Fréchet distance extrapolated to infinitely many features, from a straight line in 1/N.

    The distance of two finite samples is too large by about c/N. It is computed on random subsets
    of growing size, both sets shrunk by the same fraction, a line is fitted to it over 1/fraction,
    and its value at 1/fraction = 0 returned. The line fits once N exceeds the feature dimension;
    below that only part of the bias goes, so keep the small-sample warning.

    Args:
        real: float (N, D); if both sets have the same number, row i of both is kept or dropped
            together.
        fake: float (M, D).
        fractions: shares of the features to use, in (0, 1], at least two different ones.
        repeats: number of random subsets averaged at each fraction below 1.
        seed: seed of the subsets.

    Raises:
        EvalError: sets too small for the smallest fraction (2 features), or fractions or
            repeats out of range.

    Source: Chong and Forsyth 2020, "Effectively unbiased FID"; plain random subsets instead of
    quasi-random ones.
    """
    left, right = feature_matrix(real, "real"), feature_matrix(fake, "fake")
    if (
        len(set(fractions)) < 2
        or not all(0 < fraction <= 1 for fraction in fractions)
        or repeats < 1
    ):
        raise EvalError(
            f"bias correction: fractions {tuple(fractions)}, repeats {repeats}; "
            "allowed: two or more different fractions in (0, 1], 1 or more repeats."
        )
    generator = np.random.default_rng(seed)
    inverse: list[float] = []
    distances: list[float] = []
    for fraction in sorted(set(fractions)):
        n, m = round(fraction * len(left)), round(fraction * len(right))
        for _ in range(repeats if fraction < 1 else 1):
            rows = generator.permutation(len(left))[:n]
            others = rows if len(left) == len(right) else generator.permutation(len(right))[:m]
            inverse.append(0.5 * (len(left) / n + len(right) / m))
            distances.append(frechet_distance_of_features(left[rows], right[others]))
    slope, value = np.polyfit(inverse, distances, 1)
    return CorrectedFrechet(float(value), frechet_distance_of_features(left, right), float(slope))


def small_sample(n: int, dimension: int) -> list[tuple[str, dict[str, int]]]:
    """The caution that a Fréchet distance of n clips must carry, as a code with its fields; none if
    n is large enough.

    Args:
        n: number of clips in the smaller set.
        dimension: number of feature dimensions.
    """
    if n <= dimension:
        return [("mostly_bias", {"n": n, "dimension": dimension})]
    return [("biased_upwards", {"n": n, "enough": ENOUGH})] if n < ENOUGH else []
