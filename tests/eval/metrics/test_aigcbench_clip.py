"""AIGCBench's CLIP measures against open_clip, PIL and OpenCV, step by step as its script goes."""

from __future__ import annotations

import json
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import structural_similarity
from torchvision import transforms

from eval.clips.lossless import Clip
from eval.encoders.weights import EMBEDDED
from eval.errors import EvalError
from eval.measure.catalogue import applies, catalogue, parse_metric
from eval.measure.evaluator import Evaluator
from eval.metrics.aigcbench_clip import adjacent_cosines
from eval.metrics.aigcbench_reference import paired_cosines
from eval.plan.limits import check_material
from eval.samples import Sample

PROMPT = "a red star moving left over a navy background"
KEY = [0, 4, 8, 12, 15]


def frames(count: int, height: int, width: int, seed: int) -> np.ndarray:
    """Smooth coloured noise, so that sizes and crops matter."""
    small = np.random.default_rng(seed).integers(0, 256, (count, 6, 7, 3), dtype=np.uint8)
    return np.stack([cv2.resize(one, (width, height), interpolation=2) for one in small])


IMAGE = frames(1, 48, 72, 0)[0]
CLIP = Clip(frames(18, 90, 66, 1), 8.0)
TRUE = Clip(frames(57, 70, 104, 2), 24.0)
SAMPLE = Sample("a", IMAGE, PROMPT, clip=TRUE)


class Peer:
    """The glyph world's CLIP as AIGCBench would call it."""

    def __init__(self) -> None:
        import open_clip
        from safetensors.torch import load_file

        folder = EMBEDDED / "clip"
        config = json.loads((folder / "open_clip_config.json").read_text())
        self.model = open_clip.CLIP(**config["model_cfg"]).eval()
        self.model.load_state_dict(load_file(folder / "model.safetensors"))
        self.preprocess = transforms.Compose(
            [
                transforms.Resize(64, transforms.InterpolationMode.BICUBIC),
                transforms.CenterCrop(64),
                transforms.ToTensor(),
                transforms.Normalize([0.5] * 3, [0.5] * 3),
            ]
        )

    def image(self, picture: np.ndarray) -> Any:
        return self.model.encode_image(self.preprocess(Image.fromarray(picture))[None])[0]

    def text(self, prompt: str) -> Any:
        from eval.world.tokenizer import WordTokenizer

        return self.model.encode_text(WordTokenizer()([prompt]))[0]


def cosine(one: Any, other: Any) -> float:
    return float(one @ other / (one.norm() * other.norm()))


@torch.no_grad()
def by_hand() -> dict[str, float]:
    peer, shown = Peer(), CLIP.frames
    image = peer.image(IMAGE)
    at_image = [peer.image(cv2.resize(frame, (72, 48))) for frame in shown]
    first = [peer.image(frame) for frame in shown[:16]]
    true = [peer.image(TRUE.frames[10 + 3 * k]) for k in KEY]
    found = {
        "image_clip.clip_glyph.v1": np.mean([cosine(image, one) for one in at_image]),
        "text_clip.clip_glyph.v1": np.mean([cosine(peer.text(PROMPT), one) for one in first]),
        "frame_clip.clip_glyph.v1": np.mean(
            [cosine(one, two) for one, two in zip(first[1:], first[:-1], strict=True)]
        ),
    }
    for version, size in (("v1", (70, 104)), ("v2", (104, 70))):
        at_true = [peer.image(cv2.resize(shown[k], size)) for k in KEY]
        pairs = zip(true, at_true, strict=True)
        found[f"ref_clip_key.clip_glyph.{version}"] = np.mean([cosine(*pair) for pair in pairs])
    found["ref_ssim_key.pixels.v1"] = np.mean(
        [
            structural_similarity(
                TRUE.frames[10 + 3 * k],
                cv2.resize(shown[k], (104, 70)),
                win_size=7,
                channel_axis=-1,
            )
            for k in KEY
        ]
    )
    return {f"aigcbench.{name}": float(value) for name, value in found.items()}


def test_every_measure_is_what_their_steps_give() -> None:
    expected = by_hand()
    metrics = [parse_metric(id) for id in expected]
    [values] = Evaluator(metrics).measure([SAMPLE], [CLIP])
    assert values == pytest.approx(expected, abs=2e-6)
    assert len({round(value, 4) for value in values.values()}) == len(values)


def test_a_clip_at_the_image_s_size_is_compared_as_it_is() -> None:
    clip = Clip(np.stack([IMAGE, IMAGE]), 8.0)
    metrics = [parse_metric(f"aigcbench.{name}_clip.clip_glyph.v1") for name in ("image", "frame")]
    [values] = Evaluator(metrics).measure([SAMPLE], [clip])
    assert list(values.values()) == pytest.approx([1, 1], abs=1e-6)


def test_every_third_frame_of_the_reference_is_the_best_clip() -> None:
    best = Clip(TRUE.frames[10::3], 8.0)
    assert len(best.frames) == 16
    metrics = [parse_metric(id) for id in by_hand() if "ref_" in id]
    [values] = Evaluator(metrics).measure([SAMPLE], [best])
    transposed, right, ssim = values.values()
    assert (right, ssim) == pytest.approx((1, 1), abs=1e-6)
    assert transposed < 0.999


def test_short_clips_are_named_and_short_true_clips_have_no_value() -> None:
    ids = [id for id in by_family() if "ref_" in id]
    assert ids == [
        *(f"aigcbench.ref_clip_key.clip_glyph.{version}" for version in ("v1", "v2")),
        *(f"aigcbench.ref_clip_key.clip_vitl14_openai.{version}" for version in ("v1", "v2")),
        "aigcbench.ref_ssim_key.pixels.v1",
    ]
    metrics = [parse_metric(id) for id in (ids[0], ids[1], ids[-1])]
    for metric in metrics:
        with pytest.raises(EvalError, match="they have 15 and 57 frames"):
            Evaluator([metric]).measure([SAMPLE], [Clip(CLIP.frames[:15], 8.0)])
    short = Sample("b", IMAGE, PROMPT, clip=Clip(TRUE.frames[:55], 24.0))
    assert Evaluator(metrics).measure([short, SAMPLE], [CLIP, CLIP])[0] == {}
    evaluator = Evaluator([parse_metric("aigcbench.frame_clip.clip_glyph.v1")])
    with pytest.raises(EvalError, match="2 frames or more"):
        evaluator.measure([SAMPLE], [Clip(CLIP.frames[:1], 8.0)])


def by_family() -> list[str]:
    return [metric.id for metric in catalogue() if metric.family.startswith("aigcbench.")]


def test_a_metric_that_no_sample_asks_for_is_refused_before_anything_is_made(tmp_path: Any) -> None:
    short = Sample("b", IMAGE, PROMPT, clip=Clip(TRUE.frames[:55], 24.0))
    metric = parse_metric("aigcbench.ref_ssim_key.pixels.v1")
    assert not applies(metric, short)
    suite: Any = type("Allowed", (), {"allow_glyph_encoders": True})
    check_material(suite, [short, SAMPLE], [metric], tmp_path / "s.yaml")
    with pytest.raises(EvalError, match=r"'aigcbench.ref_ssim_key.*' has a value for none"):
        check_material(suite, [short], [metric], tmp_path / "s.yaml")


def test_cosines_of_pairs_need_pairs() -> None:
    with pytest.raises(EvalError, match=r"got \(2, 2\) and \(1, 2\)"):
        paired_cosines(np.eye(2), np.eye(2)[:1])
    with pytest.raises(EvalError, match=r"2 frames or more, \(F, D\); got \(1, 2\)"):
        adjacent_cosines(np.eye(2)[:1])
