"""The commands `report` and `compare`, which `i2v-eval` finds through the entry points
i2v_eval.commands.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from eval.io.console import say


def report(
    directory: Annotated[Path, typer.Argument(help="Run folder that `run` wrote.")],
    samples: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Samples whose clips the page shows. Without it 8, and fewer of more than 100 "
            "cells: 800 clips, but 2 samples or more.",
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Folder that `calibrate` wrote; `calibration` beside the run folder if there is "
            "one."
        ),
    ] = None,
    metrics: Annotated[
        str,
        typer.Option(
            help="Comma-separated ids, or first parts of ids, of the columns of tables/paper-*.tex."
        ),
    ] = "",
    style: Annotated[
        str,
        typer.Option(help="Intervals of tables/paper-*.tex: ci (both ends) or pm (± half)."),
    ] = "ci",
    lossless: Annotated[
        bool, typer.Option("--lossless", help="Keep every bit of the clips' frames in the page.")
    ] = False,
    paper: Annotated[
        bool,
        typer.Option("--paper", help="Also write figures/*.pdf, one column of a paper wide."),
    ] = False,
) -> None:
    """Writes report.html, report.md, sheet.png, tables/ and figures/ of a run into its folder; a
    calibration's page.
    """
    from eval.io.files import is_file
    from reports.calibration.content import FILE

    if is_file(directory / FILE):
        written = write_calibration(directory)
    else:
        beside = directory.resolve().parent / "calibration"
        found = beside if calibration is None and is_file(beside / FILE) else calibration
        written = write_report(
            directory,
            samples=samples,
            calibration=found,
            lossless=lossless,
            metrics=metrics,
            style=style,
            paper=paper,
        )
    _name(directory, written)


def compare(
    directories: Annotated[
        list[Path],
        typer.Argument(
            help="Two or more run folders; the first is the one that others are compared with."
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the page and its tables.", file_okay=False)
    ] = Path("comparison"),
    samples: Annotated[int, typer.Option(min=0, help="Samples whose clips the page shows.")] = 6,
    pair: Annotated[
        list[str] | None,
        typer.Option(
            help="A=B: subtract cell A of the first run from cell B of another; may be repeated."
        ),
    ] = None,
) -> None:
    """Writes one page about two or more runs: measures side by side, paired where samples are the
    same, provenance.
    """
    _name(out, write_comparison(directories, out, samples=samples, pairs=pair or ()))


def _name(folder: Path, written: Sequence[Path]) -> None:
    """Prints the files and folders that were written, once each."""
    for name in dict.fromkeys(path.relative_to(folder).parts[0] for path in written):
        say(folder / name)


def write_report(
    directory: Path,
    *,
    samples: int | None = None,
    calibration: Path | None = None,
    lossless: bool = False,
    metrics: str = "",
    style: str = "ci",
    paper: bool = False,
) -> list[Path]:
    """Writes the report of a run folder into it; each file appears whole or not at all.

    Args:
        directory: the run folder.
        samples: how many samples' clips the page shows at most; None: see
            `reports.page.clips.Gallery.usual_samples`.
        calibration: folder of a calibration of the run's measures.
        lossless: keep every bit of the clips' frames in the page.
        metrics: comma-separated measures of ``tables/paper-<group>.tex``; none: the leading ones.
        style: of its intervals, see `reports.tables.paper.Style`.
        paper: also write ``figures/*.pdf``, one column of a paper wide.

    Returns:
        The files written, the page first.

    Raises:
        EvalError: the run folder is missing something; nothing has been written then.
    """
    from reports.calibration.content import load_calibration
    from reports.claims.content import claims_texts
    from reports.figures.sheet import render_sheet
    from reports.page.report import BESIDE, build, render_html
    from reports.run.load import load_run
    from reports.tables.files import figure_files, paper_files, table_files
    from reports.tables.markdown import render_markdown

    run = load_run(directory)
    known = None if calibration is None else load_calibration(calibration)
    content = build(run, samples=samples, calibration=known, lossless=lossless)
    texts = {
        "report.html": render_html(content),
        "report.md": render_markdown(content),
    } | table_files(content)
    texts |= claims_texts(run) | paper_files(content, metrics, style)
    files = {name: text.encode() for name, text in texts.items()} | {"sheet.png": render_sheet(run)}
    if content.beside:
        files |= {f"{BESIDE}/{key}.webp": film.data for key, film in content.films.items()}
    files |= figure_files(content, paper=paper)
    return [write_file(directory / name, data) for name, data in files.items()]


def write_comparison(
    directories: Sequence[Path], out: Path, *, samples: int = 6, pairs: Sequence[str] = ()
) -> list[Path]:
    """Writes the page about two or more runs into a folder; each file appears whole or not at all.

    Args:
        directories: run folders; differences are each run minus the first.
        out: the folder.
        samples: how many samples' clips the page shows at most.
        pairs: "A=B" each: cell A of the first run is subtracted from cell B of another.

    Returns:
        The files written, the page first.

    Raises:
        EvalError: fewer than two runs, one of them misses something, or a pair names a cell that
            is not there; nothing has been written then.
    """
    from reports.compare.comparison import comparison, comparison_tables
    from reports.compare.joined import split_pair
    from reports.compare.page import BESIDE, MEDIA_BUDGET, films_of, render_html, weight
    from reports.run.load import load_run
    from reports.tables.files import slug

    runs = [load_run(directory) for directory in directories]
    content = comparison(runs, samples=samples, pairs=[split_pair(text) for text in pairs])
    files = {"comparison.html": render_html(content).encode()}
    for table in comparison_tables(content):
        stem = f"tables/{slug(table.name)}"
        texts = {"csv": table.csv(), "md": table.markdown() + "\n", "tex": table.latex()}
        files |= {f"{stem}.{suffix}": text.encode() for suffix, text in texts.items()}
    if weight(content) > MEDIA_BUDGET:
        files |= {f"{BESIDE}/{key}.webp": film.data for key, film in films_of(content).items()}
    return [write_file(out / name, data) for name, data in files.items()]


def write_calibration(directory: Path) -> list[Path]:
    """Writes calibration.html and calibration.md of a calibration's folder into it, each whole or
    not at all.

    Returns:
        The files written, the page first.

    Raises:
        EvalError: ``calibration.json`` is unreadable; nothing has been written then.
    """
    from reports.calibration.content import load_calibration
    from reports.calibration.page import render_html, render_markdown

    calibration = load_calibration(directory)
    texts = {
        "calibration.html": render_html(calibration),
        "calibration.md": render_markdown(calibration),
    }
    return [write_file(directory / name, text.encode()) for name, text in texts.items()]


def write_file(path: Path, data: bytes) -> Path:
    """Writes a file that appears whole or not at all, and returns its path.

    Raises:
        StoreError: naming the file, if it cannot be written (disk full, read-only folder).
    """
    from eval.io.files import write_whole

    write_whole(path, data)
    return path
