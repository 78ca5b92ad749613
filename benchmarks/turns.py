"""Another commit and this tree, benchmarked in turns on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.ratios import Change, Results, changes, load
from eval.errors import EvalError

TREE = Path(__file__).parents[1]


def against(commit: str, arguments: Sequence[str], sessions: int = 6) -> list[Change]:
    """Runs both sides' benchmarks `sessions` times, base and head by turns, and compares.

    Args:
        commit: the base, anything git understands; it is checked out into a folder of its own.
        arguments: of pytest: files of `benchmarks`, `--rounds`, `-k`.
        sessions: a side; six give an interval of 95 %.

    Raises:
        EvalError: git knows no such commit, or a session fails.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = folder / "tree"
        _call(
            ["git", "-C", str(TREE), "worktree", "add", "--detach", str(base), commit],
            f"base {commit!r}",
        )
        try:
            found: dict[Path, list[Results]] = {base: [], TREE: []}
            for session in range(sessions):
                for tree, kept in found.items():
                    out = folder / f"{'base' if tree == base else 'head'}-{session}"
                    _session(tree, out, arguments)
                    kept += load(out)
        finally:
            _call(["git", "-C", str(TREE), "worktree", "remove", "--force", str(base)], "worktree")
    return changes(found[base], found[TREE])


def _session(tree: Path, out: Path, arguments: Sequence[str]) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "--results", str(out), *arguments]
    _call(command, f"session in {tree}", cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)})


def _call(
    command: list[str], what: str, cwd: Path | None = None, env: dict[str, str] | None = None
) -> None:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EvalError(
            f"{what}: {' '.join(command)} ended with "
            f"{done.returncode}:\n{done.stdout}{done.stderr}".strip()
        )
