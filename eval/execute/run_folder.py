"""Whether a folder may become, or go on as, the run folder of a suite."""

from __future__ import annotations

from pathlib import Path

from eval.errors import EvalError
from eval.methods.finished import NAME
from eval.plan.suite import Suite
from eval.store.received import read_run

_OF_A_RUN = ("store.sqlite", "run.json", "run.lock")


def check_run_folder(folder: Path, suite: Suite) -> None:
    """A run begins in a new or an empty folder and goes on in its own; nothing is written here.

    Args:
        folder: the run folder.
        suite: what is going to be made, or measured.

    Raises:
        EvalError: the folder holds other files, or the run of another suite, whose tables would be
            replaced; or its document is damaged.
    """
    if not folder.is_dir():
        return
    try:
        held = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return  # whoever writes into it says why it cannot
    if held and not any(name in held for name in _OF_A_RUN):
        raise EvalError(
            f"{folder}: it holds {len(held)} files of something else, such as '{held[0]}'; give a "
            "new or an empty folder by --out"
        )
    known = read_run(folder).get("suite", {})
    name, source = known.get("name"), known.get("samples", {}).get("source")
    if name is None:
        return
    finished = source == NAME
    if finished != (suite.samples.get("source") == NAME):
        kind = "of finished clips" if finished else "of a suite"
        raise EvalError(f"{folder}: it holds the run {kind}, '{name}'; give another --out")
    if not finished and name != suite.name:
        raise EvalError(
            f"{folder}: it holds the run of suite '{name}', and this one is '{suite.name}'; give "
            f"another --out, or name the suite '{name}' if it is the same"
        )
