"""The command line: bad input gives one line with file, key, value and way out, and leaves the run folder usable."""

import copy
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from eval import __version__
from eval.cli import app

Content = dict[str, Any]


@pytest.fixture
def invoke(toy_folder: Path, toy_judge: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setattr("eval.run.default_judge", lambda metrics, folder: toy_judge(metrics))

    def call(suite: str | Path, out: str = "out") -> Any:
        return CliRunner().invoke(app, ["run", str(suite), "--out", str(tmp_path / out)])

    return call


def setting(content: Content, *path: Any, value: Any) -> None:
    for key in path[:-1]:
        content = content[key]
    content[path[-1]] = value


CASES: dict[str, tuple[tuple[Any, ...], Any, list[str]]] = {
    "unknown key": (("metric",), [], ["suite.yaml: metric: unknown key 'metric'", "Did you mean 'metrics'?"]),
    "unknown key of a method": (
        ("methods", 0, "sweeps"),
        {},
        ["methods[0].sweeps: unknown key 'sweeps'", "Allowed: method, label, settings, sweep."],
    ),
    "unknown method": (
        ("methods", 1, "method"),
        "still-imag",
        ["methods[1].method: unknown method 'still-imag'", "Did you mean 'still-image'?"],
    ),
    "unknown module": (
        ("methods", 1, "method"),
        "no_such:Class",
        ["methods[1].method: method 'no_such:Class'", "no module"],
    ),
    "unknown class": (("methods", 1, "method"), "toy_method:Toi", ["'toy_method' has no 'Toi'", "Did you mean 'Toy'?"]),
    "not a method": (("methods", 1, "method"), "toy_method:Clip", ["toy_method:Clip", "it has no 'Settings'"]),
    "unknown setting": (
        ("methods", 0, "settings"),
        {"t": 1},
        ["methods[0] (toy).t: unknown key 't'", "Allowed: t0, p, fail_on."],
    ),
    "t0 too large": (
        ("methods", 0, "sweep", "t0"),
        [1.5],
        ["methods[0] (toy).t0: 1.5 is not allowed", "less than or equal to 1"],
    ),
    "t0 zero": (("methods", 0, "sweep", "t0"), [0.5, 0], ["(toy).t0: 0 is not allowed", "greater than 0"]),
    "p negative": (
        ("methods", 0, "sweep", "p"),
        [-0.1],
        ["(toy).p: -0.1 is not allowed", "greater than or equal to 0"],
    ),
    "p no number": (("methods", 0, "sweep", "p"), ["half"], ["(toy).p: 'half' is not allowed", "valid number"]),
    "empty sweep": (("methods", 0, "sweep", "p"), [], ["methods[0].sweep.p: [] is not allowed", "at least 1 item"]),
    "set twice": (("methods", 0, "settings"), {"p": 1}, ["methods[0]", "'p' is in settings and in sweep"]),
    "duplicate cell": (
        ("methods", 2),
        {"method": "still-image"},
        ["methods[2]: cell 'still-image' is in methods[1] already"],
    ),
    "duplicate in sweep": (
        ("methods", 0, "sweep", "p"),
        [0.5, 0.5],
        ["methods[0]: cell 'toy[t0=0.5,p=0.5]'", "already"],
    ),
    "no methods": (("methods",), [], ["suite.yaml: methods: [] is not allowed"]),
    "unknown metric": (
        ("metrics", 1),
        "moton.flow_dis.v1",
        ["metrics[1]", "'moton.flow_dis.v1'", "unknown family 'moton'", "Did you mean 'motion'?"],
    ),
    "unknown encoder": (("metrics", 0), "identity.dino_glyf.v1", ["metrics[0]", "Did you mean 'dino_glyph'?"]),
    "metric twice": (
        ("metrics", 0),
        "motion.flow_dis.v1",
        ["suite.yaml: metrics", "'motion.flow_dis.v1' is listed twice"],
    ),
    "unknown source": (("samples", "source"), "manifst", ["samples.source", "'manifst'", "Did you mean 'manifest'?"]),
    "no source": (("samples",), {"path": "samples.csv"}, ["samples.source", "Allowed: glyph-world, manifest"]),
    "unknown sample key": (("samples", "file"), "x", ["samples.file: unknown key 'file'", "Allowed: path."]),
    "no manifest": (
        ("samples", "path"),
        "none.csv",
        ["samples: path: '", "none.csv' not found; give a .csv or .jsonl"],
    ),
    "unknown reference": (
        ("reference",),
        "toy[t0=1,p=0.5]",
        ["reference: no cell 'toy[t0=1,p=0.5]'", "Did you mean 'toy[t0=1.0,p=0.5]'?"],
    ),
    "batch size": (("batch_size",), 0, ["suite.yaml: batch_size: 0 is not allowed", "greater than or equal to 1"]),
    "seed twice": (("seeds",), [1, 1], ["suite.yaml: seeds", "'1' is listed twice"]),
    "name with a slash": (("name",), "a/b", ["suite.yaml: name: 'a/b' is not allowed"]),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_suite(case: str, invoke: Any, write_suite: Any, suite_content: Content) -> None:
    path, value, expected = CASES[case]
    setting(suite_content, *path, value=value)
    assert_one_line(invoke(write_suite(suite_content)), ["suite.yaml", *expected])


def test_the_run_folder_outlives_every_bad_suite(
    invoke: Any, write_suite: Any, suite_content: Content, tmp_path: Path
) -> None:
    assert invoke(write_suite(suite_content)).exit_code == 0
    before = (tmp_path / "out" / "run.json").read_bytes()
    for path, value, _ in CASES.values():
        bad = copy.deepcopy(suite_content)
        setting(bad, *path, value=value)
        assert invoke(write_suite(bad)).exit_code == 2
    assert invoke(write_suite(suite_content)).stdout.startswith("0 clips made, 0 measured")
    assert (tmp_path / "out" / "run.json").read_bytes() == before


ROWS: dict[str, tuple[str, list[str]]] = {
    "no rows": ("id,image,prompt\n", ["the manifest has no rows; at least one sample"]),
    "nothing": ("", ["the manifest has no rows"]),
    "empty prompt": ("id,image,prompt\na,0.png,hello\nb,1.png,\n", [":3: prompt: '' is empty"]),
    "missing column": ("id,image\na,0.png\n", [":2: key 'prompt' is missing"]),
    "misspelt column": ("id,imag,prompt\na,0.png,x\n", [":2: unknown key 'imag'", "Did you mean 'image'?"]),
    "short row": ("id,image,prompt\na,0.png\n", [":2: the row does not have the header's 3 values"]),
    "missing image": ("id,image,prompt\na,gone.png,x\n", [":2: image: '", "gone.png' not found"]),
    "unreadable image": ("id,image,prompt\na,broken.png,x\n", [":2: image: '", "broken.png' is not a readable image"]),
    "truncated image": ("id,image,prompt\na,cut.png,x\n", [":2: image: '", "cut.png' is not a readable image"]),
    "missing clip": ("id,image,prompt,clip\na,0.png,x,gone.mkv\n", [":2: ", "gone.mkv: clip file not found"]),
    "unreadable clip": ("id,image,prompt,clip\na,0.png,x,broken.png\n", [":2: ", "broken.png: not a readable video"]),
    "id twice": ("id,image,prompt\na,0.png,x\na,1.png,y\n", ["sample id 'a' appears twice; ids must be unique"]),
    "id with a path": ("id,image,prompt\n../a,0.png,x\n", [":2: sample id '../a' is not allowed"]),
}


@pytest.mark.parametrize("case", ROWS)
def test_bad_manifest(case: str, invoke: Any, toy_folder: Path, write_suite: Any, suite_content: Content) -> None:
    rows, expected = ROWS[case]
    (toy_folder / "broken.png").write_bytes(b"not an image")
    Image.effect_noise((64, 64), 50).save(toy_folder / "whole.png")
    (toy_folder / "cut.png").write_bytes((toy_folder / "whole.png").read_bytes()[:900])
    (toy_folder / "bad.csv").write_text(rows)
    suite_content["samples"]["path"] = "bad.csv"
    assert_one_line(invoke(write_suite(suite_content)), ["suite.yaml: samples: ", *expected])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1", ["suite.yaml", "not valid YAML"]),
        ("", ["suite.yaml: a suite is a mapping with the keys name, samples", "nothing"]),
        ("- 1", ["suite.yaml: a suite is a mapping", "a list"]),
        ("name: a\nname: b\n", ["suite.yaml:2: not valid YAML", "key 'name' is written twice"]),
        ("name: a\n", ["suite.yaml: samples: the key is missing"]),
    ],
)
def test_bad_file(text: str, expected: list[str], invoke: Any, toy_folder: Path) -> None:
    (toy_folder / "suite.yaml").write_text(text)
    assert_one_line(invoke(toy_folder / "suite.yaml"), expected)


def test_unknown_suite(invoke: Any) -> None:
    assert_one_line(invoke("first-ligth"), ["suite 'first-ligth': no such file", "Did you mean 'first-light'?"])


def test_true_clips_missing(invoke: Any, toy_folder: Path, write_suite: Any, suite_content: Content) -> None:
    (toy_folder / "bare.csv").write_text("id,image,prompt\na,0.png,x\nb,1.png,y\n")
    suite_content["samples"]["path"] = "bare.csv"
    assert_one_line(
        invoke(write_suite(suite_content)), ["'fvd.videomae_glyph.v1' needs true clips", "sample 'a' has none"]
    )
    suite_content["metrics"] = ["motion.flow_dis.v1"]
    assert_one_line(invoke(write_suite(suite_content)), ["'true-clip' needs true clips", "sample 'a' has none"])
    suite_content["methods"].pop()
    result = invoke(write_suite(suite_content))
    assert result.exit_code == 2
    assert "cell still-image, sample/seed a/0" in result.stderr
    assert "sample 'a' has no true clip; give the settings frames and fps" in result.stderr
    suite_content["methods"][1]["settings"] = {"frames": 4, "fps": 8}
    assert invoke(write_suite(suite_content)).exit_code == 0


def test_a_failing_clip_exits_with_1(invoke: Any, write_suite: Any, suite_content: Content) -> None:
    suite_content["methods"].append({"method": "toy_method:Toy", "label": "bad", "settings": {"fail_on": "s3"}})
    result = invoke(write_suite(suite_content))
    assert result.exit_code == 1
    assert re.fullmatch(
        r"error: cell bad, sample/seed .*s3/0.*: the method failed with ZeroDivisionError.*", last_line(result)
    )


def test_an_unusable_folder_or_store(invoke: Any, write_suite: Any, suite_content: Content, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert_one_line(
        invoke(write_suite(suite_content), "file/out"), ["file/out: cannot be written", "give another --out"]
    )
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "store.sqlite").write_text(
        "this is no database, and it is long enough to be told from one" * 20
    )
    assert_one_line(invoke(write_suite(suite_content)), ["store.sqlite: not a usable store", "give another --out"])


@pytest.mark.parametrize("settings", [{"t0": 0.0}, {"t0": 1.5}, {"p": -0.1}, {"p": 1.1}])
def test_the_adapter_checks_its_ranges(
    settings: dict[str, float], invoke: Any, write_suite: Any, suite_content: Content
) -> None:
    pytest.importorskip("eval.methods.glyph_world")
    suite_content["methods"][0] = {"method": "i2v-adapter", "settings": settings}
    ((name, value),) = settings.items()
    assert_one_line(invoke(write_suite(suite_content)), [f"methods[0] (i2v-adapter).{name}: {value} is not allowed"])


def test_help_is_light_and_versions_and_metrics_are_listed() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom eval.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print({'numpy', 'torch', 'pandas', 'cv2', 'av', 'yaml', 'pydantic'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
    assert CliRunner().invoke(app, ["--version"]).stdout.strip() == __version__
    listed = CliRunner().invoke(app, ["metrics"]).stdout
    assert re.search(r"^fvd\.videomae_glyph\.v1 +set .* lower ", listed, re.MULTILINE)
    full = CliRunner().invoke(app, ["metrics", "vbench.subject_consistency.dino_glyph.v1"]).stdout
    for text in ("short side 64 bilinear no antialias", "published with +dino_vitb16", "fingerprint +[0-9a-f]{64}"):
        assert re.search(text, full), text
    wrong = CliRunner().invoke(app, ["metrics", "vbench.subject_consistency.dino_glyf.v1"])
    assert (wrong.exit_code, "Did you mean 'dino_glyph'?" in wrong.stderr) == (2, True)


def test_shipped_suites_are_what_their_names_say() -> None:
    from eval.suite import SHIPPED, load_suite

    for path in SHIPPED.glob("*.yaml"):
        assert load_suite(path).name == path.stem
    light = load_suite(SHIPPED / "first-light.yaml")
    cells = {entry.method for entry in light.methods}
    assert cells == {"i2v-adapter", "content-adapter", "text-to-video", "still-image", "true-clip"}
    sweep = yaml.safe_load((SHIPPED / "first-light.yaml").read_text())["methods"][0]["sweep"]
    assert {key: len(values) for key, values in sweep.items()} == {"t0": 3, "p": 3}


def last_line(result: Any) -> str:
    return str(result.stderr.strip().splitlines()[-1])


def assert_one_line(result: Any, expected: list[str]) -> None:
    assert result.exit_code == 2, result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    for text in expected:
        assert text in lines[0]
