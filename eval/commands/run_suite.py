"""``i2v-eval run``: a suite, from clips to tables."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eval.commands.changes import changed_keys
from eval.commands.options import AsJson, Debug, TrustTorchscript, Wait
from eval.errors import SOME_FAILED, EvalError, one_line
from eval.io.console import say

if TYPE_CHECKING:
    from eval.execute.run import Outcome

_QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "DIFFUSERS_VERBOSITY": "error",
    "TRANSFORMERS_VERBOSITY": "error",
}
"""What model libraries say while they load; set the variable to hear it again."""

_FAILURES_SHOWN = 10


class Executor(StrEnum):
    """Where clips are made and measured."""

    local = "local"
    processes = "processes"
    ray = "ray"


def run(
    suite: Annotated[
        str, typer.Argument(help="Suite file, or the name of a shipped suite such as first-light.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Run folder; runs/SUITE-NAME if not given.", file_okay=False)
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds to make or measure one clip.")
    ] = None,
    wait: Wait = 0.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be made, and what it costs.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    log: Annotated[
        Path | None, typer.Option(help="Append events to this file, as JSON lines.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(help="Where clips and features go: a path, or a URL such as s3://BUCKET/RUN."),
    ] = None,
    executor: Annotated[
        Executor,
        typer.Option(
            help="This process; worker processes, which are ended where a method does not keep to "
            "--timeout; or workers on Ray."
        ),
    ] = Executor.local,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes; on Ray as many as fit.")
    ] = None,
    worker_cpus: Annotated[float, typer.Option(min=0.01, help="Cores of a worker.")] = 1.0,
    worker_gpus: Annotated[
        float, typer.Option(min=0, help="GPUs of a worker; 0.5: two share one.")
    ] = 0.0,
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster; this machine alone if not given.")
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="auto, cpu, cuda[:INDEX] or mps, for the suite's."),
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16 or float16, of methods and encoders.")
    ] = None,
    set_: Annotated[
        list[str],
        typer.Option("--set", help="KEY=VALUE of the suite, such as base=my-base.yaml; repeat it."),
    ] = [],  # noqa: B006
    max_cells: Annotated[
        int | None, typer.Option(min=1, help="Cells of the largest sweep that is taken on.")
    ] = None,
    as_json: AsJson = False,
    trust_torchscript: TrustTorchscript = False,
    debug: Debug = False,
) -> None:
    """Run a suite, or resume it: the same command again makes only what is missing or failed.
    Exit 3: clips failed.

    Exit 2: nothing was made, the message says what to put right.
    """
    from rich.console import Console

    from eval.commands.dry_run import dry_run as show_plan
    from eval.commands.results_table import show_results
    from eval.execute.events import EventLog
    from eval.execute.options import Options
    from eval.execute.pool import Pool
    from eval.execute.run import run as run_suite
    from eval.execute.time_limits import end_command_if_overrun

    changes = changed_keys(set_, device=device, dtype=dtype)
    if dry_run:
        show_plan(suite, out, changes, max_cells)
        return
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if trust_torchscript:
        os.environ["I2V_EVAL_TRUST_TORCHSCRIPT"] = "1"
    start = time.perf_counter()
    # Absolute, so that a method that changes the working directory changes no place.
    log = log.absolute() if log else None
    pool: Pool | None = Pool(workers, worker_cpus, worker_gpus, address)
    if executor is not Executor.ray and pool != Pool(workers):
        raise EvalError("--worker-cpus, --worker-gpus and --address go with --executor ray; add it")
    if executor is Executor.processes:
        pool = Pool(workers, kind="processes")
    elif executor is Executor.local:
        pool = Pool(workers, kind="processes") if workers is not None else None
    if pool is None:
        end_command_if_overrun(
            timeout, "With --executor processes such a call fails its own clip alone."
        )
    options = Options(
        timeout=timeout, wait=wait, debug=debug, log=EventLog(log), storage=storage, pool=pool
    )
    if max_cells is not None:
        options = replace(options, max_cells=max_cells)
    outcome = run_suite(
        suite,
        out,
        console=Console(stderr=True, quiet=quiet),
        options=options,
        changes=changes,
    )
    if not quiet:
        _summarise(outcome, time.perf_counter() - start, err=as_json)
    if as_json or not quiet:
        show_results(outcome.folder, as_json=as_json)
    if outcome.failures:
        raise typer.Exit(SOME_FAILED)


def _summarise(outcome: Outcome, took: float, *, err: bool = False) -> None:
    for warning in outcome.warnings:
        say(f"warning: {one_line(warning)}", err=True)
    for failure in outcome.failures[:_FAILURES_SHOWN]:
        say(f"failed: {one_line(str(failure))}", err=True)
    summary = outcome.folder / "summary.csv"
    counts = f"{outcome.made} clips made, {outcome.measured} measured"
    say(f"{counts} in {took:.1f} s: {summary}", err=err)
    if outcome.failures:
        listed = outcome.folder / "failures.csv"
        say(
            f"{len(outcome.failures)} failed, listed in {listed}; the same command tries them "
            "again",
            err=True,
        )
