"""``i2v-eval status | export | track | salvage``: what one does with a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eval.io.console import cell as printable
from eval.io.console import say, show

Folder = Annotated[Path, typer.Argument(help="Run folder.", metavar="DIR")]
Debug = Annotated[bool, typer.Option(help="Show the traceback of an error.")]


def status(
    folder: Folder,
    check: Annotated[
        bool,
        typer.Option("--check", help="Look at every clip's file and the whole database, too."),
    ] = False,
    debug: Debug = False,
) -> None:
    """Say how far a run has come, who works on it, and what failed. Nothing in the folder is
    touched.
    """
    from rich.table import Table

    from eval.store.status import status as look

    found = look(folder, check=check)
    table = Table("cell", "wanted", "made", "measured", "failed", box=None, pad_edge=False)
    for cell in found.cells:
        table.add_row(printable(cell.cell), *map(str, cell[1:]))
    show(table)
    state = f"held by {found.holder}" if found.holder else f"finished {found.finished or 'never'}"
    unchecked = "" if found.checked else "; files were not looked at, --check does so"
    failed = f"{len(found.failures)} failed"
    say(f"suite {found.suite}, schema {found.schema}, {state}, {failed}{unchecked}")


def export(
    folder: Folder,
    format: Annotated[str, typer.Option(help="parquet, csv, json or vbench.")] = "csv",
    out: Annotated[
        Path | None,
        typer.Option(help="File, or folder for vbench; DIR/export.FORMAT or DIR/vbench if none."),
    ] = None,
    spreadsheet: Annotated[
        bool,
        typer.Option("--spreadsheet", help="Put ' before texts that a spreadsheet would run."),
    ] = False,
    debug: Debug = False,
) -> None:
    """Write all records of a run, finished or not, as one table; failed clips are rows with a
    reason. With vbench, write VBench-I2V's dimensions as its result files, one for each cell.
    """
    from eval.summary.export import export as write

    if format == "vbench":
        _export_vbench(folder, out or folder / "vbench", spreadsheet=spreadsheet)
        return
    path = out or folder / f"export.{format}"
    rows, formulas = write(folder, path, format, spreadsheet=spreadsheet)
    say(f"{rows} rows: {path}")
    if formulas and format == "csv":
        say(
            f"note: {formulas} texts begin with =, +, - or @, which a spreadsheet runs as formulas;"
            " --spreadsheet puts ' before them",
            err=True,
        )


def _export_vbench(folder: Path, out: Path, *, spreadsheet: bool) -> None:
    from eval.errors import EvalError
    from eval.summary.vbench_export import export_vbench

    if spreadsheet:
        raise EvalError("--spreadsheet goes with --format csv, not vbench")
    for written in export_vbench(folder, out):
        say(f"{', '.join(written.ids)}: {written.path}")
        for dimension, clips in written.incomplete.items():
            say(f"note: {dimension} lacks {clips} of its clips", err=True)
        if written.missing:
            say(
                f"note: no {', '.join(written.missing)}, so no total: VBench's script counts each "
                "as 0",
                err=True,
            )


def track(
    folder: Folder,
    to: Annotated[str, typer.Option(help="tensorboard, mlflow or wandb; each is an extra.")],
    target: Annotated[
        str,
        typer.Option(help="Folder, MLflow's tracking URI, wandb's [ENTITY/]PROJECT."),
    ],
    debug: Debug = False,
) -> None:
    """Hand a run's summary to a tracker: one of its runs for each cell, with settings, means and
    intervals.
    """
    from eval.summary.trackers import track as write

    say(f"{write(folder, to, target)} cells: {target}")


def salvage(folder: Folder, debug: Debug = False) -> None:
    """Rebuild a damaged store from what can still be read; the next run makes the rest again."""
    from eval.store.salvage import salvage as rebuild

    kept, damaged = rebuild(folder)
    rows = ", ".join(f"{count} {table}" for table, count in kept.items())
    say(f"kept {rows}; the damaged store is {damaged}; run the suite again for the rest")
