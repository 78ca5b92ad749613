"""What `import eval` offers: the list of names, an example in each docstring that runs, and frames
that agree with the run's own tables."""

from __future__ import annotations

import csv
import doctest
import importlib.metadata
import math
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from rich.console import Console

import eval
import i2v_adapter

NAMES = {
    *("Clip", "Definition", "EvalError", "Features", "Metric", "RunTables", "Sample"),
    *(
        "catalogue",
        "encoder",
        "load_run",
        "method",
        "metric",
        "parse_metric",
        "read_clip",
        "read_media",
    ),
    *("run", "sample_source", "score", "write_clip", "__version__"),
}


def test_the_list_of_names() -> None:
    assert set(eval.__all__) == NAMES == NAMES & set(dir(eval))
    for name in NAMES:
        assert getattr(eval, name)
    with pytest.raises(AttributeError, match="no attribute 'scores'"):
        eval.scores  # noqa: B018


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What an example registers is forgotten after it."""
    from eval import encoders, methods, samples
    from eval.metrics import definitions

    eval.catalogue()  # so that the suite's own metrics are registered before, and stay
    for registry in (encoders._OWN, methods.METHODS, samples.SOURCES):
        monkeypatch.setattr(registry, "_objects", dict(registry._objects))
    with patch.dict(definitions.PLAIN), patch.dict(definitions.OWN):
        yield


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize("name", sorted(NAMES - {"__version__"}))
def test_every_name_has_an_example_that_runs(name: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    thing = getattr(eval, name)
    home = sys.modules[thing.__module__]
    finder = doctest.DocTestFinder(recurse=False)
    found = [
        test
        for test in finder.find(thing, name, globs={**vars(home), "__name__": "__main__"})
        if test.examples
    ]
    assert found, f"{name} has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    for test in found:
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0


def test_the_version_stands_once() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert eval.__version__ == i2v_adapter.__version__
    assert eval.__version__ == importlib.metadata.version("i2v-adapter")


def test_importing_costs_no_heavy_library() -> None:
    code = "import sys, eval, i2v_adapter; assert not {'torch', 'numpy', 'pandas'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_packages_are_typed_for_those_who_install_them() -> None:
    root = Path(__file__).parents[2]
    listed = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    for package in ("eval", "i2v_adapter", "reports"):
        assert (root / package / "py.typed").is_file()
        assert "py.typed" in listed["package-data"][package]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("face")
    suite = folder / "suite.yaml"
    suite.write_text(
        "name: face\nsamples: {source: glyph-world, seen: 3, unseen: 0}\nseeds: [0, 1]\n"
        "reference: still-image\nmethods: [{method: still-image}, {method: true-clip}]\n"
        "metrics: [flicker.pixels.v1, vbench.temporal_flickering.pixels.v1]\n"
    )
    eval.run(str(suite), folder / "run", console=Console(quiet=True))
    return folder / "run"


def test_a_loaded_run_holds_its_tables_with_types(finished: Path) -> None:
    tables = eval.load_run(finished)
    assert tables.info["suite"]["name"] == "face"
    for name in ("records", "summary", "comparisons", "samples", "failures"):
        with (finished / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        frame = getattr(tables, name)
        assert len(frame) == len(rows)
        for row, (_, values) in zip(rows, frame.iterrows(), strict=True):
            for key, text in row.items():
                value = values[key]
                if isinstance(value, str):
                    assert value == text
                elif value is None or (isinstance(value, float) and math.isnan(value)):
                    assert text == ""
                elif isinstance(value, bool):
                    assert text == str(value).lower()
                else:
                    assert float(text) == value
    better = tables.summary.set_index("metric")["higher_is_better"]
    assert set(better["flicker.pixels.v1"]) == {False}
    assert str(tables.records["seed"].dtype) == "Int64"


def test_scoring_at_hand_gives_what_the_run_recorded(finished: Path) -> None:
    records = eval.load_run(finished).records
    ids = list(dict.fromkeys(records["metric"]))
    for (_, _, _), rows in records.groupby(["cell", "sample", "seed"]):
        key = rows["clip_key"].iloc[0]
        clip = eval.read_clip(finished / "clips" / key[:2] / f"{key}.mkv")
        scored = eval.score([clip], ids).set_index("metric")["value"]
        assert scored.to_dict() == rows.set_index("metric")["value"].to_dict()


def test_scores_need_what_their_metrics_read(finished: Path) -> None:
    clip = eval.Clip(np.zeros((4, 64, 64, 3), np.uint8), 8.0)
    with pytest.raises(eval.EvalError, match=r"identity\.dino_glyph\.v1 reads the sample's image"):
        eval.score([clip], ["identity.dino_glyph.v1"])
    with pytest.raises(eval.EvalError, match=r"exact\.position\S* reads the sample's ground"):
        eval.score([clip], ["exact.position.pixels.v1"])
    with pytest.raises(eval.EvalError, match="give reference, two or more"):
        eval.score([clip, clip], ["kvd.videomae_glyph.v1"])
    with pytest.raises(eval.EvalError, match="0 clips and 1 metrics"):
        eval.score([], ["flicker.pixels.v1"])
    with pytest.raises(eval.EvalError, match="1 samples but 2 clips"):
        eval.score(
            [clip, clip], ["flicker.pixels.v1"], samples=[eval.Sample("a", clip.frames[0], "x")]
        )


def test_a_folder_that_is_no_run_is_named(tmp_path: Path, finished: Path) -> None:
    with pytest.raises(eval.EvalError, match="not a run folder"):
        eval.load_run(tmp_path)
    (tmp_path / "run.json").write_bytes((finished / "run.json").read_bytes())
    with pytest.raises(eval.EvalError, match=r"records\.csv: no such file"):
        eval.load_run(tmp_path)
    (tmp_path / "records.csv").write_text("a,seed\nx,notanumber\n")
    with pytest.raises(eval.EvalError, match=r"records\.csv: not a table of a run"):
        eval.load_run(tmp_path)
