"""Runs a plan: makes clips, measures them, writes tables. Every stage continues from what the run
folder already holds.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from eval import device as devices
from eval.execute.in_process import make, measure_made, measure_true_clips
from eval.execute.options import Options
from eval.execute.pool import Pool
from eval.execute.provenance import RunDocument
from eval.execute.reference import format_warnings, length_warnings
from eval.execute.remaining import planned_failures, say_damaged, stale
from eval.execute.run_folder import check_run_folder
from eval.execute.time_limits import time_limit
from eval.io.files import Files
from eval.measure.evaluator import EvaluatorLike, default_evaluator
from eval.measure.selection import not_asked, of_the_glyph_world
from eval.metrics import Metric
from eval.plan.cells import Plan
from eval.plan.planning import make_plan
from eval.plan.suite import locate_suite
from eval.store.devices import counts as device_counts
from eval.store.sample_files import write_samples
from eval.store.store import Failure, Store
from eval.summary.cautions import Caution, lines
from eval.summary.tables import write_failures, write_tables


@dataclass(frozen=True)
class Outcome:
    """What a run did: the folder, clips made, measured and decoded this time, failures, and
    warnings for the reader.
    """

    folder: Path
    made: int
    measured: int
    failures: list[Failure]
    warnings: list[str]
    decoded: int = 0


def run(
    suite: str,
    out: Path | None = None,
    *,
    console: Console | None = None,
    evaluator: Callable[[list[Metric]], EvaluatorLike] | None = None,
    options: Options = Options(),
    changes: Mapping[str, Any] | None = None,
) -> Outcome:
    """Runs a suite, or resumes its run.

    After a kill at any moment, the same call repeats at most one batch and ends with the same
    ``records.csv``. When everything is done, it makes no clip and loads no network.

    A clip that cannot be made or measured is recorded as a failure with its reason, and the run
    continues. The next call tries it again.

    Args:
        suite: path of a suite file, or name of a shipped suite.
        out: the run folder; ``runs/<suite name>`` if None.
        console: for progress; standard error if None.
        evaluator: makes the evaluator of the suite's metrics; None for
            :class:`eval.measure.evaluator.Evaluator`.
        options: time limit, storage, workers, debugging; no value depends on them.
        changes: key of the suite -> value in place of the file's, such as ``base`` or ``device``.

    Raises:
        EvalError: for anything the user can correct; nothing is made before the whole suite is
            valid.
        StoreError: the run folder is held by another process, or cannot be written; what was
            stored stays.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> suite = folder / "suite.yaml"
        >>> _ = suite.write_text(
        ...     "name: still\\n"
        ...     "samples: {source: glyph-world, seen: 2, unseen: 0}\\n"
        ...     "methods: [{method: still-image}]\\n"
        ...     "metrics: [flicker.pixels.v1]\\n"
        ... )
        >>> outcome = run(str(suite), folder / "run", console=Console(quiet=True))
        >>> outcome.made, outcome.measured
        (2, 2)
    """
    pool = options.pool
    here = pool is None or pool.kind != "ray" or pool.address is None
    plan = make_plan(locate_suite(suite), changes, max_cells=options.max_cells, here=here)
    return carry_out(
        plan,
        out or Path("runs") / plan.suite.name,
        console=console,
        evaluator=evaluator,
        options=options,
    )


def carry_out(
    plan: Plan,
    folder: Path,
    *,
    console: Console | None = None,
    evaluator: Callable[[list[Metric]], EvaluatorLike] | None = None,
    options: Options = Options(),
) -> Outcome:
    """:func:`run` for a plan that was made before."""
    console = console or Console(stderr=True)
    given, folder = folder, folder.absolute()
    check_run_folder(given, plan.suite)
    default: Callable[..., EvaluatorLike] = partial(default_evaluator, **plan.suite.placement)
    measuring = evaluator(plan.metrics) if evaluator else default(plan.metrics, folder)
    with time_limit(options.timeout):
        pass  # fail early if time limits are unsupported here
    fingerprints = dict(measuring.fingerprints())
    with Store(folder, wait=options.wait, storage=options.storage) as store:
        if evaluator is None and store.storage:
            measuring = default(plan.metrics, store.files.root)
        for encoder in plan.set_encoders:
            store.use_features(encoder, fingerprints[encoder])
        write_samples(store, plan.samples)
        say_damaged(store, plan, console, options.log)

        unmade, unmeasured = stale(store, plan, fingerprints)
        document = RunDocument(
            store.folder,
            plan,
            fingerprints,
            stale=bool(unmade or unmeasured),
            storage=store.storage,
        )
        document.started()
        sizes = {
            name: sum(len(batch.items) for batch in some)
            for name, some in (("make", unmade), ("measure", unmeasured))
        }
        options.log.write("started", suite=plan.suite.name, folder=str(folder), **sizes)

        device = "cpu"
        if unmade or unmeasured:
            for line in plan.notes:
                if line.startswith("left out"):
                    console.print(line, markup=False, highlight=False, soft_wrap=True)
            glyphs = plan.foreign_encoders or of_the_glyph_world(plan.samples)
            if not glyphs and (lacking := not_asked(plan.metrics)):
                console.print(lacking, markup=False, highlight=False, soft_wrap=True)
            device = say_device(plan.suite.device, console)
        if options.pool is None:
            made = make(store, unmade, console, options)
            if device != "cpu":
                devices.release(*devices.GENERATORS)  # make room for the encoders
            measured = measure_made(
                store, plan, unmeasured, measuring, fingerprints, console, options
            )
        elif unmade or unmeasured:
            from eval.execute.worker import Job

            job = Job(
                plan,
                Files(store.files.root),
                evaluator,
                fingerprints,
                options.timeout,
                options.debug,
            )
            carry_out_on_workers = _executor(options.pool)
            made, measured = carry_out_on_workers(
                store, job, unmade, unmeasured, options.pool, console, options.log
            )
        else:
            made = measured = 0
        measure_true_clips(store, plan, measuring, options)

        failures = planned_failures(store, plan)
        write_failures(store, failures)
        counts, cautions = write_tables(store, plan, fingerprints, failures)
        warnings: list[str | Caution] = [
            *plan.notes,
            *format_warnings(store, plan),
            *length_warnings(store, plan, measuring),
            *cautions,
        ]
        if plan.suite.claims:
            from eval.claims import write_claims

            write_claims(store, plan)
        placed = device_counts(store, plan.clip_keys())
        document.finished(counts, warnings, _seconds_per_clip(store, plan), placed)
        options.log.write("finished", made=made, measured=measured, failed=len(failures))
        told = lines(warnings)
        return Outcome(given, made, measured, failures, told, store.decoded)


def say_device(wanted: str, console: Console) -> str:
    """The resolved device of a run; printed if it is not the CPU."""
    device = devices.resolve(wanted)
    if device != "cpu":
        chosen = "auto took " if wanted == "auto" else ""
        console.print(f"device: {chosen}{devices.describe(device)}", markup=False, highlight=False)
    return device


def _executor(pool: Pool) -> Callable[..., tuple[int, int]]:
    if pool.kind == "ray":
        from eval.execute.ray_driver import carry_out_on_ray

        return carry_out_on_ray
    from eval.execute.processes import carry_out_in_processes

    return carry_out_in_processes


def _seconds_per_clip(store: Store, plan: Plan) -> dict[str, float]:
    taken = {cell.id: list(store.seconds(cell.id, warm=True).values()) for cell in plan.cells}
    return {cell: statistics.median(seconds) for cell, seconds in taken.items() if seconds}
