"""``i2v-eval gate``: does a run still give what the baseline holds?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eval.commands.options import ShowTraceback
from eval.io.console import say, show

REGRESSION = 1
"""Exit code when a value lies outside its tolerance, or is missing."""


def gate(
    folder: Annotated[Path, typer.Argument(help="Run folder.", metavar="DIR")],
    baseline: Annotated[Path, typer.Option(help="The committed file of values.")],
    update: Annotated[
        str | None, typer.Option(metavar="REASON", help="Make this run the baseline, and why.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Where to; DIR/gate.md if not given.")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Where to; DIR/gate.xml if not given.")] = None,
    debug: ShowTraceback = False,
) -> None:
    """Hold a run against a baseline. Exit 0: it holds; 1: a value moved; 2: usage or no baseline;
    4: no values.
    """
    from eval.errors import EvalError
    from eval.io.documents import write_text
    from eval.summary import gate_output as output
    from eval.summary.gate import hold_against, read_baseline, read_entries, write_baseline

    if update is not None:
        written = write_baseline(baseline, folder, update)
        say(f"{baseline}: {len(written.entries)} values of suite {written.suite}: {written.reason}")
        return
    held = read_baseline(baseline)
    suite, entries = read_entries(folder)
    if suite != held.suite:
        raise EvalError(
            f"{baseline} is of suite '{held.suite}', {folder} of '{suite}'; give the run of one "
            "suite"
        )
    verdicts = hold_against(held, entries)
    write_text(markdown or folder / "gate.md", output.markdown(verdicts, held.reason))
    write_text(junit or folder / "gate.xml", output.junit(verdicts))
    show(output.table(verdicts))
    say(output.headline(verdicts, held.reason))
    if any(verdict.failed for verdict in verdicts):
        say("if the change is wanted, --update REASON makes this run the baseline", err=True)
        raise typer.Exit(REGRESSION)
