"""docs/scale.md from the figures of `benchmarks.scale`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from eval.io.progress import duration

if TYPE_CHECKING:
    from benchmarks.scale import Costs, Row, Scenario

_HEAD = """\
# Scale: one driver, many workers

`i2v-eval run SUITE --executor ray` makes and measures batches on Ray workers. Plan, files and
records are those of a run in one process (`tests/eval/execute/test_ray.py`).
`pip install 'i2v-adapter[ray]'` installs Ray.

`--executor processes --workers N` does the same with worker processes of this machine (default:
one). Use it where a method may hang or crash: a worker that exceeds `--timeout` is ended, its clip
fails with the reason, and another worker continues. A clip, a feature file or a row that was
damaged on the disk is found by its checksum, reported, and made again. If the database itself is
damaged, `i2v-eval salvage DIR` keeps every sound row. Each run needs a `--storage` of its own.

- **Workers.** A worker loads its models once. It makes one batch at a time and measures it at once,
  so one worker encodes while others generate; a run in one process makes all clips first.
  `--workers` sets their number (default: as many as fit), `--worker-gpus 0.5` puts two on a GPU.
- **Cluster.** `--address` names a running Ray cluster; without it Ray starts on this machine.
- **Driver.** Only the driver writes the database. A worker gets its next batch when the rows of the
  last one are stored, so a slow driver slows the workers down and memory does not fill up.
- **Failures.** If a worker dies, its batch goes to another one, three times in all. Then its clips
  are made one by one, and a clip whose worker dies three times more is recorded as a failure.
- **Equal results.** Before its first batch a worker checks that it has the driver's files, weights
  and library versions. On a CPU, results are equal to the byte if `--worker-cpus` is the number of
  torch threads of the other run.
- **Storage.** `--storage PATH or URL` puts clips and features anywhere fsspec reaches (`s3://`,
  `gs://`, `abfs://`; each needs its package, such as s3fs). Workers write there directly. **The
  database and the tables stay in the run folder on a local disk**, because SQLite's locks do not
  work on object stores and network mounts. Commands and reports on the folder find the clips in
  the storage. A local file is written under another name and renamed; an object store shows an
  object once it is complete.

"""

_ABOUT = """\
## Simulation: {clips:,} clips

`python -m benchmarks.scale` wrote what follows. Workers and driver are simulated event by event
(batches of {batch}, {metrics} measures a clip); no clip is made. The driver's costs are measured
in processor time on this machine, on a store in use; a worker's seconds for a clip are the
scenario's, give or take a quarter.

| driver, processor ms for a batch of {batch} | |
|---|---|
| rows of a made batch | {make:.2f} |
| records of a measured batch | {measure:.2f} |
| both, a transaction a clip | {singly:.2f} |
| one call of a worker and its answer, {pending} workers pending | {call:.2f} |
"""


def render(
    found: Sequence[tuple[Scenario, Costs, Mapping[str, Sequence[Row]]]],
    planning: tuple[float, float],
    *,
    clips: int,
    batch: int,
    metrics: int,
) -> str:
    """The page.

    Args:
        found: scenario, costs, and rows for each way to divide the work.
        planning: processor seconds for a clip to find nothing to do, and to write the tables.
        clips: of the whole run.
        batch: clips in one call.
        metrics: values a clip.
    """
    costs = found[0][1]
    numbers: dict[str, Any] = {name: 1000 * value for name, value in costs._asdict().items()}
    parts = [
        _HEAD,
        _ABOUT.format(clips=clips, batch=batch, metrics=metrics, pending=256, **numbers),
    ]
    for scenario, own, ways in found:
        parts.append(f"\n### {scenario.name[0].upper()}{scenario.name[1:]}\n\n")
        parts.append(f"Encoding and writing the file of a clip takes {1000 * own.file:.1f} ms.\n\n")
        parts.append(
            "| who writes what | workers | hours | clips/s | workers busy | driver busy "
            "|\n|---|--:|--:|--:|--:|--:|\n"
        )
        for way, rows in ways.items():
            for row in rows:
                busy, driver = f"{row.busy:.0%}", f"{row.driver:.1%}"
                parts.append(
                    f"| {way} | {row.workers} | {row.hours:.1f} | {row.rate:.1f} | {busy} | "
                    f"{driver} |\n"
                )
    parts.append(_conclusion(found, planning, clips))
    return "".join(parts)


def _conclusion(
    found: Sequence[tuple[Scenario, Costs, Mapping[str, Sequence[Row]]]],
    planning: tuple[float, float],
    clips: int,
) -> str:
    lines = ["\n## What limits a run\n\n"]
    for scenario, _, ways in found:
        for way, rows in ways.items():
            full = next((row.workers for row in rows if row.driver > 0.95), None)
            said = (
                f"the driver is saturated at {full} workers"
                if full
                else f"the driver is not saturated with up to {rows[-1].workers}"
            )
            lines.append(
                f"- {scenario.name}; {way}: {said}, and {rows[-1].workers} workers are "
                f"busy {rows[-1].busy:.0%} of the time.\n"
            )
    look, tables = (duration(seconds * clips) for seconds in planning)
    lines.append(
        f"""
So workers write clips and features, the driver handles rows only, and rows are stored a batch at a
time. Before and after the batches the driver works alone: it takes about {look} to find that a
run of {clips:,} clips is complete, and {tables} to write its tables (3 measures), extrapolated from
a run of 4,000 clips. Samples are held in memory, and so are all records while tables are written.
"""
    )
    return "".join(lines)
