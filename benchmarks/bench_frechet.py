"""Fréchet distance against scipy's `sqrtm`, and streaming statistics against keeping all features.
CPU arithmetic.
"""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.scenario import Bench, Variant
from eval.metrics.frechet import FeatureStatistics, frechet_distance, frechet_distance_of_features

Case = tuple[int, int]


def cases(device: str) -> list[Case]:
    """(features n, dimensions d): more features than dimensions, and fewer."""
    return [(2 * d, d) for d in (400, 768, 1408)] + [(256, d) for d in (400, 768, 1408)]


def _features(n: int, d: int, seed: int) -> NDArray[np.float64]:
    """Correlated features whose covariance has a falling spectrum, as networks' have."""
    generator = np.random.default_rng(seed)
    return generator.standard_normal((n, d)) / np.sqrt(np.arange(1, d + 1)) + 0.05 * seed


def _by_sqrtm(a: FeatureStatistics, b: FeatureStatistics) -> float:
    """The usual implementation: scipy's square root of the product of the covariances."""
    from scipy import linalg

    root = np.real(linalg.sqrtm(a.covariance @ b.covariance))
    shift = a.mean - b.mean
    return float(
        shift @ shift + np.trace(a.covariance) + np.trace(b.covariance) - 2 * np.trace(root)
    )


def _by_features(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """The same number from the features alone: the overlap is the nuclear norm of the N x N matrix
    X Y^T.
    """
    a, b = ((f - f.mean(0)) / np.sqrt(len(f) - 1) for f in (x, y))
    shift = x.mean(0) - y.mean(0)
    overlap = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(shift @ shift + (a**2).sum() + (b**2).sum() - 2 * overlap)


def test_distance(bench: Bench, case: Case) -> None:
    n, d = case
    x, y = _features(n, d, 0), _features(n, d, 1)
    a, b = FeatureStatistics.from_features(x), FeatureStatistics.from_features(y)

    def here() -> float:
        """What the suite computes: from the statistics, or of few clips from the features
        themselves.
        """
        return frechet_distance(a, b) if n > d else frechet_distance_of_features(x, y)

    expected = _by_features(x, y)
    errors = {
        name: abs(distance() - expected) / expected
        for name, distance in {"here": here, "sqrtm": lambda: _by_sqrtm(a, b)}.items()
    }
    row = bench.compare(
        f"Fréchet distance, n = {n}, d = {d}",
        {
            "here": lambda: Variant(here, notes={"relative_error": errors["here"]}),
            "sqrtm": lambda: Variant(
                lambda: _by_sqrtm(a, b), notes={"relative_error": errors["sqrtm"]}
            ),
        },
        rounds=15 if d < 700 else 9 if d < 1000 else 6,
        ratios=[("sqrtm", "here")],
    )
    row["n"], row["d"] = n, d


def test_streaming_memory(bench: Bench) -> None:
    n, d, chunk = 8192, 768, 256

    def peak(run: Any) -> int:
        tracemalloc.start()
        run()
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    def chunks() -> Any:
        generator = np.random.default_rng(2)
        return (generator.standard_normal((chunk, d), dtype=np.float32) for _ in range(n // chunk))

    def streamed() -> FeatureStatistics:
        total: FeatureStatistics | None = None
        for features in chunks():
            part = FeatureStatistics.from_features(features)
            total = part if total is None else total.merge(part)
        assert total is not None
        return total

    def kept() -> FeatureStatistics:
        return FeatureStatistics.from_features(np.concatenate(list(chunks())))

    def measure() -> dict[str, Any]:
        streaming, keeping = peak(streamed), peak(kept)
        values = {
            "streaming MB": streaming / 1e6,
            "keeping MB": keeping / 1e6,
            "keeping / streaming": keeping / streaming,
        }
        return {"values": values}

    bench.once(f"memory of statistics, n = {n}, d = {d}", measure)
