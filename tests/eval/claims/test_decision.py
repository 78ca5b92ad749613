"""The verdict rule on records with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from eval.claims.decision import Result, combine, decide
from eval.summary.statistics import Interval, mean_interval


def _paired(difference: float, *, images: int = 40, spread: float = 0.1) -> Interval:
    """Interval of paired differences of known mean: noise is symmetric, so the mean is exact."""
    noise = np.linspace(-spread, spread, images)
    return mean_interval(difference + noise, [f"image {i}" for i in range(images)])


@pytest.mark.parametrize(
    ("kind", "difference", "spread", "images", "verdict"),
    [
        ("more", 0.5, 0.1, 40, "holds"),
        ("more", -0.5, 0.1, 40, "fails"),
        ("more", 0.02, 0.01, 40, "fails"),  # surely above 0, and surely too small to matter
        ("more", 0.1, 2.0, 40, "undecided"),
        ("more", 0.5, 0.1, 9, "undecided"),  # too few images, however clear
        ("more", 0.5, 0.1, 1, "undecided"),
        ("no less", -0.02, 0.01, 40, "holds"),
        ("no less", 0.5, 0.1, 40, "holds"),
        ("no less", -0.5, 0.1, 40, "fails"),
        ("no less", -0.1, 1.0, 40, "undecided"),
        ("report", -5.0, 0.1, 40, "reported"),
        ("report", -5.0, 0.1, 3, "reported"),
    ],
)
def test_known_differences_have_known_verdicts(
    kind: str, difference: float, spread: float, images: int, verdict: str
) -> None:
    assert decide(kind, _paired(difference, images=images, spread=spread), 0.1)[0] == verdict  # type: ignore[arg-type]


def test_too_few_images_say_so() -> None:
    assert decide("more", _paired(0.5, images=4), 0.1)[1] == "4 images, 10 are needed"


def _result(verdict: str, kind: str = "more", title: str = "a test") -> Result:
    return Result(title, "m", "", kind, 0.1, 0.0, 0.0, 0.0, 40, 40, verdict)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("verdicts", "combined"),
    [
        (("holds", "holds"), "holds"),
        (("holds", "undecided"), "undecided"),
        (("holds", "not measured"), "not measured"),
        (("undecided", "not measured"), "not measured"),
        (("holds", "not measured", "fails"), "fails"),
        ((), "not measured"),
    ],
)
def test_a_claim_is_as_good_as_its_weakest_test(verdicts: tuple[str, ...], combined: str) -> None:
    assert combine([_result(verdict) for verdict in verdicts])[0] == combined


def test_reported_rows_have_no_say_and_alone_are_no_verdict() -> None:
    assert combine([_result("holds"), _result("reported", "report")])[0] == "holds"
    assert combine([_result("reported", "report")]) == ("not measured", "no test")


def test_the_deciding_test_is_named() -> None:
    assert (
        combine([_result("holds", title="fine"), _result("fails", title="this one")])[1]
        == "this one"
    )
