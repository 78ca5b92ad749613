"""docs/scale.md from the figures of `benchmarks.scale`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from eval.io.progress import duration

if TYPE_CHECKING:
    from benchmarks.scale import Costs, Row, Scenario

_HEAD = """\
# Scale: one driver, many workers

`i2v-eval run SUITE --executor ray` gives batches to workers on Ray, with the plan, files
and records of a run in one process (`tests/eval/execute/test_ray.py`). `pip install
'i2v-adapter[ray]'` brings Ray.

- A worker is an actor: it loads its models once, has one batch in hand, makes it, and measures it
  as soon as it is free, so encoders of one batch run while other workers generate (a test holds
  one worker's generation until another has measured). `--worker-gpus 0.5` puts two on a GPU.
  `--workers` says how many; without it as many as fit. `--address` names a cluster; without it
  Ray starts on this machine. A run in one process makes all, then measures all.
- The driver is the only writer of the database. It gives a worker its next batch when the rows of
  the last one are stored, so a slow driver holds workers back instead of filling memory.
- A batch whose worker is lost goes to another, three times in all; then its clips go one by one,
  and the one that takes its worker down again three times is a failure with that reason.
- Before its first batch a worker checks that it sees the files and has the same weights and
  library versions as the driver. Bytes are equal where the arithmetic is: on a CPU, with as many
  torch threads (`--worker-cpus`) as the run compared with.
- `--storage PATH or URL` puts clips and features anywhere fsspec reaches (`s3://`, `gs://`,
  `abfs://`; each needs its package, such as s3fs). Workers write them there themselves. **The
  SQLite database and the tables stay in the run folder on a local disk**: SQLite's locks do not
  hold on object stores or network mounts. Every command on the folder, and its report, finds the
  clips again. A local file is written beside its place and renamed; on an object store an object
  is shown once it is complete.



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
    lines = ["\n## Where it ends, and what was done\n\n"]
    for scenario, _, ways in found:
        for way, rows in ways.items():
            full = next((row.workers for row in rows if row.driver > 0.95), None)
            said = (
                f"the driver is full at {full} workers"
                if full
                else f"the driver is never full up to {rows[-1].workers}"
            )
            lines.append(
                f"- {scenario.name}; {way}: {said}, {rows[-1].busy:.0%} of {rows[-1].workers} "
                "workers' time is work.\n"
            )
    look, tables = (duration(seconds * clips) for seconds in planning)
    lines.append(
        f"""
So workers write clips and features, of which the driver sees only rows, and rows are stored a
batch at a time. Before and after the batches the driver works alone: a complete run of {clips:,}
clips is found complete in about {look}, and its tables (3 measures) are written in {tables}, at
the cost a clip of a run of 4,000. Samples, and for the tables all records, are held in memory.
"""
    )
    return "".join(lines)
