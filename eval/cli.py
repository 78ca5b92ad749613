"""The command line: ``i2v-eval``."""

from __future__ import annotations

import functools
import os
import signal
import traceback
from collections.abc import Callable
from typing import Annotated, ParamSpec

import typer

from eval import __version__
from eval.commands.calibrate import calibrate
from eval.commands.clips import clips
from eval.commands.folder import export, salvage, status, track
from eval.commands.gate import gate
from eval.commands.init import init
from eval.commands.metric_list import metrics
from eval.commands.run_suite import run
from eval.commands.weights import weights_app
from eval.errors import EvalError, Stop, one_line
from eval.io.console import say
from eval.io.files import OPEN_STORAGE
from eval.methods.guard import stopped_by_sigterm

COMMANDS = "i2v_eval.commands"
"""Entry-point group of commands that other packages bring (``report``, ``rank``): eval need not
import them.
"""

Parameters = ParamSpec("Parameters")

app = typer.Typer(
    help="Measure image-to-video models: clips, metrics with intervals, provenance, report.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help drawn by rich would take three times as long
)


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


app.add_typer(weights_app(_one_line_errors), name="weights")
for _command in (run, metrics, init, clips, status, export, track, salvage, gate, calibrate):
    app.command()(_one_line_errors(_command))


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
