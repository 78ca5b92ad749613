"""Kernel distance: against a plain double loop, a closed form and torchmetrics, and its mean over
many samples.
"""

import itertools

import numpy as np
import pytest
import torch
from torchmetrics.image.kid import poly_mmd

from eval.errors import EvalError
from eval.metrics.kernel import kernel_distance


def _double_loop(x: np.ndarray, y: np.ndarray) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3)

    def mean(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
        return sum(k(a, b) for a, b in pairs) / len(pairs)

    within = mean(list(itertools.permutations(x, 2))) + mean(list(itertools.permutations(y, 2)))
    return within - 2 * mean(list(itertools.product(x, y)))


def test_it_agrees_with_a_plain_double_loop() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((7, 5)), generator.standard_normal((11, 5)) + 0.3
    assert kernel_distance(x, y) == pytest.approx(_double_loop(x, y), rel=1e-10)
    assert kernel_distance(x, y) == pytest.approx(kernel_distance(y, x), rel=1e-10)


def test_it_agrees_with_torchmetrics() -> None:
    generator = np.random.default_rng(1)
    x, y = generator.standard_normal((20, 16)), generator.standard_normal((20, 16)) + 0.5
    expected = poly_mmd(torch.from_numpy(x), torch.from_numpy(y))
    assert kernel_distance(x, y) == pytest.approx(float(expected), rel=1e-8)


def test_two_samples_of_one_distribution_average_to_zero() -> None:
    generator = np.random.default_rng(2)
    for n in (4, 32):  # unbiased whatever the number
        values = [kernel_distance(*generator.standard_normal((2, n, 8))) for _ in range(600)]
        assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(600)
        assert min(values) < 0


def test_two_constant_sets_have_a_closed_form() -> None:
    # (1 + 1)^3 + (1 + 9)^3 - 2 (1 + 3)^3 for features of all ones and all threes
    assert kernel_distance(np.ones((3, 6)), np.full((4, 6), 3.0)) == pytest.approx(8 + 1000 - 128)


def test_it_grows_with_the_shift() -> None:
    features = np.random.default_rng(3).standard_normal((2, 60, 8))
    values = [kernel_distance(features[0], features[1] + shift) for shift in (0.0, 0.5, 1.0, 2.0)]
    assert values == sorted(values)


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (np.zeros((1, 4)), np.zeros((5, 4)), "sets of 1 and 5"),
        (np.zeros((5, 4)), np.zeros((5, 3)), "features of 4 and of 3"),
        (np.zeros((5, 4)), np.full((5, 4), np.inf), "5 of 5 features"),
    ],
)
def test_bad_sets_are_named(real: np.ndarray, fake: np.ndarray, message: str) -> None:
    with pytest.raises(EvalError, match=message):
        kernel_distance(real, fake)
