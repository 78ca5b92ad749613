"""The command line: ``i2v-eval``."""

from __future__ import annotations

import functools
import os
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec

import typer

from eval import __version__
from eval.commands.calibrate import calibrate
from eval.commands.changes import changed_keys
from eval.commands.clips import clips
from eval.commands.folder import export, salvage, status, track
from eval.commands.gate import gate
from eval.commands.init import init
from eval.commands.weights import weights_app
from eval.errors import SOME_FAILED, EvalError, Stop, one_line
from eval.io.console import say, show
from eval.io.files import OPEN_STORAGE
from eval.methods.guard import stopped_by_sigterm

if TYPE_CHECKING:
    from eval.execute.run import Outcome

COMMANDS = "i2v_eval.commands"
"""Entry-point group of commands that other packages bring (``report``, ``rank``): eval need not
import them.
"""

_QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "DIFFUSERS_VERBOSITY": "error",
    "TRANSFORMERS_VERBOSITY": "error",
}
"""What model libraries say while they load; set the variable to hear it again."""

_FAILURES_SHOWN = 10

Parameters = ParamSpec("Parameters")

app = typer.Typer(
    help="Measure image-to-video models: clips, metrics with intervals, provenance, report.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help drawn by rich would take three times as long
)


class Executor(StrEnum):
    """Where clips are made and measured."""

    local = "local"
    processes = "processes"
    ray = "ray"


def _one_line_errors(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """An EvalError, Ctrl-C or SIGTERM becomes one line on stderr and an exit code; a defect keeps
    its traceback.

    Both signals leave as an exception does, so that a run folder is let go of and its journal
    closed.
    """

    @functools.wraps(command)
    def guarded(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            with stopped_by_sigterm():
                command(*args, **kwargs)
        except Stop as stop:
            number = stop.args[0]
            name = signal.Signals(number).name
            say(f"stopped by {name}; what is stored stays, and the same command goes on", err=True)
            raise typer.Exit(128 + number) from stop
        except EvalError as error:
            if kwargs.get("debug"):
                raise
            say(f"error: {one_line(str(error))}", err=True)
            raise typer.Exit(error.exit_code) from error
        except (SystemExit, GeneratorExit) as error:  # of foreign code: nothing here raises them
            if kwargs.get("debug"):
                traceback.print_exception(error)
            say(
                f"error: something that was called tried to end the process ({error!r}); nothing "
                "is finished; --debug shows what it was",
                err=True,
            )
            raise typer.Exit(1) from error

    return guarded


def _version(wanted: bool) -> None:
    if wanted:
        say(__version__)
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
    open_storage: Annotated[
        bool,
        typer.Option("--open-storage", help="Open the addresses at which run folders keep clips."),
    ] = False,
) -> None:
    if open_storage:
        os.environ[OPEN_STORAGE] = "1"


@app.command()
@_one_line_errors
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
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for a run folder that is in use.")
    ] = 0.0,
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
        int | None, typer.Option(min=1, help="How many; on Ray as many as fit, else one.")
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
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the table of results as JSON.")
    ] = False,
    trust_torchscript: Annotated[
        bool,
        typer.Option(
            "--trust-torchscript",
            help="Run the code in a TorchScript file (I3D); for files that you trust.",
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option(help="Stop at the first failure and show its traceback.")
    ] = False,
) -> None:
    """Run a suite, or resume it: the same command again makes only what is missing or failed.
    Exit 3: clips failed.

    Exit 2: nothing was made, the message says what to put right.
    """
    from rich.console import Console

    from eval.commands.dry_run import dry_run as show_plan
    from eval.commands.results_table import show_results
    from eval.execute.events import EventLog
    from eval.execute.pool import Pool
    from eval.execute.run import Options
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
        if workers is not None:
            raise EvalError("--workers goes with --executor processes or ray; add one of them")
        pool = None
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


app.add_typer(weights_app(_one_line_errors), name="weights")
for _command in (init, clips, status, export, track, salvage, gate, calibrate):
    app.command()(_one_line_errors(_command))


@app.command()
@_one_line_errors
def metrics(
    id: Annotated[
        str | None, typer.Argument(help="A metric id, to be told everything about it.")
    ] = None,
) -> None:
    """List the metric ids, what they mean and which direction is better; or print one in full:
    metrics ID.
    """
    from rich.table import Table

    from eval.commands.describe import BETTER, describe
    from eval.measure.catalogue import catalogue, parse_metric

    if id is not None:
        table = Table("", "", box=None, pad_edge=False, show_header=False)
        table.columns[0].no_wrap = True
        for key, value in describe(parse_metric(id)):
            table.add_row(key, value)
    else:
        table = Table(
            "id", "per", "unit", "better", "description", "source", box=None, pad_edge=False
        )
        table.columns[0].no_wrap = True
        for metric in catalogue():
            better = BETTER[metric.higher_is_better]
            table.add_row(
                metric.id, metric.scope, metric.unit, better, metric.description, metric.source
            )
    show(table)


_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command(context_settings=_PASSED_ON)
@_one_line_errors
def report(context: typer.Context) -> None:
    """Write the report of a run folder: report DIR."""
    _brought("report", context.args)


@app.command(context_settings=_PASSED_ON)
@_one_line_errors
def compare(context: typer.Context) -> None:
    """Write one page about two or more run folders: compare DIR_A DIR_B."""
    _brought("compare", context.args)


@app.command(context_settings=_PASSED_ON)
@_one_line_errors
def rank(context: typer.Context) -> None:
    """Write a page on which people rank a run's blinded clips: rank DIR. Count them: rank DIR
    --ballots FOLDER.
    """
    _brought("rank", context.args)


def _brought(name: str, arguments: list[str]) -> None:
    """Runs a command that another package brings."""
    from importlib.metadata import entry_points

    found = entry_points(group=COMMANDS, name=name)
    if not found:
        raise EvalError(
            f"the {name} command is not installed; pip install -e . brings it with the reports "
            "package"
        )
    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command.command(name)(next(iter(found)).load())
    done = typer.main.get_command(command).main(
        args=arguments, prog_name=f"i2v-eval {name}", standalone_mode=False
    )
    if isinstance(done, int) and done:
        raise typer.Exit(done)


def main() -> None:
    """Entry point of ``i2v-eval``."""
    from eval.execute.time_limits import this_process_is_a_command

    this_process_is_a_command()
    app(prog_name="i2v-eval")
