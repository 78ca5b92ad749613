"""One pass an encoder, clip and view, whatever the metrics; features that outlive the process;
equal scores always.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eval.clips.lossless import Clip
from eval.encoders import EMBEDDED, load_encoder
from eval.errors import EvalError
from eval.measure.catalogue import catalogue, parse_metric
from eval.measure.evaluator import Evaluator
from eval.measure.feature_cache import FeatureCache
from eval.measure.kept_features import Memory
from eval.measure.look import Look
from eval.measure.view_frames import halved, halves, padded
from eval.samples import Sample
from eval.world.scenes import Scene, render

EMBEDDED_METRICS = [
    metric
    for metric in catalogue()
    if metric.encoder in EMBEDDED and metric.encoder not in ("flow_dis_fast", "tracks_klt")
    if not metric.truth and "clip" not in metric.needs
]
"""Those that one image, its prompt and a clip suffice for; of the two flows of this kind, one."""


def _case(index: int) -> tuple[Sample, Clip]:
    move = ("left", "still", "down")[index % 3]
    scene = Scene("heart", "\u2665", "red", "navy", move, 2.0, 36.0, 32.0, 32.0, float(index), 0.3)
    truth = render(scene, 8)
    return Sample(f"s{index}", truth.frames[0], f"a red heart number {index}"), Clip(
        truth.frames, 8.0
    )


@pytest.fixture(scope="module")
def cases() -> list[tuple[Sample, Clip]]:
    return [_case(index) for index in range(3)]


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    """Of every metric of the embedded encoders; `values` has it look at all cases."""
    return Evaluator(EMBEDDED_METRICS)


@pytest.fixture(scope="module")
def values(cases: list[tuple[Sample, Clip]], evaluator: Evaluator) -> dict[str, dict[str, float]]:
    """Sample id -> metric id -> value."""
    return {sample.id: evaluator.per_clip(sample, clip) for sample, clip in cases}


def test_all_metrics_take_one_pass_an_encoder_clip_and_view(
    cases: list[tuple[Sample, Clip]], evaluator: Evaluator, values: dict[str, dict[str, float]]
) -> None:
    evaluator.video_features([clip for _, clip in cases], "videomae_glyph")
    assert set(values["s0"]) == {metric.id for metric in EMBEDDED_METRICS if metric.scope == "clip"}
    assert evaluator.cache.passes == Counter(
        {
            ("dino_glyph", "standard"): 3,
            ("dino_glyph", "uncropped"): 3,
            ("dino_glyph", "vbench"): 3,
            ("dino_glyph", "vbench_noaa"): 3,
            ("clip_glyph", "standard"): 3,
            ("clip_glyph", "evalcrafter"): 3,
            ("clip_glyph", "pil"): 3,
            ("clip_glyph", "vbench_noaa"): 3,
            ("flow_dis", "flow forward, full size, stride 1"): 3,  # sampled at 8 fps too
            ("flow_dis", "flow backward, full size, stride 1"): 3,
            ("flow_dis", "flow forward, half size, stride 1"): 3,
            ("flow_dis", "flow backward, half size, stride 1"): 3,
            ("flow_dis", "flow forward, half_padded size, stride 1"): 3,
            ("flow_dis", "flow backward, half_padded size, stride 1"): 3,
            ("videomae_glyph", "standard"): 3,
        }
    )


def test_batch_order_and_threads_do_not_change_a_score(
    cases: list[tuple[Sample, Clip]], values: dict[str, dict[str, float]]
) -> None:
    fast = [
        metric for metric in EMBEDDED_METRICS if metric.encoder != "flow_dis"
    ]  # flow: test_flow.py
    many = [cases[index % 3] for index in np.random.default_rng(0).permutation(32)]
    before = torch.get_num_threads()
    try:
        for batch, threads in ((1, 2), (7, 1), (32, 2)):
            torch.set_num_threads(threads)
            evaluator = Evaluator(fast)
            for start in range(0, len(many), batch):
                samples, clips = zip(*many[start : start + batch], strict=True)
                for sample, found in zip(samples, evaluator.measure(samples, clips), strict=True):
                    for id, value in found.items():
                        assert value == pytest.approx(values[sample.id][id], abs=1e-5), (
                            id,
                            batch,
                            threads,
                        )
    finally:
        torch.set_num_threads(before)


def test_a_still_clip_is_at_the_end_of_every_scale(values: dict[str, dict[str, float]]) -> None:
    still, moving = values["s1"], values["s0"]
    ends = {
        "vbench.i2v_subject.dino_glyph.v1": 1,
        "vbench.subject_consistency.dino_glyph.v1": 1,
        "evalcrafter.clip_temp.clip_glyph.v1": 1,
        "evalcrafter.flow_score.flow_dis.v1": 0,
        "warping.flow_dis.v1": 0,
        "paper.warping_error.flow_dis.v1": 0,
        "paper.warping_error.flow_dis.v2": 0,
        "vbench.i2v_subject.dino_glyph.v2": 1,
        "evalcrafter.clip_temp.clip_glyph.v2": 1,
        "consistency.clip_glyph.v1": 1,
        "smoothness.flow_dis.v1": 0,
        "flicker.pixels.v1": 0,
        "vbench.temporal_flickering.pixels.v1": 1,
        "vbench.dynamic_degree.flow_dis.v1": 0,
    }
    for id, end in ends.items():
        assert still[id] == pytest.approx(end, abs=1e-6), id
        assert moving[id] != pytest.approx(end, abs=1e-6), id
    assert still["paper.clip_temp.clip_glyph.v1"] == pytest.approx(1, abs=1e-5)
    score, identity = moving["evalcrafter.flow_score.flow_dis.v1"], moving["identity.dino_glyph.v1"]
    assert moving["motion.flow_dis.v1"] == pytest.approx(score / 64 * 8)
    assert moving["dreambooth.dino.dino_glyph.v1"] == pytest.approx(100 * identity)


def test_features_on_disk_spare_the_next_process_the_network(
    cases: list[tuple[Sample, Clip]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [parse_metric("evalcrafter.clip_temp.clip_glyph.v1")]
    first = Evaluator(wanted, cache=FeatureCache(tmp_path)).per_clip(*cases[0])
    [stored] = tmp_path.rglob("*.npy")
    assert np.load(stored).shape[0] == 8
    again = Evaluator(wanted, cache=FeatureCache(tmp_path))
    assert again.per_clip(*cases[0]) == first
    assert not again.cache.passes
    half = Evaluator(
        wanted, cache=FeatureCache(tmp_path), dtype="bfloat16"
    )  # other features, another key
    half.per_clip(*cases[0])
    assert sum(half.cache.passes.values()) == 1
    stored.write_bytes(b"torn")  # as if it were not there
    torn = Evaluator(wanted, cache=FeatureCache(tmp_path))
    assert torn.per_clip(*cases[0]) == first
    assert sum(torn.cache.passes.values()) == 1
    assert np.load(stored).shape[0] == 8


def test_memory_forgets_what_was_used_longest_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval.measure.feature_cache.HELD", 2)
    cache = FeatureCache()
    for content in ("a", "b", "a", "c", "a", "b"):
        cache.get(("e", "weights"), content, "standard", lambda: np.zeros(1, np.float32))
    assert cache.passes["e", "standard"] == 4  # a, b, c, and b again
    cache.get(("e", "other weights"), "a", "standard", lambda: np.zeros(1, np.float32))
    assert cache.passes["e", "standard"] == 5


def test_flow_views_show_the_frames_they_say() -> None:
    class Recorder:
        id, kind, fingerprint = "recorder", "flow", "recorder"

        def encode_pairs(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
            return np.stack([first, second], axis=-1)[..., 0, :].astype(np.float32)

    frames = np.broadcast_to(
        np.arange(9, dtype=np.uint8)[:, None, None, None] * 10, (9, 5, 6, 3)
    ).copy()
    sample = Sample("s", frames[0], "a prompt")

    def flow(view: Any, fps: float, direction: Any = "forward") -> list[list[float]]:
        look = Look(Recorder(), view, sample, Clip(frames, fps), Memory(FeatureCache()))
        return look.flow(direction)[:, 0, 0].tolist()

    assert flow("standard", 24.0)[:2] == [[0, 10], [10, 20]]
    assert flow("standard", 24.0, "backward")[0] == [10, 0]
    assert flow("sampled", 24.0) == [[0, 30], [30, 60]]
    with pytest.raises(
        EvalError, match="the clip has 9 frames; motion needs more than 12 at 100 fps"
    ):
        flow("sampled", 100.0)
    assert flow("sampled_padded", 24.0) == [[0, 30], [30, 60]]
    for view, shape in (("standard", (5, 6)), ("padded", (8, 8)), ("half_padded", (8, 8))):
        look = Look(Recorder(), view, sample, Clip(frames, 24.0), Memory(FeatureCache()))  # type: ignore[arg-type]
        assert look.flow().shape[1:3] == shape
    small = halved(np.arange(2 * 5 * 6 * 3, dtype=np.uint8).reshape(2, 5, 6, 3))
    assert small.shape == (2, 2, 3, 3)
    assert small[0, 0, 0, 0] == round((0 + 3 + 18 + 21) / 4)


def test_half_sizes_and_padding_are_those_of_evalcrafter() -> None:
    frames = np.random.default_rng(5).integers(0, 256, (2, 45, 61, 3), dtype=np.uint8)
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
    smaller = torch.nn.functional.interpolate(
        pixels, scale_factor=0.5, mode="bilinear", align_corners=False
    )
    assert smaller.shape[2:] == (22, 30)  # to 24 x 32: 1 px on each side
    expected = torch.nn.functional.pad(smaller, (1, 1, 1, 1), mode="replicate")
    found = padded(halves(frames))
    np.testing.assert_allclose(found, expected.permute(0, 2, 3, 1).numpy(), atol=1e-6)


def test_what_is_not_finite_is_named(cases: list[tuple[Sample, Clip]]) -> None:
    encoder: Any = load_encoder("dino_glyph")
    evaluator = Evaluator([parse_metric("identity.dino_glyph.v1")])
    evaluator._encoders["dino_glyph"] = encoder
    encoder.encode_frames = lambda frames: np.full((len(frames), 4), np.nan, np.float32)
    with pytest.raises(EvalError, match=r"sample 's0', encoder 'dino_glyph': .*not finite"):
        evaluator.per_clip(*cases[0])
