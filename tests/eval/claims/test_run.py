"""Claims tested at the end of a run: on what is there, and never on what is not."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eval.claims.decision import Test
from eval.claims.seven_claims import CLAIMS
from eval.claims.values import Values
from eval.errors import EvalError
from eval.plan.cells import Plan
from eval.plan.planning import make_plan
from eval.store.store import Store

METRIC = "identity.dino_glyph.v1"


@pytest.fixture
def content(suite_content: dict[str, Any]) -> dict[str, Any]:
    toy = {"method": "toy_method:Toy"}
    return suite_content | {
        "claims": True,
        "reference": "full",
        "methods": [
            {**toy, "label": "full", "settings": {"t0": 0.5}},
            {
                **toy,
                "label": "content-adapter",
                "settings": {"t0": 1.0},
                "groups": ["unseen"],
                "limit": 2,
            },
            {**toy, "label": "broken", "settings": {"fail_on": "s1"}, "groups": ["unseen"]},
        ],
    }


def _values(plan: Plan, store: Store, change: float = 0.0) -> Values:
    """Values of cell `full` that lie `change` above those of `content-adapter`, on every pair."""
    found = Values(store, plan)
    for cell, value in (("full", 0.5 + change), ("content-adapter", 0.5)):
        pairs = plan.pairs(found.cells[cell])
        found.records[cell] = {
            (METRIC, s.id, seed): value + 0.01 * i for i, (s, seed) in enumerate(pairs)
        }
    return found


def test_a_run_writes_every_claim_and_passes_none_unmeasured(
    content: dict[str, Any], run_toy: Callable[..., Any]
) -> None:
    outcome = run_toy(content)
    found = json.loads((outcome.folder / "claims.json").read_text())
    assert [claim["number"] for claim in found["claims"]] == [1, 2, 3, 4, 5, 6, 7]
    assert {claim["verdict"] for claim in found["claims"]} <= {"not measured", "undecided"}
    identity = found["claims"][1]
    assert (identity["verdict"], identity["tests"][0]["n"], identity["tests"][0]["images"]) == (
        "undecided",
        4,
        2,
    )
    assert "2 images, 10 are needed" in identity["reason"]
    rows = list(csv.DictReader((outcome.folder / "claims.csv").read_text().splitlines()))
    assert len(rows) == sum(len(claim["tests"]) for claim in found["claims"])
    gone = next(
        row for row in rows if row["test"].startswith("identity, unseen, full - concatenation")
    )
    assert (gone["effect"], gone["verdict"]) == ("", "reported")
    assert "no cell concatenation" in gone["reason"]


def test_what_is_missing_is_not_measured(
    content: dict[str, Any], write_suite: Callable[..., Path], tmp_path: Path
) -> None:
    plan = make_plan(write_suite(content))
    with Store(tmp_path / "run") as store:
        values = _values(plan, store, 0.2)
        kept = values.test(Test("a", "identity", "full", "content-adapter"))
        assert (kept.verdict, kept.n, kept.images) == (
            "undecided",
            4,
            2,
        )  # few images, whatever the difference
        for test, reason in (
            (Test("a", "identity", "full", "nobody"), "no cell nobody"),
            (
                Test("a", "paper.clip_temp", "full", "content-adapter"),
                "does not measure paper.clip_temp",
            ),
            (Test("a", "fvd", "full", "content-adapter"), "0 of 4 pairs"),
            (Test("a", "identity", "full", "content-adapter", groups=("styled",)), "0 of 0 pairs"),
        ):
            found = values.test(test)
            assert found.verdict == "not measured"
            assert reason in found.reason
        del values.records["content-adapter"][METRIC, "s1", 0]
        assert (
            "3 of 4 pairs" in values.test(Test("a", "identity", "full", "content-adapter")).reason
        )


def test_set_measures_are_those_of_the_summary_and_differ_by_nothing_from_themselves(
    content: dict[str, Any], run_toy: Callable[..., Any], write_suite: Callable[..., Path]
) -> None:
    folder = run_toy(content).folder
    rows = csv.DictReader((folder / "summary.csv").read_text().splitlines())
    known = {row["metric"]: row for row in rows if (row["cell"], row["group"]) == ("full", "all")}
    with Store(folder, read_only=True) as store:
        values = Values(store, make_plan(write_suite(content)))
        for family in ("fvd", "kvd"):
            alone = values.test(Test("a", family, "full", "", "report"))
            stated = known[f"{family}.videomae_glyph.v1"]
            assert (alone.effect, alone.n) == (
                pytest.approx(float(stated["mean"])),
                int(stated["n"]),
            )
            same = values.test(Test("a", family, "full", "full"))
            assert (same.effect, same.low, same.high) == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)


def test_every_claim_speaks_of_cells_and_measures_of_the_shipped_suite() -> None:
    import yaml

    from eval.plan.suite import SHIPPED

    suite = yaml.safe_load((SHIPPED / "claims.yaml").read_text())
    labels = {entry.get("label", entry["method"]) for entry in suite["methods"]}
    swept = {
        f"{entry['label']}[{key}={value}]"
        for entry in suite["methods"]
        for key, values in entry.get("sweep", {}).items()
        for value in values
    }
    for claim in CLAIMS:
        for test in claim.tests:
            assert {test.first, test.second} - {""} <= labels | swept, test.title
            assert any(metric.startswith(f"{test.metric}.") for metric in suite["metrics"]), (
                test.title
            )
    assert suite["samples"]["seen"] + suite["samples"]["unseen"] >= 192
    assert suite["samples"]["seen"] == suite["samples"]["unseen"]


def test_groups_and_limits_choose_samples(
    content: dict[str, Any], write_suite: Callable[..., Path]
) -> None:
    plan = make_plan(write_suite(content))
    chosen = {
        cell.id: [sample.id for sample, seed in plan.pairs(cell) if seed == 0]
        for cell in plan.cells
    }
    assert chosen["full"] == ["s0", "s1", "s2", "s3", "s4", "s5"]
    assert chosen["content-adapter"] == ["s1", "s3"]
    assert chosen["broken"] == ["s1", "s3", "s5"]
    content["methods"][1]["groups"] = ["unsen"]
    with pytest.raises(
        EvalError, match=r"methods\[1\]\.groups: no group 'unsen'\. Allowed: seen, unseen\. Did you"
    ):
        make_plan(write_suite(content))


def test_exact_measures_ask_for_truth(
    content: dict[str, Any], write_suite: Callable[..., Path]
) -> None:
    content["metrics"] = ["exact.glyph.pixels.v1"]
    with pytest.raises(
        EvalError,
        match=r"metrics: 'exact\.glyph\.pixels\.v1': sample 's0' has no glyph-world ground",
    ):
        make_plan(write_suite(content))
