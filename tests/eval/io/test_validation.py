"""What a user wrote, validated: booleans are no numbers, and a value is named where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from eval.errors import EvalError
from eval.io.validation import validated


class Inner(BaseModel):
    scale: float = 1.0


class Model(BaseModel):
    whole: int = 0
    part: Annotated[float, Field(ge=0)] | None = None
    many: list[Annotated[int, Field(ge=0)]] = []
    named: dict[str, float] = {}
    inner: Inner | None = None
    inners: list[Inner] = []
    switch: bool | float = False
    text: str = ""
    free: dict[str, Any] = {}
    choice: Literal["a", 1] = "a"


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"whole": True}, "whole: true"),
        ({"part": False}, "part: false"),
        ({"many": [1, True]}, r"many\[1\]: true"),
        ({"named": {"a": True}}, "named.a: true"),
        ({"inner": {"scale": True}}, "inner.scale: true"),
        ({"inners": [{}, {"scale": False}]}, r"inners\[1\].scale: false"),
    ],
)
def test_a_boolean_is_no_number(values: Mapping[str, Any], place: str) -> None:
    with pytest.raises(EvalError, match=f"^s.yaml: {place} is not allowed: a number is needed"):
        validated(Model, values, where="s.yaml")


def test_booleans_stay_where_they_are_meant_and_numbers_are_numbers() -> None:
    found = validated(
        Model,
        {"whole": 2.0, "part": 1, "switch": True, "free": {"flag": True}, "many": [1]},
        where="s.yaml",
    )
    assert (found.whole, found.part, found.switch, found.free) == (2, 1.0, True, {"flag": True})


def test_a_value_is_named_where_it_comes_from() -> None:
    values, places = {"whole": 1, "part": -1}, {"part": "s.yaml: base.settings"}
    with pytest.raises(EvalError, match=r"^s\.yaml: base\.settings\.part: -1 is not allowed"):
        validated(Model, values, where="s.yaml: methods[0] (toy)", places=places)
    with pytest.raises(EvalError, match=r"^s\.yaml: methods\[0\] \(toy\)\.part: -1"):
        validated(Model, values, where="s.yaml: methods[0] (toy)")
    message = r"^s\.yaml: base\.settings\.part: true"
    with pytest.raises(EvalError, match=message):
        validated(Model, {"part": True}, where="s.yaml: methods[0]", places=places)
