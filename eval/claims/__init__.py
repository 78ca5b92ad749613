"""The paper's claims, each with a verdict. A run of a suite with ``claims: true`` tests them at its
end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from eval.claims.decision import RULE, Result, Verdict, combine
from eval.claims.metric_correlations import agreements
from eval.claims.seven_claims import CLAIMS, Claim
from eval.claims.values import Values
from eval.claims.weight_facts import facts
from eval.errors import WeightsMissingError
from eval.io.documents import finite, write_csv, write_json
from eval.plan.cells import Plan
from eval.store.store import Store

FILE = "claims.json"
COLUMNS = (
    "claim",
    "claim_verdict",
    "test",
    "kind",
    "metric",
    "unit",
    "effect",
    "low",
    "high",
    "n",
    "images",
    "margin",
    "verdict",
    "reason",
)

__all__ = ["FILE", "RULE", "DecidedClaim", "decide_claims", "write_claims"]


@dataclass(frozen=True)
class DecidedClaim:
    """A claim with its verdict, the test that decided it if it does not hold, and every test."""

    claim: Claim
    verdict: Verdict
    reason: str
    results: tuple[Result, ...]


def decide_claims(values: Values, known: Mapping[str, list[Result]]) -> list[DecidedClaim]:
    """Every claim with its verdict.

    Args:
        values: what the run measured.
        known: kind of fact -> rows; a kind that a claim needs and that is not there is not
            measured.
    """
    decided = []
    for claim in CLAIMS:
        results = [row for kind in claim.facts for row in known.get(kind, [_unknown(kind)])]
        results += [values.test(test) for test in claim.tests]
        decided.append(DecidedClaim(claim, *combine(results), tuple(results)))
    return decided


def write_claims(store: Store, plan: Plan) -> None:
    """Writes ``claims.json`` and ``claims.csv`` of a run into its folder."""
    values = Values(store, plan)
    decided = decide_claims(values, _facts(store, plan))
    content = {
        "rule": RULE,
        "claims": [
            {
                "number": item.claim.number,
                "title": item.claim.title,
                "verdict": item.verdict,
                "reason": item.reason,
                "tests": [asdict(result) for result in item.results],
            }
            for item in decided
        ],
        "judges": [
            {"metric": row.metric, "exact": row.exact}
            | {name: getattr(row, name)._asdict() for name in ("across", "within")}
            for row in agreements(values)
        ],
    }
    write_json(store.folder / FILE, content)
    rows = []
    for item in decided:
        for result in item.results:
            row = {
                "claim": item.claim.number,
                "claim_verdict": item.verdict,
                "test": result.title,
                **asdict(result),
            }
            rows.append(["" if finite(row[name]) is None else row[name] for name in COLUMNS])
    write_csv(store.folder / "claims.csv", COLUMNS, rows)


def _facts(store: Store, plan: Plan) -> dict[str, list[Result]]:
    """Facts about the glyph world's weights, if that is what the run's cell ``full`` uses and they
    are there.
    """
    full = next((cell for cell in plan.cells if cell.id == "full"), None)
    if full is None or full.method != "i2v-adapter" or full.base is not None:
        return {}
    from eval.world.models import WEIGHTS

    try:
        return facts(store.folder, WEIGHTS)
    except WeightsMissingError:
        return {}


def _unknown(kind: str) -> Result:
    nan = float("nan")
    reason = "the run has no cell full of the method i2v-adapter, or its weights are missing"
    return Result(
        f"weights: {kind}", "weights", "", "more", 0.0, nan, nan, nan, 0, 0, "not measured", reason
    )
