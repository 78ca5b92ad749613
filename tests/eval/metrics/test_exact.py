"""Exact measures on scenes whose answer is known by construction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eval.clips.lossless import Clip
from eval.errors import EvalError
from eval.measure.feature_cache import FeatureCache
from eval.measure.kept_features import Memory
from eval.measure.look import Look
from eval.metrics.exact import canonical, direction_agreement, foreground
from eval.samples import Sample
from eval.world.scenes import Scene, render
from eval.world.truth import exact, followed, scene_of

SCENE = Scene("heart", "\u2665", "red", "navy", "left", 2.0, 36.0, 32.0, 32.0, 0.7, 0.3)


class _TrueFlow:
    """The exact flow of a scene in place of an estimate."""

    kind, id, fingerprint = "flow", "true", ""

    def __init__(self, scene: Scene) -> None:
        self._flow = render(scene, 8).flow

    def encode_pairs(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return self._flow


def _look(shown: Scene, asked: Scene = SCENE) -> Look:
    sample = Sample("s", render(asked, 1).frames[0], "a prompt", truth=asked.truth())
    return Look(
        _TrueFlow(shown),
        "standard",
        sample,
        Clip(render(shown, 8).frames, 8.0),
        Memory(FeatureCache()),
    )


@pytest.mark.parametrize("motion", ["left", "down", "still", "grow", "rotate"])
def test_the_true_clip_is_right(motion: str) -> None:
    scene = replace(SCENE, motion=motion)
    found = exact(_look(scene, scene))
    assert (found["exact.glyph"], found["exact.colour"]) == (1.0, 1.0)
    assert found["exact.position"] < 0.5


def test_another_colour_or_glyph_is_named_wrong_and_place_does_not_mind() -> None:
    found = exact(_look(replace(SCENE, colour="cyan")))
    assert (found["exact.glyph"], found["exact.colour"]) == (1.0, 0.0)
    assert found["exact.position"] < 0.5
    found = exact(_look(replace(SCENE, glyph="star", character="\u2605")))
    assert (found["exact.glyph"], found["exact.colour"]) == (0.0, 1.0)


def test_the_error_of_place_is_the_distance_in_px() -> None:
    found = exact(_look(replace(SCENE, x=SCENE.x + 3, y=SCENE.y + 4)))
    assert found["exact.position"] == pytest.approx(5.0, abs=0.3)
    mean_way = 2.0 * np.arange(1, 8).mean()
    assert exact(_look(replace(SCENE, motion="still", speed=0.0)))[
        "exact.position"
    ] == pytest.approx(mean_way, abs=0.3)


def test_an_empty_clip_is_wrong_about_everything() -> None:
    found = exact(_look(replace(SCENE, x=-1000.0)))
    assert found == {
        "exact.glyph": 0.0,
        "exact.colour": 0.0,
        "exact.position": pytest.approx(np.hypot(64, 64) / 2),
    }


def test_flow_along_against_and_across() -> None:
    for motion, value in (("left", 1.0), ("right", -1.0), ("up", 0.0), ("still", 0.0)):
        assert followed(_look(replace(SCENE, motion=motion))) == pytest.approx(value, abs=1e-6)
    assert followed(_look(SCENE, replace(SCENE, motion="grow"))) == 0.0
    assert direction_agreement(np.full((1, 4, 4, 2), 0.1), (1.0, 0.0), floor=0.5) == 0.0


def test_a_canonical_shape_does_not_know_place_and_size() -> None:
    shapes = [
        canonical(render(replace(SCENE, x=x, size=size), 1).masks[0])
        for x, size in ((32.0, 36.0), (28.0, 36.0), (32.0, 24.0))
    ]
    assert all(shape @ shapes[0] > 0.99 for shape in shapes)
    assert not canonical(np.zeros((8, 8))).any()


def test_a_sample_without_truth_is_named() -> None:
    sample = Sample("mine", np.zeros((8, 8, 3), np.uint8), "a cat")
    with pytest.raises(
        EvalError, match=r"sample 'mine' has no glyph-world ground truth.*leave exact"
    ):
        scene_of(sample)
    with pytest.raises(EvalError, match=r"frames \(1, 8, 8, 3\) do not fit"):
        foreground(np.zeros((1, 8, 8, 3)), np.zeros((4, 4, 3)), np.ones(3))
