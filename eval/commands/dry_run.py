"""``i2v-eval run --dry-run``: the plan with its cost, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.io.console import cell, counted, say, show


def dry_run(
    suite: str,
    out: Path | None,
    changes: Mapping[str, Any] | None = None,
    max_cells: int | None = None,
) -> None:
    """Prints cells, clips to make and to measure, estimated time and disk."""
    from rich.table import Table

    from eval.execute.forecast import forecast
    from eval.execute.run_folder import check_run_folder
    from eval.io.progress import duration
    from eval.measure.selection import not_asked, of_the_glyph_world
    from eval.plan.limits import MOST_CELLS
    from eval.plan.planning import make_plan
    from eval.plan.suite import locate_suite

    plan = make_plan(locate_suite(suite), changes, max_cells=max_cells or MOST_CELLS)
    for note in plan.notes:
        say(f"warning: {note}", err=True)
    folder = out or Path("runs") / plan.suite.name
    check_run_folder(folder, plan.suite)
    if not of_the_glyph_world(plan.samples) and (lacking := not_asked(plan.metrics)):
        say(lacking, err=True)
    rows = forecast(plan, folder)
    table = Table(
        "cell", "clips", "to make", "to measure", "time to make", "disk", box=None, pad_edge=False
    )
    for row in rows:
        time = "unknown" if row.seconds is None else duration(row.seconds)
        disk = "unknown" if row.size is None else _size(row.size)
        table.add_row(cell(row.cell), str(row.clips), str(row.make), str(row.measure), time, disk)
    show(table)
    seconds = sum(row.seconds or 0.0 for row in rows)
    untimed = sum(row.make for row in rows if row.seconds is None)
    clips, make, measure = (
        sum(getattr(row, name) for row in rows) for name in ("clips", "make", "measure")
    )
    times = [duration(seconds)] if seconds or not untimed else []
    time = " and ".join([*times, *([f"{untimed} clips of unknown time"] if untimed else [])])
    disk = _size(sum(row.size or 0 for row in rows)) + (
        " and more" if any(row.size is None for row in rows) else ""
    )
    say(
        f"{folder}: {counted(len(plan.samples), 'sample')}, "
        f"{counted(len(plan.suite.seeds), 'seed')}, {counted(len(plan.metrics), 'metric')}; "
        f"{make} of {clips} clips to make, {measure} to measure; {time}, at most about {disk}"
    )


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"
