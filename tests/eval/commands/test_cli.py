"""The command line: bad input gives one line with file, key, value and what to do, and leaves the
run folder usable.
"""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from eval import __version__
from eval.cli import app

Content = dict[str, Any]


@pytest.fixture
def invoke(
    toy_folder: Path, toy_evaluator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    monkeypatch.setattr(
        "eval.execute.run.default_evaluator", lambda metrics, folder: toy_evaluator(metrics)
    )

    def call(suite: str | Path, out: str = "out") -> Any:
        return CliRunner().invoke(app, ["run", str(suite), "--out", str(tmp_path / out)])

    return call


def test_unknown_suite(invoke: Any) -> None:
    assert_one_line(
        invoke("first-ligth"), ["suite 'first-ligth': no such file", "Did you mean 'first-light'?"]
    )


def test_true_clips_missing(
    invoke: Any, toy_folder: Path, write_suite: Any, suite_content: Content
) -> None:
    (toy_folder / "bare.csv").write_text("id,image,prompt\na,0.png,x\nb,1.png,y\n")
    suite_content["samples"]["path"] = "bare.csv"
    assert_one_line(
        invoke(write_suite(suite_content)),
        ["'fvd.videomae_glyph.v1' needs true clips", "sample 'a' has none"],
    )
    suite_content["metrics"] = ["motion.flow_dis.v1"]
    assert_one_line(
        invoke(write_suite(suite_content)), ["'true-clip' needs true clips", "sample 'a' has none"]
    )
    suite_content["methods"].pop()
    result = invoke(write_suite(suite_content))
    assert result.exit_code == 3
    assert (
        "cell still-image, sample/seed a/0 (make): sample 'a' has no true clip; give the settings "
        "frames and fps" in result.stderr
    )
    suite_content["methods"][1]["settings"] = {"frames": 4, "fps": 8}
    assert invoke(write_suite(suite_content)).exit_code == 0


def test_a_failing_clip_exits_with_3(
    invoke: Any, write_suite: Any, suite_content: Content, tmp_path: Path
) -> None:
    suite_content["methods"].append(
        {"method": "toy_method:Toy", "label": "bad", "settings": {"fail_on": "s3"}}
    )
    result = invoke(write_suite(suite_content))
    assert result.exit_code == 3
    assert result.stdout.startswith("82 clips made, 82 measured in ")
    assert result.stderr.splitlines()[-3:] == [
        "failed: cell bad, sample/seed s3/0 (make): ZeroDivisionError: no such luck",
        "failed: cell bad, sample/seed s3/1 (make): ZeroDivisionError: no such luck",
        f"2 failed, listed in {tmp_path / 'out/failures.csv'}; the same command tries them again",
    ]


def test_an_unusable_folder_or_store(
    invoke: Any, write_suite: Any, suite_content: Content, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    assert_one_line(
        invoke(write_suite(suite_content), "file/out"),
        ["file/out: cannot be written", "give another --out"],
    )
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "store.sqlite").write_text(
        "this is no database, and it is long enough to be told from one" * 20
    )
    assert_one_line(
        invoke(write_suite(suite_content)),
        ["out: store.sqlite is damaged (file is not a database)", "i2v-eval salvage"],
    )


@pytest.mark.parametrize("settings", [{"t0": 0.0}, {"t0": 1.5}, {"p": -0.1}, {"p": 1.1}])
def test_the_adapter_checks_its_ranges(
    settings: dict[str, float], invoke: Any, write_suite: Any, suite_content: Content
) -> None:
    pytest.importorskip("eval.methods.glyph_world")
    suite_content["methods"][0] = {"method": "i2v-adapter", "settings": settings}
    ((name, value),) = settings.items()
    assert_one_line(
        invoke(write_suite(suite_content)),
        [f"methods[0] (i2v-adapter).{name}: {value} is not allowed"],
    )


def test_help_is_light_and_versions_and_metrics_are_listed() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom eval.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print({'numpy', 'torch', 'pandas', 'cv2', 'av', 'yaml', 'pydantic'} & set(sys.modules))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        == "set()\n"
    )
    assert CliRunner().invoke(app, ["--version"]).stdout.strip() == __version__
    listed = CliRunner().invoke(app, ["metrics"]).stdout
    assert re.search(r"^fvd\.videomae_glyph\.v1 +set .* lower ", listed, re.MULTILINE)
    full = CliRunner().invoke(app, ["metrics", "vbench.subject_consistency.dino_glyph.v1"]).stdout
    for text in (
        "short side 64 bilinear no antialias",
        "published with +dino_vitb16",
        "fingerprint +[0-9a-f]{64}",
    ):
        assert re.search(text, full), text
    wrong = CliRunner().invoke(app, ["metrics", "vbench.subject_consistency.dino_glyf.v1"])
    assert (wrong.exit_code, "Did you mean 'dino_glyph'?" in wrong.stderr) == (2, True)


def test_shipped_suites_are_what_their_names_say() -> None:
    from eval.plan.suite import SHIPPED, load_suite

    for path in SHIPPED.glob("*.yaml"):
        assert load_suite(path).name == path.stem
    light = load_suite(SHIPPED / "first-light.yaml")
    cells = {entry.method for entry in light.methods}
    assert cells == {"i2v-adapter", "content-adapter", "text-to-video", "still-image", "true-clip"}
    sweep = yaml.safe_load((SHIPPED / "first-light.yaml").read_text())["methods"][0]["sweep"]
    assert {key: len(values) for key, values in sweep.items()} == {"t0": 3, "p": 3}


def assert_one_line(result: Any, expected: list[str]) -> None:
    assert result.exit_code == 2, result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    for text in expected:
        assert text in lines[0]
