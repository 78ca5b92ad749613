"""Counts of weights against the models' own parameters and the cards of their trainings."""

from __future__ import annotations

import json

import pytest
from diffusers import UNetMotionModel

from eval.claims.weight_facts import _count
from eval.errors import WeightsMissingError
from eval.world.cards import load
from eval.world.models import WEIGHTS


def test_tables_that_are_not_trained_are_not_counted(tmp_path) -> None:
    for part in ("unet", "concat"):
        parameters = load(UNetMotionModel, WEIGHTS / part).parameters()
        assert _count(WEIGHTS / part) == sum(value.numel() for value in parameters)
    for part in ("concat", "i2v_adapter"):
        card = json.loads((WEIGHTS / part / "card.json").read_text())
        assert _count(WEIGHTS / part) == card["figures"]["trainable_parameters"]
    with pytest.raises(WeightsMissingError, match="no weights; train them"):
        _count(tmp_path)
