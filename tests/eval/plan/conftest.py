"""What a bad input must do: one line with file, key, value and what to do, exit code 2, and not a
byte of the run folder lost.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eval.cli import app
from eval.store.store import Record, Store

Content = dict[str, Any]
Refuse = Callable[..., None]

BROKEN = "1 / 0\n"
NAMELESS = """
from toy_method import Toy
class Nameless(Toy):
    def fingerprint(self):
        raise OSError("no weights")
"""


@pytest.fixture
def refuse(
    toy_folder: Path, toy_evaluator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Refuse:
    """Runs a suite over a folder that holds a run, and checks the one line, the exit code and the
    folder.
    """
    monkeypatch.setattr(
        "eval.execute.run.default_evaluator", lambda metrics, folder: toy_evaluator(metrics)
    )
    (toy_folder / "broken_method.py").write_text(BROKEN)
    (toy_folder / "nameless_method.py").write_text(NAMELESS)
    (toy_folder / "broken.png").write_bytes(b"not an image")
    folder = tmp_path / "out"
    with Store(folder) as store:
        store.add_records(
            [Record("cell", "s", 0, "motion.flow_dis.v1", 1 / 3, "", "key", "weights")]
        )
    (folder / "run.json").write_text("{}")

    def contents() -> dict[str, bytes]:
        return {
            str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
        }

    def check(expected: list[str]) -> None:
        before = contents()
        result = CliRunner().invoke(
            app, ["run", str(toy_folder / "suite.yaml"), "--out", str(folder)]
        )
        assert result.exit_code == 2, result.output
        (line,) = result.stderr.strip().splitlines()
        assert line.startswith("error: ")
        assert line.isprintable()
        assert len(line) < 1000
        for text in ("suite.yaml", *expected):
            assert text in line
        assert result.stdout == ""
        with Store(folder) as store:
            assert [record.value for record in store.records("cell")] == [1 / 3]
        assert contents() == before

    return check
