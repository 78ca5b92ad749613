"""The commands that an installation brings: each starts, and a folder called `eval` in the working
directory does not hide the suite.
"""

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from i2v_adapter.checkpoints import main as convert
from i2v_adapter.training.__main__ import main as train

ROOT = Path(__file__).parents[3]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


def i2v_eval(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `i2v-eval` in `folder` as its installed file would: Python puts the folder of the
    file on the import path, never the working directory.
    """
    module, _, function = SCRIPTS["i2v-eval"].partition(":")
    bin_folder = folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    file = bin_folder / "i2v-eval"
    file.write_text(f"import sys\nfrom {module} import {function}\nsys.exit({function}())\n")
    return subprocess.run(
        [sys.executable, str(file), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_each_script_names_a_function(name: str) -> None:
    module, _, function = SCRIPTS[name].partition(":")
    assert callable(getattr(import_module(module), function))


def test_usage_errors_end_with_2_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for main, arguments in ((train, ["absent.yaml"]), (convert, ["absent.pth", "out"])):
        assert main(arguments) == 2
        said = capsys.readouterr().err
        assert (said.count("\n"), "absent" in said) == (1, True)


@pytest.mark.parametrize(("main", "name"), [(train, "i2v-train"), (convert, "i2v-convert")])
def test_help_names_the_command(
    main: Callable[..., int], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert capsys.readouterr().out.startswith(f"usage: {name} ")


def test_a_folder_called_eval_does_not_hide_the_suite(tmp_path: Path) -> None:
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval" / "__init__.py").write_text("raise RuntimeError('the wrong eval')\n")
    suite = {
        "name": "small",
        "samples": {"source": "glyph-world", "seen": 2, "unseen": 0},
        "methods": [{"method": "still-image", "settings": {"frames": 4, "fps": 8}}],
        "metrics": ["flicker.pixels.v1"],
    }
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(suite))
    made = i2v_eval("run", "small.yaml", "--out", "out", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "out" / "records.csv").read_text().count("\n") == 3
    assert "wrong eval" not in made.stderr
