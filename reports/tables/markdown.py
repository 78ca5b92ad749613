"""The report as Markdown: the page's words and tables without its pictures."""

from __future__ import annotations

from reports.answer.paragraph import focus_group
from reports.answer.sentences import Name, Sentence
from reports.page.report import Report
from reports.tables.cells import markdown_text, to_markdown
from reports.tables.plain import plain_cells, plain_comparisons


def render_markdown(report: Report) -> str:
    """The report as one Markdown text."""
    run = report.run
    parts = [
        f"# Image-to-video evaluation: {markdown_text(run.name)}",
    ]
    for group, found in report.verdicts.items():
        parts.append(f"**{markdown_text(group)}**: " + " ".join(map(_sentence, found.sentences)))
    if report.unmeasured:
        parts.append(_sentence(report.unmeasured))
    parts += ["## In words", " ".join(map(_sentence, report.sentences[focus_group(run)]))]
    parts.append(f"{report.where} Clips, heatmaps and the Pareto plot are in `report.html`.")
    if report.warnings:
        parts += [
            "## Warnings",
            "\n".join(f"- {markdown_text(warning)}" for warning in report.warnings),
        ]
    parts += [
        "## Cells and measures",
        "Mean (95 % interval). ↑ higher is better, ↓ lower is better; bold: separated from every "
        "rival.",
    ]
    for group, table in report.cells.items():
        n = f", n = {table.n}" if table.n else ""
        parts += [f"### Group {markdown_text(group)}{n}", plain_cells(table).markdown()]
    if report.comparisons:
        parts += [
            "## Paired comparisons",
            "Reference minus each cell (95 % interval); a verdict where it excludes 0.",
        ]
    for group, compared in report.comparisons.items():
        n = f", n = {compared.n} pairs" if compared.n else ""
        heading = (
            f"### Group {markdown_text(group)}: {markdown_text(compared.reference)} minus "
            f"each cell{n}"
        )
        parts += [heading, plain_comparisons(compared).markdown()]
    if report.accuracies:
        rows = [
            [encoder.name, f.name, f.value, f.bar, f.n]
            for encoder in report.accuracies
            for f in encoder.figures
        ]
        parts += [
            "## Accuracy of the encoders",
            to_markdown(["Part", "Figure", "Value", "Bar", "n"], rows),
        ]
    definitions = [[m.id, m.unit, m.direction, m.description, m.source] for m in report.measures]
    parts += [
        "## Metric definitions",
        to_markdown(["Id", "Unit", "Direction", "Definition", "Source"], definitions),
    ]
    return "\n\n".join(parts) + "\n"


def _sentence(sentence: Sentence) -> str:
    return "".join(
        f"**{markdown_text(part)}**" if isinstance(part, Name) else markdown_text(part)
        for part in sentence
    )
