"""JEDi's distance: the values of its authors' example, a moment identity, and closed forms."""

import numpy as np
import pytest

from eval.errors import EvalError
from eval.metrics.jedi import biased_mmd, jedi

X = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
Y = np.array([[7, 6, 5], [4, 3, 2], [1, 1, 8], [0, 2, 5]])


@pytest.mark.parametrize(
    ("degree", "gamma", "coefficient", "expected"),
    [(2, None, 0.0, 270.7222), (2, 1.0, 0.0, 2436.5), (3, None, 1.0, 23088.0833)],
)
def test_it_agrees_with_the_authors_example(
    degree: int, gamma: float | None, coefficient: float, expected: float
) -> None:
    found = biased_mmd(X, Y, degree=degree, gamma=gamma, coefficient=coefficient)
    assert found == pytest.approx(expected, abs=6e-5)


def test_it_is_the_distance_of_second_moments() -> None:
    """Under (x . y / D)^2 the distance is |E x x^T - E y y^T|^2 / D^2 (Frobenius)."""
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((9, 6)), generator.standard_normal((14, 6)) + 0.4
    difference = x.T @ x / len(x) - y.T @ y / len(y)
    assert jedi(x, y) == pytest.approx(100 * (difference**2).sum() / 36, rel=1e-10)
    assert jedi(x, y) == pytest.approx(jedi(y, x), rel=1e-10)


def test_equal_sets_and_mirrored_sets_have_distance_zero() -> None:
    x = np.random.default_rng(1).standard_normal((8, 5))
    assert jedi(x, x) == pytest.approx(0, abs=1e-10)
    assert jedi(x, -x) == pytest.approx(0, abs=1e-10)  # an even kernel without a constant
    assert jedi(x, np.concatenate([x, x])) == pytest.approx(0, abs=1e-10)


def test_what_is_no_feature_set_is_refused() -> None:
    with pytest.raises(EvalError, match="of 3 and of 2 dimensions"):
        jedi(X, Y[:, :2])
    with pytest.raises(EvalError, match="not finite"):
        jedi(X, np.full((2, 3), np.nan))
    with pytest.raises(EvalError, match="too large for float64"):
        jedi(np.full((2, 3), 1e200), Y)
