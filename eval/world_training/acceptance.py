"""What must hold in the glyph world, measured on data seeds that no training used.

`eval.world.cards.BARS` says what has to be reached.
The encoders' own accuracy and the VAE's round trip are measured by their stages; here is what needs
several parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from eval.world.models import WEIGHTS


def flow(clips: int = 140) -> dict[str, float]:
    """Top-5 % amplitude against the true speed of shifting and still glyphs; mean amplitude against
    the exact one, all motions; end-point error; the highest score of a clip that stands still."""
    from scipy.stats import spearmanr

    from eval.encoders import load_encoder
    from eval.metrics.motion import motion
    from eval.world.scenes import FPS, MOTIONS, render, sample_scene

    encoder: Any = load_encoder("flow_dis")
    names = list(MOTIONS)
    measured, true, errors, still = [], [], [], []
    shifts: list[tuple[float, float]] = []
    for index in range(clips):
        scene = sample_scene(
            np.random.default_rng([900_008, index]), motions=[names[index % len(names)]]
        )
        frames, _, exact = render(scene)
        found = encoder.encode_pairs(frames[:-1], frames[1:])
        value, reference = motion(found, FPS), motion(exact, FPS)
        measured.append(value["motion"])
        true.append(reference["motion"])
        if scene.motion not in ("grow", "rotate"):
            shifts.append((value["motion_top5"], scene.speed))
        errors.append(float(np.linalg.norm(found - exact, axis=-1).mean()))
        if scene.motion == "still":
            still.append(value["motion_top5"])
    return {
        "amplitude_spearman": float(spearmanr(measured, true).statistic),
        "speed_spearman": float(spearmanr(*zip(*shifts, strict=True)).statistic),
        "end_point_error_px": float(np.mean(errors)),
        "still_top5_highest": float(np.max(still)),
    }


def glyphs_and_colours(frames: np.ndarray) -> tuple[list[str], list[str]]:
    """What the CLIP encoder reads in clips, uint8 (N, F, 64, 64, 3).

    The glyph whose best caption over all colours and backgrounds wins, the colour likewise. A
    caption's feature is its mean over the motions, which frames do not show.
    """
    from eval.encoders import load_encoder
    from eval.world.glyphs import GLYPHS
    from eval.world.scenes import BACKGROUNDS, COLOURS, MOTIONS, describe

    clip: Any = load_encoder("clip_glyph")
    images = (
        clip.encode_frames(frames.reshape(-1, *frames.shape[2:]))
        .reshape(*frames.shape[:2], -1)
        .mean(axis=1)
    )
    grid = [list(names) for names in (COLOURS, GLYPHS, BACKGROUNDS, MOTIONS)]
    texts = clip.encode_text(
        [
            describe(colour, glyph, motion, ground)
            for colour, glyph, ground, motion in product(*grid)
        ]
    )
    captions = texts.reshape(*(len(names) for names in grid), -1).mean(axis=3)
    scores = np.einsum("nd,cgbd->ncgb", images, captions).max(axis=3)
    return (
        [grid[1][index] for index in scores.max(axis=1).argmax(axis=1)],
        [grid[0][index] for index in scores.max(axis=2).argmax(axis=1)],
    )


def motions(frames: np.ndarray) -> list[str]:
    """What the video encoder reads in clips, uint8 (N, 8, 64, 64, 3)."""
    import torch
    from transformers import VideoMAEForVideoClassification

    from eval.world.cards import load
    from eval.world.scenes import MOTIONS
    from eval.world_training.data import to_tensor
    from eval.world_training.stages.video import split_logits

    encoder = load(VideoMAEForVideoClassification, WEIGHTS / "videomae")
    with torch.no_grad():
        logits = torch.cat([encoder(part).logits for part in to_tensor(frames).split(32)])
    return [list(MOTIONS)[index] for index in split_logits(logits)[0].argmax(dim=1).tolist()]


def generate(method: str, samples: Sequence, weights: Path = WEIGHTS) -> np.ndarray:
    """uint8 (N, 8, 64, 64, 3): the default settings at 10 steps, as the default suite samples. The
    encoders that read them know frames of 64 px: raises EvalError for weights of another size.
    """
    from eval.methods import load_method, method_on_base
    from eval.methods.base import read_base
    from eval.samples.seeds import derive_seed

    maker: Any
    if method == "true-clip":
        truth = load_method(method)
        maker = truth(truth.Settings())
    else:
        world = read_base({"world": str(weights)}, Path(), "base")
        build, settings = method_on_base(method, world)
        maker = build(settings(steps=10))
        maker.check_samples(samples)
    clips = []
    for start in range(0, len(samples), 8):
        part = samples[start : start + 8]
        clips += maker.generate(part, [derive_seed(sample.id, 0) for sample in part])
    return np.stack([clip.frames for clip in clips])


def text_to_video(clips: int = 56, weights: Path = WEIGHTS) -> dict[str, float]:
    """Shares of prompted seen-glyph clips that the encoders read as prompted, and of the true clips
    of the same prompts: what the encoders themselves can reach."""
    from eval.samples.glyph_world import GlyphWorldSettings, load

    samples = load(GlyphWorldSettings(seen=clips, unseen=0, seed=9001))
    shares = {}
    for method, key in (("text-to-video", "prompted"), ("true-clip", "true_clip")):
        frames = generate(method, samples, weights)
        glyphs, colours = glyphs_and_colours(frames)
        for name, values in (("glyph", glyphs), ("colour", colours), ("motion", motions(frames))):
            asked = np.asarray([sample.truth[name] for sample in samples])
            shares[f"{key}_{name}"] = float(np.mean(asked == np.asarray(values)))
    return shares


def image_to_video(clips: int = 64, weights: Path = WEIGHTS) -> dict[str, float]:
    """On unseen glyphs at t0 = 1: the share of clips whose last frame is nearest (DINO) to its own
    input among all inputs, and of moving prompts (left, right, up, down) whose mean flow points the
    prompted way.
    """
    from eval.encoders import load_encoder
    from eval.samples.glyph_world import GlyphWorldSettings, load

    samples = load(GlyphWorldSettings(seen=0, unseen=clips, seed=9002))
    dino: Any = load_encoder("dino_glyph")
    flow_encoder: Any = load_encoder("flow_dis")
    inputs = dino.encode_frames(np.stack([sample.image for sample in samples]))
    figures = {}
    for method, key in (
        ("i2v-adapter", "full"),
        ("content-adapter", "content_alone"),
        ("true-clip", "true_clip"),
    ):
        frames = generate(method, samples, weights)
        nearest = (dino.encode_frames(frames[:, -1]) @ inputs.T).argmax(axis=1)
        figures[f"own_input_of_{clips}_{key}"] = float(np.mean(nearest == np.arange(clips)))
        figures[f"motion_followed_{key}"] = _direction_followed(flow_encoder, samples, frames)
    return figures


_AXES = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


def _direction_followed(encoder, samples: Sequence, frames: np.ndarray) -> float:
    followed = []
    for sample, clip in zip(samples, frames, strict=True):
        if sample.truth["motion"] in _AXES:
            mean = encoder.encode_pairs(clip[:-1], clip[1:]).mean(axis=(0, 1, 2))
            axes = np.asarray(list(_AXES.values()))
            strong = (
                np.abs(mean).max() * 64 * 64 / 400 > 0.3
            )  # px per frame on a glyph of 400 px: not standing still
            followed.append(
                strong and list(_AXES)[int(np.argmax(axes @ mean))] == sample.truth["motion"]
            )
    return float(np.mean(followed))
