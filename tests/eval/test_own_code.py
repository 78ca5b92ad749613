"""Code of one's own: metrics, encoders, methods and samples beside a suite file or in an installed
package, from their names to table, report and gate."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from eval.errors import EvalError
from eval.execute.run import run
from eval.io import registry
from eval.measure.catalogue import definitions, parse_metric
from eval.methods import load_method, method_names
from eval.samples import load_samples
from eval.summary.set_metrics import set_value

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "own-metrics.md"


def block(language: str, number: int = 0) -> str:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.S)
    return found[number]


@pytest.fixture(autouse=True)
def _path() -> Iterator[None]:
    """Modules of one test are not those of the next."""
    before = list(sys.path)
    yield
    registry.add_folder(Path("/nowhere"))
    sys.path[:] = before
    registry._folder = None


def command(*arguments: object, cwd: Path, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "eval", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_the_page_s_metric_reaches_table_report_and_gate(tmp_path: Path) -> None:
    here, elsewhere = tmp_path / "suite", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    code = block("python")
    assert len(code.strip().splitlines()) <= 16
    (here / "my_metrics.py").write_text(code)
    (here / "suite.yaml").write_text(block("yaml"))
    command("run", here / "suite.yaml", "--out", "run", cwd=elsewhere)
    folder = elsewhere / "run"
    with (folder / "summary.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["group"] == "all"]
    assert [row["metric"] for row in rows] == ["my_metrics:brightness.pixels.v1"] * 2
    assert {(row["unit"], row["higher_is_better"], row["n"]) for row in rows} == {
        ("share of range", "true", "6")
    }
    still = next(row for row in rows if row["cell"] == "still-image")
    images = [np.asarray(_pixels(path)).mean() / 255 for path in folder.glob("samples/*/image.png")]
    assert float(still["mean"]) == pytest.approx(np.mean(images), abs=1e-12)
    assert float(still["low"]) < float(still["mean"]) < float(still["high"])
    with (folder / "comparisons.csv").open(newline="") as file:
        assert {row["metric"] for row in csv.DictReader(file)} == {
            "my_metrics:brightness.pixels.v1"
        }

    (here / "my_metrics.py").unlink()  # the report and the gate need the folder alone
    command("report", folder, cwd=elsewhere)
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "Mean pixel value of frames 1, 2, ..., divided by 255." in report
    assert "share of range" in report
    baseline = elsewhere / "baseline.json"
    command("gate", folder, "--baseline", baseline, "--update", "first", cwd=elsewhere)
    command("gate", folder, "--baseline", baseline, cwd=elsewhere)
    content = json.loads(baseline.read_text())
    for entry in content["entries"]:
        assert entry["higher_is_better"] is True
        entry["mean"] += 0.5
        entry["clips"] = {name: value + 0.5 for name, value in entry["clips"].items()}
    baseline.write_text(json.dumps(content))
    said = command("gate", folder, "--baseline", baseline, cwd=elsewhere, code=1)
    assert "my_metrics:brightness.pixels.v1" in said
    assert "worse" in said


def _pixels(path: Path) -> Any:
    from PIL import Image

    return Image.open(path).convert("RGB")


OWN = """
import numpy as np
from pydantic import BaseModel
from eval import Clip, Definition, Features, Sample, metric


@metric(
    Definition(name="low", kind="pixels", unit="8-bit", higher_is_better=None,
               description="Smallest value.", source="test", cannot_see="Where."),
    Definition(name="mine.high", kind="pixels", unit="8-bit", higher_is_better=True,
               description="Largest value.", source="test", cannot_see="Where.",
               versions=("v1", "v2")),
)
def extremes(features: Features) -> dict[str, float]:
    frames = features.clip.frames
    return {"low": float(frames.min()), "mine.high": float(frames.max())}


@metric(Definition(name="gap", kind="video", scope="set", unit="distance", higher_is_better=False,
                   description="Distance of the means.", source="test", cannot_see="Spread."))
def gap(real, fake):
    return float(np.linalg.norm(real.mean(0) - fake.mean(0)))


@metric(Definition(name="worded", kind="pixels", unit="", higher_is_better=None,
                   description="Not a number.", source="test", cannot_see="All."))
def worded(features):
    return "much"


class MeanColour:
    kind = "image"
    protocol = "mean colour; v1"

    def __init__(self, location, device):
        assert location is None

    def encode_frames(self, frames, *, view="standard"):
        means = frames.mean(axis=(1, 2)).astype(np.float32) + 1
        return means / np.linalg.norm(means, axis=1, keepdims=True)


class Blank(BaseModel):
    count: int = 3


def blank(settings: Blank) -> list[Sample]:
    image = np.full((16, 16, 3), 40, np.uint8)
    return [Sample(f"s{i}", image, "nothing") for i in range(settings.count)]


class Brighter:
    class Settings(BaseModel):
        step: int = 10

    def __init__(self, settings):
        self.settings = settings

    def fingerprint(self):
        return "brighter.v1"

    def generate(self, samples, seeds):
        steps = self.settings.step * np.arange(3, dtype=np.uint8)[:, None, None, None]
        return [Clip(sample.image[None] + steps, 8.0) for sample in samples]
"""

SUITE = """
name: own
samples: {source: "own_code:blank", count: 4}
methods: [{method: "own_code:Brighter", label: brighter}]
metrics: ["own_code:low", "own_code:mine.high.pixels.v2", "identity.own_code:MeanColour.v1"]
"""


def test_all_kinds_of_code_beside_the_suite(tmp_path: Path) -> None:
    (tmp_path / "own_code.py").write_text(OWN)
    (tmp_path / "suite.yaml").write_text(SUITE)
    run(str(tmp_path / "suite.yaml"), tmp_path / "run", console=Console(quiet=True))
    with (tmp_path / "run" / "summary.csv").open(newline="") as file:
        found = {row["metric"]: float(row["mean"]) for row in csv.DictReader(file)}
    assert found == {
        "own_code:low.pixels.v1": 40.0,
        "own_code:mine.high.pixels.v2": 60.0,
        "identity.own_code:MeanColour.v1": pytest.approx(1.0),
    }
    with (tmp_path / "run" / "records.csv").open(newline="") as file:
        prints = {row["metric"]: row["encoder_fingerprint"] for row in csv.DictReader(file)}
    assert len(set(prints.values())) == 2


def test_a_formula_that_gives_no_number_is_a_named_failure(tmp_path: Path) -> None:
    (tmp_path / "own_code.py").write_text(OWN)
    text = SUITE.replace("own_code:low", "own_code:worded")
    (tmp_path / "suite.yaml").write_text(text)
    outcome = run(str(tmp_path / "suite.yaml"), tmp_path / "run", console=Console(quiet=True))
    assert len(outcome.failures) == 4
    assert "metric 'own_code:worded': the formula gives a str, not a number" in str(
        outcome.failures[0]
    )


def test_a_module_beside_another_suite_is_another_module(tmp_path: Path) -> None:
    for name, value in (("a", 1), ("b", 2)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "own_code.py").write_text(OWN.replace("step: int = 10", f"step: int = {value}"))
        (folder / "suite.yaml").write_text(SUITE)
        run(str(folder / "suite.yaml"), folder / "run", console=Console(quiet=True))
        with (folder / "run" / "summary.csv").open(newline="") as file:
            high = [row["mean"] for row in csv.DictReader(file) if "high" in row["metric"]]
        assert high == [repr(40.0 + 2 * value)]


def test_a_metric_of_sets_of_one_s_own_has_a_jackknife_interval(tmp_path: Path) -> None:
    (tmp_path / "own_code.py").write_text(OWN)
    registry.add_folder(tmp_path)
    metric = parse_metric("own_code:gap.videomae_glyph.v1")
    real, fake = np.zeros((5, 3)), np.ones((5, 3)) * np.arange(5)[:, None]
    (value, low, high, n, images), corrected, cautions = set_value(metric, real, fake, range(5))
    assert value == pytest.approx(2 * 3**0.5)
    assert low < value < high
    assert (n, images) == (5, 5)
    assert np.isnan(corrected)
    assert "5 input images" in str(cautions[0])


@pytest.mark.parametrize(
    ("id", "message"),
    [
        ("own_code:lowest", r"registers no metric 'lowest' \(it is \S+own_code\.py\)"),
        ("no_such_module:low", "no module 'no_such_module'; put it beside the suite file"),
        ("own_code:low.pixels.v2", "unknown version 'v2'; allowed: v1"),
        ("own_code:low.dino_glyph.v1", "is of kind 'image', not 'pixels'; allowed: pixels"),
        ("identity.own_code:Blank.v1", "has no text 'kind'"),
        ("identity.own_code:Nothing.v1", "has no 'Nothing'"),
        ("broken:x", "importing it fails with ZeroDivisionError: division by zero"),
        ("leaves:x", "importing it fails with SystemExit"),
        ("clash:x", "defines a metric of this name already; choose another"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, id: str, message: str) -> None:
    (tmp_path / "own_code.py").write_text(OWN)
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "leaves.py").write_text("raise SystemExit(0)")
    (tmp_path / "clash.py").write_text(OWN.replace('"low"', '"flicker"'))
    registry.add_folder(tmp_path)
    definitions()
    with pytest.raises(EvalError, match=message) as error:
        parse_metric(id)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "pixel"}, "kind is 'pixel'; allowed: .*Did you mean 'pixels'"),
        ({"name": "two words"}, "its name must be letters"),
        ({"scope": "clips"}, "scope is 'clips'; allowed: clip, set"),
        ({"higher_is_better": "yes"}, "give True, False, or None"),
        ({"versions": ()}, "give one or more like 'v1'"),
        ({"cannot_see": " "}, "cannot_see is empty; say which changes of a clip"),
    ],
)
def test_a_definition_that_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    from eval.metrics import Definition, metric

    fields: dict[str, Any] = {
        "name": "x",
        "kind": "pixels",
        "unit": "",
        "higher_is_better": None,
        "description": "",
        "source": "",
        "cannot_see": "Anything.",
    }
    with pytest.raises(EvalError, match=message):
        metric(Definition(**fields | change))


def test_installed_packages_add_plain_names(tmp_path: Path) -> None:
    """In a process of its own, since entry points are looked up once."""
    (tmp_path / "own_package.py").write_text(OWN)
    info = tmp_path / "own_package-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-package\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[i2v_eval.metrics]\nlow = own_package:extremes\n"
        "[i2v_eval.methods]\nbrighter = own_package:Brighter\n"
        "[i2v_eval.encoders]\nmean_colour = own_package:MeanColour\n"
        "[i2v_eval.samples]\nblank = own_package:blank\n"
    )
    suite = SUITE.replace("own_code:blank", "blank").replace("own_code:Brighter", "brighter")
    suite = suite.replace('"own_code:low", "own_code:mine.high.pixels.v2"', "low.pixels.v1")
    suite = suite.replace("identity.own_code:MeanColour.v1", "identity.mean_colour.v1")
    (tmp_path / "suite.yaml").write_text(suite)
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    for arguments in (["run", "suite.yaml", "--out", "run"], ["metrics"]):
        done = subprocess.run(
            [sys.executable, "-m", "eval", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
    assert "low.pixels.v1" in done.stdout
    assert "identity.mean_colour.v1" in done.stdout
    summary = (tmp_path / "run" / "summary.csv").read_text()
    assert "low.pixels.v1" in summary
    assert "identity.mean_colour.v1" in summary


def test_unknown_names_of_methods_and_samples_list_what_there_is() -> None:
    with pytest.raises(EvalError, match=r"unknown method 'still-imag'\..*'still-image'\?"):
        load_method("still-imag")
    assert "still-image" in method_names()
    message = r"samples\.source: unknown sample source 'manifesto'.*Did you mean 'manifest'"
    with pytest.raises(EvalError, match=message):
        load_samples({"source": "manifesto"})
    with pytest.raises(EvalError, match="must be annotated with a pydantic model"):
        load_samples({"source": "json:dumps"})
