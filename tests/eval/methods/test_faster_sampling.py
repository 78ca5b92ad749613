"""Settings that make clips in less time: off unless named, and then in the clip's key."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from eval.methods import load_method
from eval.methods.base_sampling import FullSampling
from eval.methods.i2v_adapter import AdapterSettings
from eval.plan.planning import make_plan
from eval.samples.glyph_world import GlyphWorldSettings, load

NAMES = {"guidance_interval", "reuse_every", "reuse_layers", "fp8"}


def test_settings_that_are_not_named_leave_a_cell_as_it_was() -> None:
    for model in (AdapterSettings, FullSampling):
        assert not NAMES & set(model().model_dump(mode="json"))
        named = model(reuse_every=1, guidance_interval=[0, 0.5]).model_dump(mode="json")
        assert named["reuse_every"] == 1
        assert named["guidance_interval"] == [0.0, 0.5]
        assert model.model_validate(named).model_dump(mode="json") == named


def keys(folder: Path, **entry: Any) -> list[str]:
    suite = {
        "name": "faster",
        "samples": {"source": "glyph-world", "seen": 0, "unseen": 1, "seed": 3},
        "methods": [{"method": "i2v-adapter", **entry}],
        "metrics": ["motion.flow_dis.v1"],
    }
    path = folder / "suite.yaml"
    path.write_text(yaml.safe_dump(suite))
    plan = make_plan(path)
    return [cell.clip_key(plan.samples[0], 0) for cell in plan.cells]


def test_every_one_of_them_is_in_the_clips_key(tmp_path: Path) -> None:
    found = keys(tmp_path, sweep={"reuse_every": [1, 2, 3]})
    for settings in ({}, {"guidance_interval": [0, 0.5]}, {"fp8": True}):
        found += keys(tmp_path, settings=settings)
    assert len(set(found)) == len(found) == 6


@pytest.mark.parametrize("interval", [[0.5, 0.5], [0, 1.5], [-0.1, 1]])
def test_intervals_outside_the_steps_are_refused(interval: list[float]) -> None:
    with pytest.raises(ValidationError, match="shares of the steps"):
        AdapterSettings(guidance_interval=interval)


def test_each_changes_the_clip_and_is_off_again_in_the_next_cell() -> None:
    sample = load(GlyphWorldSettings(seen=1, unseen=0, seed=3))[0]
    method: Any = load_method("i2v-adapter")

    def clip(**settings: Any) -> Any:
        return method(method.Settings(steps=4, frames=3, **settings)).generate([sample], [1])[0]

    plain = clip().frames
    changes: list[dict[str, Any]] = [
        {"reuse_every": 2},
        {"guidance_interval": (0, 0.5)},
        {"fp8": True},
    ]
    for settings in changes:
        changed = clip(**settings).frames
        assert np.abs(changed.astype(int) - plain).max() > 0, settings
        np.testing.assert_array_equal(clip().frames, plain)
