"""The commands `report` and `compare`, which `python -m eval` finds through the entry points
i2v_eval.commands.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from eval.io.console import say


def report(
    directory: Annotated[Path, typer.Argument(help="Run folder that `run` wrote.")],
    samples: Annotated[int, typer.Option(min=0, help="Samples whose clips the page shows.")] = 8,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Folder that `calibrate` wrote; `calibration` beside the run folder if there is "
            "one."
        ),
    ] = None,
) -> None:
    """Writes report.html, report.md, sheet.png, tables/ and figures/ of a run into its folder; a
    calibration's page.
    """
    from eval.io.files import is_file
    from reports.calibration import FILE

    if is_file(directory / FILE):
        written = write_calibration(directory)
    else:
        beside = directory.resolve().parent / "calibration"
        found = beside if calibration is None and is_file(beside / FILE) else calibration
        written = write_report(directory, samples=samples, calibration=found)
    _name(directory, written)


def compare(
    directories: Annotated[
        list[Path],
        typer.Argument(help="Two or more run folders; the first is what others are held against."),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the page and its tables.", file_okay=False)
    ] = Path("comparison"),
    samples: Annotated[int, typer.Option(min=0, help="Samples whose clips the page shows.")] = 6,
) -> None:
    """Writes one page about two or more runs: measures side by side, paired where samples are the
    same, provenance.
    """
    _name(out, write_comparison(directories, out, samples=samples))


def _name(folder: Path, written: Sequence[Path]) -> None:
    """Prints the files written into a folder; of those in its folders only where they lie."""
    for name in dict.fromkeys(path.relative_to(folder).parts[0] for path in written):
        say(folder / name)


def write_report(
    directory: Path, *, samples: int = 8, calibration: Path | None = None
) -> list[Path]:
    """Writes the report of a run folder into it; each file appears whole or not at all.

    Args:
        directory: the run folder.
        samples: how many samples' clips the page shows at most.
        calibration: folder of a calibration of the run's measures.

    Returns:
        The files written, the page first.

    Raises:
        EvalError: the run folder is missing something; nothing has been written then.
    """
    from reports.calibration import load_calibration
    from reports.claims import claims_texts
    from reports.files import figure_files, table_files
    from reports.load import load_run
    from reports.markdown import render_markdown
    from reports.page import build, render_html
    from reports.sheet import render_sheet

    run = load_run(directory)
    known = None if calibration is None else load_calibration(calibration)
    content = build(run, samples=samples, calibration=known)
    texts = {
        "report.html": render_html(content),
        "report.md": render_markdown(content),
    } | table_files(content)
    texts |= claims_texts(run)
    files = {name: text.encode() for name, text in texts.items()} | {"sheet.png": render_sheet(run)}
    return [
        _write(directory / name, data) for name, data in (files | figure_files(content)).items()
    ]


def write_comparison(directories: Sequence[Path], out: Path, *, samples: int = 6) -> list[Path]:
    """Writes the page about two or more runs into a folder; each file appears whole or not at all.

    Returns:
        The files written, the page first.

    Raises:
        EvalError: fewer than two runs, or one of them misses something; nothing has been
            written then.
    """
    from reports.compare import comparison, comparison_tables, render_html
    from reports.files import slug
    from reports.load import load_run

    content = comparison([load_run(directory) for directory in directories], samples=samples)
    texts = {"comparison.html": render_html(content)}
    for table in comparison_tables(content):
        stem = f"tables/{slug(table.name)}"
        texts |= {
            f"{stem}.csv": table.csv(),
            f"{stem}.md": table.markdown() + "\n",
            f"{stem}.tex": table.latex(),
        }
    return [_write(out / name, text.encode()) for name, text in texts.items()]


def write_calibration(directory: Path) -> list[Path]:
    """Writes calibration.html and calibration.md of a calibration's folder into it, each whole or
    not at all.

    Returns:
        The files written, the page first.

    Raises:
        EvalError: ``calibration.json`` is unreadable; nothing has been written then.
    """
    from reports.calibration import load_calibration, render_html, render_markdown

    calibration = load_calibration(directory)
    texts = {
        "calibration.html": render_html(calibration),
        "calibration.md": render_markdown(calibration),
    }
    return [_write(directory / name, text.encode()) for name, text in texts.items()]


def _write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    os.replace(partial, path)
    return path
