"""Speed changes no value: all metrics of all clips at once against one metric, one clip and one
pair of frames at a time, and against values that are stored.

Run as a script this file adds the values of new metric ids to `values.json`, the plain way; ids are
frozen, so values that are there already stay.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.calibration.material import samples as material
from eval.clips.lossless import Clip
from eval.encoders import EMBEDDED
from eval.measure import pair_pass
from eval.measure.catalogue import catalogue, registered
from eval.measure.evaluator import Evaluator
from eval.metrics import Metric
from eval.samples import Sample

STORED = Path(__file__).with_name("values.json")
CLIPS = 20
ALONE = (0, 19)
"""Clips that are measured the plain way in the test too."""
METRICS = [metric for metric in catalogue() if metric.encoder in EMBEDDED]
OF_A_CLIP = [metric for metric in METRICS if metric.scope == "clip"]
OF_SETS = [metric for metric in METRICS if metric.encoder == "videomae_glyph"]
ROUNDING = {"flow_dis": 2e-3, "flow_dis_fast": 2e-3, "pixels": 1e-6, "tracks_klt": 1e-3}
"""Of stored values, relative: what another processor may round otherwise; float32 networks 1e-4.
OpenCV's flow has thresholds; a change of its protocol moves motion by 2 % or more."""

Case = tuple[Sample, Clip]
Values = dict[str, dict[str, float]]
"""Metric id -> name of a clip -> value."""


@lru_cache
def cases(longest: int = 3) -> list[Case]:
    """Glyph-world and camera clips of 64 px, with noise and one frame late, at rates at which
    VBench's sampling takes every frame or every second one."""
    found = []
    for number, sample in enumerate(material(14)[:CLIPS]):
        assert sample.clip is not None
        generator = np.random.default_rng(number)
        frames = np.roll(sample.clip.frames, 1, axis=0)[
            : 5 if number in ALONE and longest == 3 else longest
        ]
        noisy = frames + generator.normal(0, 4, frames.shape) * (number % 3 > 0)
        true = Clip(np.ascontiguousarray(sample.clip.frames[: len(frames)]), 8.0)
        given = Sample(sample.id, sample.image, sample.prompt, sample.group, true, sample.truth)
        clip = Clip(np.clip(np.rint(noisy), 0, 255).astype(np.uint8), (8.0, 16.0)[number % 2])
        found.append((given, clip))
    return found


def asked(sample: Sample) -> list[Metric]:
    """Metrics that the sample can be measured with: ground truth is known of glyph clips alone."""
    return [m for m in OF_A_CLIP if sample.group == "glyph" or not m.truth]


def plain(cases: list[Case], metrics: list[Metric] | None = None) -> Values:
    """One metric, one clip and one pair of frames at a time, on one thread; nothing is kept but the
    encoders themselves."""
    found: Values = {}
    encoders: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        for name, value in {"HELD": 1, "KEPT": 1, "UNIT": 1}.items():
            patch.setattr(pair_pass, name, value)
        for sample, clip in cases:
            for metric in asked(sample) if metrics is None else metrics:
                evaluator = Evaluator([metric])
                evaluator._encoders = encoders
                value = evaluator.per_clip(sample, clip).get(metric.id)
                if value is not None:
                    found.setdefault(metric.id, {})[sample.id] = value
    return found


def sets() -> Values:
    evaluator, every = Evaluator(OF_SETS), cases(8)
    true = evaluator.video_features([s.clip for s, _ in every if s.clip], "videomae_glyph")
    made = evaluator.video_features([clip for _, clip in every], "videomae_glyph")
    return {m.id: {"all": float(registered(m).formula(true, made))} for m in OF_SETS}


@pytest.fixture(scope="module")
def together() -> Values:
    """As a run measures: every metric in one call over all clips, on two threads."""
    found: Values = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "2")
        for group in ("glyph", "camera"):
            chosen = [case for case in cases() if case[0].group == group]
            rows = Evaluator(asked(chosen[0][0])).measure(*zip(*chosen, strict=True))
            for (sample, _), row in zip(chosen, rows, strict=True):
                for id, value in row.items():
                    found.setdefault(id, {})[sample.id] = value
    return found


def test_one_at_a_time_gives_the_same_values(together: Values) -> None:
    """Exactly; networks within 1e-5, as their batches differ."""
    every = cases()
    for id, values in plain([every[number] for number in ALONE]).items():
        network = id.split(".")[-2] in ("dino_glyph", "clip_glyph")
        for sample, value in values.items():
            close = pytest.approx(value, rel=1e-5, abs=1e-5)
            assert together[id][sample] == (close if network else value), (id, sample)


def test_features_of_sets_do_not_depend_on_the_batch() -> None:
    clips = [clip for _, clip in cases(8)]
    one = Evaluator(OF_SETS)
    alone = np.concatenate([one.video_features([clip], "videomae_glyph") for clip in clips])
    batch = Evaluator(OF_SETS).video_features(clips, "videomae_glyph")
    np.testing.assert_allclose(batch, alone, rtol=0, atol=1e-5)


def test_values_of_every_metric_id_are_those_that_are_stored(together: Values) -> None:
    import cv2

    stored = json.loads(STORED.read_text())
    measured = together | sets()
    gone = stored["values"].keys() - measured.keys()
    assert not gone, "a metric id is frozen: keep it, or refuse it by name and remove its values"
    for id, values in stored["values"].items():
        encoder = id.split(".")[-2] if ".noaa." not in id else id.split(".")[-3]
        if encoder.startswith(("flow", "tracks")) and stored["opencv"] != cv2.__version__:
            continue  # another protocol, see `eval.encoders.flow.protocol`
        share = ROUNDING.get(encoder, 1e-4)
        for sample, value in values.items():
            expected = pytest.approx(value, rel=share, abs=share / 100)
            assert measured[id][sample] == expected, (id, sample)


def main() -> None:
    import cv2

    stored: Mapping[str, Any] = json.loads(STORED.read_text()) if STORED.exists() else {}
    known = stored.get("values", {})
    made = plain(cases()) | sets()
    new = {
        id: {sample: float(f"{value:.8g}") for sample, value in values.items()}
        for id, values in made.items()
        if id not in known
    }
    content = {"opencv": stored.get("opencv", cv2.__version__), "values": known | new}
    STORED.write_text(json.dumps(content, indent=0, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
