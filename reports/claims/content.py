"""The paper's claims: verdicts, the tables in the paper's shape, the curves, and which metric to
believe.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eval.errors import EvalError
from reports.claims import published as paper
from reports.run.measures import MINUS, Measure, measures_of
from reports.tables.cells import markdown_text, to_markdown

if TYPE_CHECKING:
    from reports.run.folder import RunFolder

FILE = "claims.json"
HERE, THERE = "Measured here, glyph world", "Paper, full size"
_TABLE_1 = (
    "full",
    "without-content",
    "content-adapter",
    "concatenation",
    "text-to-video",
    *("still-image", "pan-zoom", "true-clip"),
)
_TABLE_3 = {
    "neither": "neither",
    "without-i2v": "without I2V-Adapter",
    "without-content": "without content adapter",
}
_FAMILIES = (
    "paper.clip_temp",
    "paper.flow_score",
    "paper.warping_error",
    "identity",
    "text",
    "exact.glyph",
    "fvd",
)
_SWEEPS = {"t0": "prior", "p": "mask"}
_MARKS = {
    "holds": "better",
    "fails": "worse",
    "undecided": "unclear",
    "not measured": "unclear",
    "reported": "soft",
}
_GROUP = "all"
_BLUE = "#3b82d6"  # 3 : 1 on the light page and on the dark one


@dataclass(frozen=True)
class Table:
    """A table ready to typeset; `source` says whose numbers they are."""

    title: str
    source: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def load_claims(run: RunFolder) -> Mapping[str, Any] | None:
    """`claims.json` of a run, or None where its suite asked for no claims.

    Raises:
        EvalError: it is missing though the suite asks for it, or unreadable.
    """
    if not run.suite.get("claims"):
        return None
    path = run.path / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvalError(
            f"{path}: not readable ({error}); run the suite again with the same --out"
        ) from error
    if not isinstance(content, dict) or "claims" not in content or "judges" not in content:
        raise EvalError(f"{path}: not the claims of a run; run the suite again with the same --out")
    return content


def number(value: float | None) -> str:
    """Three significant digits with a typographic minus; "–" for none; whole large counts with
    separators.
    """
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return text.replace("-", MINUS)


def effect(test: Mapping[str, Any]) -> str:
    """A test's effect with its interval, in its unit."""
    interval = "" if test["low"] is None else f" [{number(test['low'])}, {number(test['high'])}]"
    return f"{number(test['effect'])}{interval} {test['unit']}".strip()


def verdict_rows(content: Mapping[str, Any]) -> list[list[str]]:
    """One row a claim: number, claim, verdict, and every test that decides, with its effect,
    interval and n.
    """
    rows = []
    for claim in content["claims"]:
        asked = [test for test in claim["tests"] if test["kind"] != "report"]
        said = "; ".join(f"{t['title']}: {effect(t)}{_counts(t)}, {t['verdict']}" for t in asked)
        rows.append([str(claim["number"]), claim["title"], claim["verdict"], said])
    return rows


def _counts(test: Mapping[str, Any]) -> str:
    return f" (n = {test['n']}, {test['images']} images)" if test["images"] else ""


def test_rows(claim: Mapping[str, Any]) -> list[list[str]]:
    """Every test of a claim: what, effect, n, images, what is asked, verdict, remarks, metric."""
    asked = {"more": "more than 0, {} matters", "no less": "no less than −{}", "report": "reported"}
    rows = []
    for t in claim["tests"]:
        wanted = asked[t["kind"]].format(number(t["margin"])) if t["metric"] != "weights" else ""
        remarks = "; ".join(filter(None, (t["reason"], t["paper"], t["prose"])))
        counts = [str(t["n"]), str(t["images"])] if t["images"] else ["–", "–"]
        rows.append([t["title"], effect(t), *counts, wanted, t["verdict"], remarks, t["metric"]])
    return rows


TEST_HEAD = ("Test", "Effect [95 %]", "n", "Images", "Asked", "Verdict", "Remarks", "Metric")
VERDICT_HEAD = ("No.", "Claim", "Verdict", "Tests that decide")
JUDGES_HEAD = ("Metric", "Exact measure", "ρ over all clips", "ρ within a method", "n", "Images")


def judge_rows(content: Mapping[str, Any]) -> list[list[str]]:
    """One row a metric and exact measure, the most telling first within each exact measure."""

    def spread(part: Mapping[str, Any]) -> str:
        interval = "" if part["low"] is None else f" [{part['low']:.2f}, {part['high']:.2f}]"
        return f"{part['mean']:.2f}{interval}".replace("-", MINUS)

    ordered = sorted(content["judges"], key=lambda row: (row["exact"], -row["across"]["mean"]))
    return [
        [
            row["metric"],
            row["exact"],
            spread(row["across"]),
            spread(row["within"]),
            str(row["across"]["n"]),
            str(row["across"]["clusters"]),
        ]
        for row in ordered
    ]


def paper_tables(run: RunFolder) -> list[Table]:
    """The paper's Tables 1 to 3, each as two tables: the paper's numbers, and what this run
    measured.
    """
    found = {
        (row.cell, row.metric): row
        for row in run.summary[run.summary["group"] == _GROUP].itertuples()
    }
    measures = [
        m for family in _FAMILIES for m in measures_of(run) if m.id.startswith(f"{family}.")
    ]

    def row(cell: str, name: str, shown: Sequence[Measure]) -> list[str]:
        texts, counts = [], set()
        for measure in shown:
            entry = found.get((cell, measure.id))
            if entry is None:
                texts.append("–")
                continue
            texts.append(
                f"{measure.number(entry.mean)} [{measure.interval(entry.low, entry.high)}]"
            )
            counts.add(round(entry.n))
        return [
            name,
            *texts,
            " to ".join(map(str, sorted({min(counts), max(counts)}))) if counts else "–",
        ]

    head = [f"{measure.heading} ({measure.encoder})" for measure in measures]
    tables = [Table("Table 1: methods", THERE, paper.TABLE_1_HEAD, paper.TABLE_1)]
    tables.append(
        Table(
            "Table 1: methods",
            HERE,
            ("Method", *head, "n"),
            [row(c, c, measures) for c in _TABLE_1],
        )
    )
    moving = [m for m in measures if m.family == "paper" and "clip_temp" not in m.id]
    for axis, label in _SWEEPS.items():
        fixed = "p = 1" if axis == "t0" else "t0 = 1"
        points = [
            (f"{value:g}", f"{flow:.4f}", f"{warp:.2f}")
            for value, flow, warp in paper.TABLE_2[axis]
        ]
        tables.append(
            Table(f"Table 2: {axis} at {fixed}", THERE, (axis, "FlowScore", "WarpingError"), points)
        )
        shown = [m.heading for m in moving]
        rows = [
            row(f"{label}[{axis}={value}]", f"{value:g}", moving)
            for value, _, _ in paper.TABLE_2[axis]
        ]
        tables.append(Table(f"Table 2: {axis} at {fixed}", HERE, (axis, *shown, "n"), rows))
    tables.append(Table("Table 3: design", THERE, paper.TABLE_3_HEAD, paper.TABLE_3))
    rows = [row(cell, name, measures) for cell, name in {**_TABLE_3, "full": "full"}.items()]
    tables.append(Table("Table 3: design", HERE, ("Design", *head, "n"), rows))
    return tables


def claims_html(run: RunFolder) -> str:
    """The section's inside, or "" where the suite asked for no claims."""
    content = load_claims(run)
    if content is None:
        return ""
    from reports.page.typeset import environment

    return (
        environment()
        .get_template("claims.html.j2")
        .render(
            content=content,
            verdict_head=VERDICT_HEAD,
            verdicts=verdict_rows(content),
            test_head=TEST_HEAD,
            tests=[(claim, test_rows(claim)) for claim in content["claims"]],
            marks=_MARKS,
            tables=paper_tables(run),
            curves=curves(run),
            judges_head=JUDGES_HEAD,
            judges=judge_rows(content),
        )
    )


def claims_texts(run: RunFolder) -> dict[str, str]:
    """`claims.md` of a run by name; nothing where the suite asked for no claims."""
    content = load_claims(run)
    if content is None:
        return {}
    parts = [
        "# The paper's claims",
        markdown_text(content["rule"]),
        to_markdown(VERDICT_HEAD, verdict_rows(content)),
    ]
    for claim in content["claims"]:
        parts += [f"## {claim['number']}. {markdown_text(claim['title'])} {claim['verdict']}"]
        parts += [markdown_text(claim["reason"])] if claim["reason"] else []
        parts += [to_markdown(TEST_HEAD, test_rows(claim))]
    for table in paper_tables(run):
        parts += [
            f"## {markdown_text(table.title)}. {table.source}",
            to_markdown(table.head, table.rows),
        ]
    parts += ["## Which metric to believe", to_markdown(JUDGES_HEAD, judge_rows(content))]
    return {"claims.md": "\n\n".join(parts) + "\n"}


def curves(run: RunFolder) -> str:
    """SVG of Table 2 as small multiples: above what was measured here, with intervals, below the
    paper's numbers.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from reports.figures.style import STYLE, write_svg

    rows = run.summary[run.summary["group"] == _GROUP]
    families = {"FlowScore": "paper.flow_score", "WarpingError": "paper.warping_error"}
    with rc_context({**STYLE, "svg.hashsalt": "claims"}):
        figure = Figure(figsize=(9.2, 4.2))
        panels = figure.subplots(2, 4)
        figure.subplots_adjust(left=0.08, right=0.99, top=0.9, bottom=0.12, wspace=0.4, hspace=0.55)
        for column, (axis, (at, (name, family))) in enumerate(
            (axis, item) for axis in _SWEEPS for item in enumerate(families.items(), start=1)
        ):
            points = []
            for setting in paper.TABLE_2[axis]:
                cell = rows[rows["cell"] == f"{_SWEEPS[axis]}[{axis}={setting[0]}]"]
                points += [
                    (setting[0], row.mean, row.low, row.high)
                    for row in cell.itertuples()
                    if row.metric.startswith(f"{family}.")
                ]
            here, there = panels[0][column], panels[1][column]
            if points:
                x, mean, low, high = zip(*points, strict=True)
                here.vlines(x, low, high, linewidth=1.0, color=_BLUE)
                here.plot(x, mean, marker="o", markersize=3, linewidth=1.2, color=_BLUE)
            there.plot(
                [s[0] for s in paper.TABLE_2[axis]],
                [s[at] for s in paper.TABLE_2[axis]],
                "s-",
                markersize=3,
                linewidth=1.2,
                color="#808080",
            )
            here.set_title(f"{name}, here", fontsize=9)
            there.set_title(f"{name}, paper", fontsize=9)
            for panel in (here, there):
                panel.set_facecolor("none")
                panel.set_xlabel(axis)
        return write_svg("claims curves", figure)
