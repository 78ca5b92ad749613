"""Sweeps over any setting, also one within another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eval.errors import EvalError
from eval.plan.planning import make_plan
from eval.plan.sweeping import value_of, with_swept

METHOD = """
from pydantic import BaseModel, ConfigDict
from toy_method import Toy
class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    guidance_scale: float = 7.5
    steps: int = 4
    call: dict[str, float] = {}
    loras: list[dict[str, float]] = []
class Own(Toy):
    Settings = Settings
"""


def test_any_number_of_a_methods_settings_can_be_swept(
    toy_folder: Path, write_suite: Any, suite_content: dict[str, Any]
) -> None:
    (toy_folder / "own_method.py").write_text(METHOD)
    entry = {
        "method": "own_method:Own",
        "label": "own",
        "settings": {"loras": [{"scale": 1.0, "other": 2.0}], "call": {"eta": 0.5}},
        "sweep": {"guidance_scale": [1, 7.5], "steps": [2], "call.strength": [0.25]},
    }
    content = suite_content | {
        "methods": [entry],
        "reference": None,
        "metrics": ["flicker.pixels.v1"],
    }
    cells = make_plan(write_suite(content)).cells
    assert [cell.id for cell in cells] == [
        "own[guidance_scale=1.0,steps=2,call.strength=0.25]",
        "own[guidance_scale=7.5,steps=2,call.strength=0.25]",
    ]
    assert cells[0].settings["call"] == {"eta": 0.5, "strength": 0.25}
    assert cells[0].settings["loras"] == [{"scale": 1.0, "other": 2.0}]


def test_places_within_settings() -> None:
    settings = {"loras": [{"scale": 1.0}, {}], "call": {"eta": 1}, "steps": 3}
    merged = with_swept(settings, {"loras.1.scale": 0.5, "call.x.y": 2}, "m")
    assert merged == {
        "loras": [{"scale": 1.0}, {"scale": 0.5}],
        "call": {"eta": 1, "x": {"y": 2}},
        "steps": 3,
    }
    assert settings["loras"] == [{"scale": 1.0}, {}]
    assert (value_of(merged, "loras.1.scale"), value_of(merged, "call.x.y")) == (0.5, 2)
    for key, message in [
        ("loras.2.scale", "sweep of 'loras.2.scale': settings have no place '2' there"),
        ("loras.x.scale", "no place 'x' there"),
        ("steps.x", "no place 'x' there"),
    ]:
        with pytest.raises(EvalError, match=message):
            with_swept(settings, {key: 1}, "m")


def test_a_place_is_given_once(write_suite: Any, suite_content: dict[str, Any]) -> None:
    for settings, key in [({"call": {"eta": 1}}, "call.eta"), ({"a": [{"b": 1}]}, "a.0.b")]:
        entry = {"method": "toy_method:Toy", "settings": settings, "sweep": {key: [1]}}
        suite_content |= {"methods": [entry], "reference": None}
        with pytest.raises(EvalError, match=f"'{key}' is in settings and in sweep; keep one"):
            make_plan(write_suite(suite_content))
