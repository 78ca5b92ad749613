"""The comparison of recipe variants: its paired table, and what a second call does not repeat."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eval.errors import EvalError
from eval.world.models import WEIGHTS
from eval.world_training.context import Context
from eval.world_training.recipe_variants import compare, read_results, table

_NAMES = (
    "frames",
    "frames, no EMA",
    "frames, no min-SNR",
    "frames, 24 glyphs and wild shapes",
    "clips from scratch",
    "vae 8x8x8",
    "vae 16x16x4",
    "frames, 16x16 latents",
)


def test_differences_are_paired() -> None:
    first = {"error": [1.0, 3.0, 5.0, 7.0]}
    found = table({"a": first, "b": {"error": [0.5, 2.5, 4.5, 6.5]}, "c": {"psnr": [30.0, 32.0]}})
    lines = found.splitlines()
    assert lines[0] == "| variant | error (n = 4) | psnr (n = 2) |"
    assert lines[2] == "| a | 4.000 ±2.530 |  |"  # 1.96 * sqrt(20 / 3) / 2
    assert lines[3] == "| b | -0.500 ±0.000 |  |"  # a constant difference has no spread
    assert lines[4] == "| c |  | 31.000 ±1.960 |"


def test_a_share_of_none_has_an_interval() -> None:
    none = {"glyph": [0.0] * 64}
    lines = table(
        {"a": none, "b": dict(none), "c": {"glyph": [1.0] * 16 + [0.0] * 48}}
    ).splitlines()
    # Wilson: z^2 / (n + z^2) above no success in 64
    assert lines[2] == "| a | 0.000 [0.000, 0.057] |"
    assert lines[3] == "| b | equal in all |"
    assert lines[4] == "| c | +0.250 ±0.107 |"  # 1.96 * sqrt(.25 * .75 / 63)


def test_other_length_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "compare.json"
    assert read_results(path, 5) == {}
    path.write_text(json.dumps({"steps": 220, "variants": {}}))
    assert read_results(path, 220) == {}
    with pytest.raises(EvalError, match=r"at 220 steps, not 400; give --steps 220 or"):
        read_results(path, 400)


def test_finished_variants_are_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unexpected(*arguments: object, **options: object) -> None:
        raise AssertionError("a variant was trained")

    monkeypatch.setattr("eval.world_training.stages.spatial.train", unexpected)
    monkeypatch.setattr("eval.world_training.stages.motion.train", unexpected)
    monkeypatch.setattr("eval.world_training.stages.vae.train", unexpected)
    results = {name: {"error 300": [0.25, 0.75]} for name in _NAMES}
    folder = tmp_path / "compare"
    folder.mkdir()
    (folder / "compare.json").write_text(json.dumps({"steps": 7, "variants": results}))
    compare(Context(tmp_path, WEIGHTS, None, "a test", steps=7))
    assert "| frames | 0.500 ±0.490 |" in capsys.readouterr().out
    del results["clips from scratch"]
    (folder / "compare.json").write_text(json.dumps({"steps": 7, "variants": results}))
    monkeypatch.setattr(
        "eval.world_training.latents.render", unexpected
    )  # the first thing that the missing one needs
    with pytest.raises(AssertionError, match="a variant was trained"):
        compare(Context(tmp_path, WEIGHTS, None, "a test", steps=7))
