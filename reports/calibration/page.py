"""The calibration as a page, and as Markdown for the documentation."""

from __future__ import annotations

from collections.abc import Sequence

from reports.calibration.content import (
    CONSTANTS,
    MARKS,
    MOTION,
    REMAKE,
    Calibration,
    blind_spots,
    constants,
    explanation,
    failures,
    matrix,
    motions,
    provenance,
    title,
)
from reports.tables.cells import markdown_text, to_markdown


def render_markdown(calibration: Calibration) -> str:
    """The tables for ``docs/calibration.md``; the curves are on the page."""
    parts = [
        "# Calibration: what each metric can and cannot see",
        f"Made by `{REMAKE}`; do not edit.",
    ]
    parts += explanation(calibration)
    words = calibration.content["verdicts"]
    parts.append(
        "\n".join(
            f"- **{markdown_text(name)}**: {markdown_text(text)}" for name, text in words.items()
        )
    )
    failing = failures(calibration)
    parts.append("## Should respond and does not")
    parts.append("\n".join(f"- {markdown_text(line)}" for line in failing) or "None.")
    for group in calibration.groups:
        parts.append(f"## {title(group)}")
        rows = [
            [metric, *(f"{a.verdict} {a.size}".strip() for a in row)]
            for metric, row in matrix(calibration, group)
        ]
        parts.append(to_markdown(["Metric", *calibration.corruptions(group)], rows))
        parts.append(to_markdown(CONSTANTS, constants(calibration, group)))
    parts.append("## Cannot be seen")
    parts.append("Metrics that see a corruption neither on glyph nor on camera clips:")
    parts.append("\n".join(f"- {markdown_text(line)}" for line in blind_spots(calibration)))
    if rows := motions(calibration):
        parts += ["## Motion against the exact flow", to_markdown(MOTION, rows)]
    strengths = [
        [name, entry["unit"], ", ".join(f"{step:g}" for step in entry["strengths"])]
        for name, entry in calibration.content["corruptions"].items()
    ]
    parts += ["## Corruptions", to_markdown(["Corruption", "Unit", "Strengths"], strengths)]
    parts += ["## Provenance", to_markdown(["Name", "Value"], provenance(calibration))]
    return "\n\n".join(parts) + "\n"


def render_html(calibration: Calibration) -> str:
    """One self-contained page: verdicts, curves as small multiples, constants, motion against the
    truth.
    """
    from markupsafe import Markup

    from reports.figures.responses import response_curves
    from reports.page.typeset import TEMPLATES, environment

    curves = [
        (metric, response_curves(metric, calibration), _sentence(calibration, metric))
        for metric in calibration.metrics
    ]
    return (
        environment()
        .get_template("calibration.html.j2")
        .render(
            calibration=calibration,
            explanation=explanation(calibration),
            verdicts=[
                (name, MARKS.get(name, "plain"), text)
                for name, text in calibration.content["verdicts"].items()
            ],
            failures=failures(calibration),
            blind=blind_spots(calibration),
            groups=[
                (
                    title(group),
                    calibration.corruptions(group),
                    matrix(calibration, group),
                    constants(calibration, group),
                )
                for group in calibration.groups
            ],
            constants_header=CONSTANTS,
            curves=curves,
            motion_header=MOTION,
            motions=motions(calibration),
            provenance=provenance(calibration),
            remake=REMAKE,
            style=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        )
    )


def _sentence(calibration: Calibration, metric: str) -> str:
    """The figure in words, for those who cannot see it."""
    parts: Sequence[str] = [
        f"{title(entry['group'])}: "
        + "; ".join(
            f"{name} {response['verdict']}" for name, response in entry["responses"].items()
        )
        for entry in calibration.content["metrics"]
        if entry["metric"] == metric
    ]
    return ". ".join(parts) + "."
