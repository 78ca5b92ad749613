"""All records of a run folder as one table, failed clips with their reason among them, finished or
not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

from eval.errors import EvalError
from eval.io.documents import read_table, write_csv, write_json
from eval.store.devices import device_of
from eval.store.faults import folder_errors
from eval.store.received import read_run
from eval.store.store import Store
from eval.summary.tables import RECORDS

Format = Literal["parquet", "csv", "json"]
FORMATS: tuple[str, ...] = get_args(Format)
COLUMNS = (*RECORDS, "made_on", "measured_on", "seconds", "status", "reason")
"""``made_on``, ``measured_on``: the devices of the clip and of this value. ``seconds``: wall time
to make the clip. ``status``: ``ok``, or ``failed`` with a reason and
without a value.
"""

Row = tuple[str | int | float | None, ...]


FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a cell that begins so as a formula."""


def export(folder: Path, path: Path, format: str, *, spreadsheet: bool = False) -> tuple[int, int]:
    """Writes the table of a run folder. Floats keep every bit.

    Args:
        folder: of the run.
        path: of the table.
        format: one of `FORMATS`.
        spreadsheet: texts that a spreadsheet would run as formulas get a ``'`` before them.

    Returns:
        Rows, and texts among them that a spreadsheet would run.

    Raises:
        StoreError: the folder holds no run, or the file cannot be written.
        EvalError: an unknown format, ``parquet`` without pyarrow, or `spreadsheet` with another
            format than ``csv``.
    """
    if spreadsheet and format != "csv":
        raise EvalError(f"--spreadsheet goes with --format csv, not {format}")
    if format not in FORMATS:
        raise EvalError(f"--format {format}: unknown. Allowed: {', '.join(FORMATS)}, vbench.")
    with Store(folder, read_only=True) as store:
        rows = list(_rows(store))
    if format == "parquet":
        _write_parquet(path, rows)
    elif format == "json":
        objects = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        write_json(path, objects)
    else:
        write_csv(path, COLUMNS, [_shielded(row) for row in rows] if spreadsheet else rows)
    return len(rows), 0 if spreadsheet else sum(_runs(value) for row in rows for value in row)


def _runs(value: object) -> bool:
    return isinstance(value, str) and value.startswith(FORMULA)


def _shielded(row: Row) -> Row:
    return tuple(f"'{value}" if _runs(value) else value for value in row)


def _rows(store: Store) -> Iterator[Row]:
    cells = [(cell["id"], cell["method"]) for cell in read_run(store.folder).get("cells", [])]
    methods = dict(cells)
    groups = _groups(store.folder)
    for cell, method in cells:
        seconds = store.seconds(cell)
        for r in store.records(cell):
            made = seconds.get((r.sample, r.seed))
            clip = (cell, method, r.sample, groups.get(r.sample, ""), r.seed)
            yield (
                *clip,
                r.metric,
                r.value,
                r.flags,
                r.clip_key,
                r.encoder_fingerprint,
                device_of(store, "make", r.clip_key),
                device_of(store, "measure", r.clip_key),
                made,
                "ok",
                "",
            )
    for f in store.failures():
        clip = (f.cell, methods.get(f.cell, ""), f.sample, groups.get(f.sample, ""), f.seed)
        yield (*clip, "", None, "", "", "", "", "", None, "failed", f"{f.stage}: {f.reason}")


def _groups(folder: Path) -> dict[str, str]:
    rows = read_table(folder / "samples.csv", ("id", "group"))
    return {row["id"]: row["group"] for row in rows}


def _write_parquet(path: Path, rows: list[Row]) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise EvalError(
            "--format parquet needs pyarrow; pip install 'i2v-adapter[parquet]', or take csv"
        ) from error
    types = {"seed": pyarrow.int64(), "value": pyarrow.float64(), "seconds": pyarrow.float64()}
    columns = [
        pyarrow.array([row[index] for row in rows], types.get(name, pyarrow.string()))
        for index, name in enumerate(COLUMNS)
    ]
    with folder_errors(path):
        pyarrow.parquet.write_table(pyarrow.table(columns, names=list(COLUMNS)), path)
