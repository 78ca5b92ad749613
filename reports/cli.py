"""The command `report`, found by the evaluation suite's command line through the entry points i2v_eval.commands."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import typer


def report(
    directory: Annotated[Path, typer.Argument(help="Run folder that `run` wrote.")],
    samples: Annotated[int, typer.Option(min=0, help="Samples whose clips the page shows.")] = 8,
) -> None:
    """Writes report.html, report.md, sheet.png and tables/*.csv of a run into its folder; a calibration's own page."""
    from reports.calibration import FILE

    calibrated = (directory / FILE).is_file()
    for path in write_calibration(directory) if calibrated else write_report(directory, samples=samples):
        typer.echo(path)


def write_report(directory: Path, *, samples: int = 8) -> list[Path]:
    """Writes the report of a run folder into it; each file appears whole or not at all.

    Returns:
        The files written, the page first.

    Raises:
        EvalError: the run folder is missing something; nothing has been written then.
    """
    from reports.claims import claims_texts
    from reports.load import load_run
    from reports.markdown import render_markdown
    from reports.page import build, render_html
    from reports.sheet import render_sheet
    from reports.tables import cell_frame

    run = load_run(directory)
    content = build(run)
    texts = {"report.html": render_html(content, samples=samples), "report.md": render_markdown(content)}
    for group in run.groups:
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", group).strip("-") or "group"
        texts[f"tables/cells-{name}.csv"] = cell_frame(run, group).to_csv(index=False, lineterminator="\n")
    if len(run.comparisons):
        texts["tables/comparisons.csv"] = run.comparisons.to_csv(index=False, lineterminator="\n")
    texts |= claims_texts(run)
    written = {name: text.encode() for name, text in texts.items()} | {"sheet.png": render_sheet(run)}
    return [_write(directory / name, data) for name, data in written.items()]


def write_calibration(directory: Path) -> list[Path]:
    """Writes calibration.html and calibration.md of a calibration's folder into it, each whole or not at all.

    Returns:
        The files written, the page first.

    Raises:
        EvalError: ``calibration.json`` is unreadable; nothing has been written then.
    """
    from reports.calibration import load_calibration, render_html, render_markdown

    calibration = load_calibration(directory)
    texts = {"calibration.html": render_html(calibration), "calibration.md": render_markdown(calibration)}
    return [_write(directory / name, text.encode()) for name, text in texts.items()]


def _write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    os.replace(partial, path)
    return path
