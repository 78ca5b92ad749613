"""The site's pages of metrics: complete, true to the catalogue, with examples that run."""

from __future__ import annotations

import doctest
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from eval.measure.catalogue import catalogue, definitions, registered
from eval.metrics.flicker import flicker, smoothness
from eval.metrics.identity import identity
from eval.metrics.kernel import kernel_distance
from eval.metrics.motion import motion
from eval.metrics.perceptual import input_distance
from eval.metrics.temporal import image_consistency
from eval.metrics.text import text_alignment

FILE = Path(__file__).parents[1] / "docs" / "metric_pages.py"
PARTS = ["Formula", "What it cannot see", "Preprocessing and weights", "Versions", "Example"]


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("metric_pages", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_metric_has_a_page_with_every_part(pages: ModuleType) -> None:
    found = dict(pages.family_pages())
    assert list(found) == list(pages.families()) == list(definitions())
    for name, page in found.items():
        headings = [line[3:] for line in page.splitlines() if line.startswith("## ")]
        assert headings == PARTS, name
        assert "def " in page.partition("## Formula")[2].partition("## What")[0], name
        unseen = page.partition("## What it cannot see")[2].partition("## ")[0]
        assert "\n- " in unseen, f"{name}: give its definition cannot_see"
    for metric in catalogue():
        assert f"### `{metric.id}`" in found[metric.family]
        assert f"(metrics/{metric.family}.md)" in pages.metrics_page()


def test_every_formula_has_an_example_that_runs(pages: ModuleType) -> None:
    """A formula without a pure function of its own reads what an encoder gives: see below."""
    for metrics in pages.families().values():
        for function in pages.arithmetic(metrics[0]):
            if function is registered(metrics[0]).formula:
                continue
            finder, globs = doctest.DocTestFinder(recurse=False), dict(function.__globals__)
            tests = finder.find(function, function.__name__, globs=globs)
            assert any(test.examples for test in tests), function
            for test in tests:
                assert doctest.DocTestRunner().run(test).failed == 0


def test_what_the_calibration_found_is_on_the_page(pages: ModuleType) -> None:
    page = dict(pages.family_pages())["identity"]
    assert "- Measured with `dino_glyph` on true glyph clips: " in page
    assert "frame shuffle" in page
    assert "- The prompt: the formula does not read it." in page
    assert "- The image:" not in page


def test_versions_say_what_differs(pages: ModuleType) -> None:
    page = dict(pages.family_pages())["vbench.i2v_subject"].partition("## Versions")[2]
    assert "| `v2` | newest |" in page
    assert "| `noaa.v1` | variant |" in page
    assert "v1 is not VBench to the letter" in page
    refused = dict(pages.family_pages())["identity"].partition("## Versions")[2]
    assert "`v1` with `dino_vits16` | refused |" in refused


def test_examples_run(pages: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    for metrics in pages.families().values():
        if any(pages._shipped(metric) for metric in metrics):
            names: dict[str, Any] = {}
            exec(pages.example(metrics), names)
            assert set(names["table"]["metric"]) <= {metric.id for metric in metrics}
            assert np.isfinite(names["table"]["value"]).all()
            assert capsys.readouterr().out.endswith(f"] {metrics[0].unit}\n")


def test_blind_spots_are_true() -> None:
    """What definitions say under `cannot_see`, for random features: the value must not move."""
    draw = np.random.default_rng(0)
    one, frames = draw.normal(size=6), draw.normal(size=(7, 6))
    shuffled = np.concatenate([frames[:1], draw.permutation(frames[1:])])
    for name in ("identity", "identity_min"):
        assert identity(one, frames)[name] == pytest.approx(identity(one, shuffled)[name])
    last = np.concatenate([draw.normal(size=(6, 6)), frames[-1:]])
    assert identity(one, frames)["identity_last"] == identity(one, last)["identity_last"]
    for name in ("text", "text_min"):
        found = text_alignment(one, frames[::-1])[name]
        assert text_alignment(one, frames)[name] == pytest.approx(found)
    assert image_consistency(one, frames) == pytest.approx(image_consistency(one, frames[::-1]))
    distances = draw.random(7)
    other = np.concatenate([distances[:1], distances[:0:-1]])
    assert input_distance(distances) == pytest.approx(input_distance(other))
    assert motion(np.full((3, 8, 8, 2), (3.0, 0.0)), 8) == motion(np.full((3, 8, 8, 2), (0, -3)), 8)
    assert smoothness(np.full((3, 8, 8, 2), (9.0, 1.0)), 8) == 0
    fade = np.stack([np.full((4, 4, 3), 20 * i, np.uint8) for i in range(8)])
    assert flicker(fade) == 0
    a, b = draw.normal(size=(5, 3)), draw.normal(size=(6, 3))
    assert kernel_distance(a, b) == pytest.approx(kernel_distance(a[::-1], draw.permutation(b)))
