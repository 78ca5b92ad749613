"""The glyph world's ground truth as the arrays that `eval.metrics.exact` holds frames against."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eval.errors import EvalError
from eval.metrics.definitions import Definition, Features, metric
from eval.metrics.exact import (
    Truth,
    agreement,
    canonical,
    centroids,
    colour_share,
    moved_by,
    position_error,
    shape_share,
)
from eval.metrics.pairs import FlowPair, PairStep, flow_of_pair
from eval.world.control import scene_of as described
from eval.world.glyphs import GLYPHS, mask
from eval.world.scenes import COLOURS, DIRECTIONS, Scene, render, render_frame

if TYPE_CHECKING:
    from eval.samples import Sample

NOISE = 0.5
"""Flow, px a frame, up to which a pixel counts as still."""


_EXACT = "This suite; the glyph world's ground truth, arithmetic without a network"


def pair_moved(pair: FlowPair) -> NDArray[np.float64]:
    """Sum (2,) of a pair's flow over the pixels that move."""
    return moved_by(flow_of_pair(pair.forward, "direction agreement"), NOISE)


_MOVED = PairStep(pair_moved)


def scene_of(sample: Sample) -> Scene:
    """The scene of a glyph-world sample.

    Raises:
        EvalError: naming the sample and what its truth lacks.
    """
    try:
        return described(sample.truth)
    except EvalError as error:
        reason = f"sample '{sample.id}' has no glyph-world ground truth ({error})"
        raise EvalError(
            f"{reason}; leave exact.* out, or take samples with source: glyph-world"
        ) from error


@metric(
    Definition(
        name="exact.glyph",
        kind="pixels",
        unit="share of frames",
        higher_is_better=True,
        description="Share of frames 1, 2, ... whose foreground is, of all glyphs, most like the "
        "true one.",
        source=_EXACT,
        caution="Knows plain glyphs; it names 99.9 % of the frames of true clips rightly.",
        truth=True,
        cannot_see="Colour, place and size of the glyph.",
    ),
    Definition(
        name="exact.colour",
        kind="pixels",
        unit="share of frames",
        higher_is_better=True,
        description="Share of frames 1, 2, ... whose foreground's mean colour is nearest to the "
        "true one of 8.",
        source=_EXACT,
        truth=True,
        cannot_see="Shape and place of the glyph.",
    ),
    Definition(
        name="exact.position",
        kind="pixels",
        unit="px",
        higher_is_better=False,
        description="Mean distance of the foreground's centroid from its true place in frames 1, "
        "2, ...; a frame "
        "without a foreground counts half its diagonal.",
        source=_EXACT,
        caution="A still clip of a prompt without direction is right about place: read it beside "
        "motion.",
        truth=True,
        cannot_see="Shape and colour of the glyph.",
    ),
)
def exact(features: Features) -> dict[str, float]:
    """exact.glyph, exact.colour and exact.position of a clip."""
    scene, frames = scene_of(features.sample), features.clip.frames
    truth = truth_of(scene, len(frames))
    palette = np.asarray(list(COLOURS.values()), dtype=np.float64)
    return {
        "exact.glyph": shape_share(frames, truth, _templates(), list(GLYPHS).index(scene.glyph)),
        "exact.colour": colour_share(frames, truth, palette, list(COLOURS).index(scene.colour)),
        "exact.position": position_error(frames, truth),
    }


@metric(
    Definition(
        name="exact.direction",
        encoder_revision=1,
        kind="flow",
        unit="cosine",
        higher_is_better=True,
        description="Cosine between a clip's summed flow and the prompted direction; 0 for prompts "
        "without one.",
        source=_EXACT,
        caution="Average it over prompts with a direction only.",
        truth=True,
        cannot_see="Speed and path: only the direction of the summed flow counts.",
    ),
    pairs=_MOVED,
)
def followed(features: Features) -> float:
    """exact.direction of a clip."""
    direction = DIRECTIONS.get(scene_of(features.sample).motion, (0.0, 0.0))
    return agreement(features.over_pairs(_MOVED), direction)


@metric(
    Definition(
        name="style",
        kind="style",
        unit="share of frames",
        higher_is_better=True,
        description="Share of frames 1, 2, ... that the classifier of styles reads as drawn in the "
        "sample's style (truth "
        "'style', or plain).",
        source="This suite; a classifier trained on the glyph world's styles",
        cannot_see="Which glyph is drawn, where, and how it moves.",
    )
)
def styled(features: Features) -> float:
    """style of a clip: the share of frames 1, 2, ... read as drawn in the sample's style.

    Raises:
        EvalError: a style that the classifier does not know.
    """
    wanted, named = str(features.sample.truth.get("style", "plain")), features.styles()
    if wanted not in features.known_styles:
        known = ", ".join(features.known_styles)
        raise EvalError(f"style '{wanted}': the classifier knows {known}")
    return float(np.mean([style == wanted for style in named[1:]]))


@lru_cache(maxsize=512)
def truth_of(scene: Scene, frames: int) -> Truth:
    """What `frames` frames of a scene are held against."""
    empty, _ = render_frame(replace(scene, x=-1000.0), 0)
    turned = scene.speed / (scene.size / 2.0) if scene.motion == "rotate" else 0.0
    return Truth(
        background=empty.astype(np.float64),
        colour=np.asarray(COLOURS[scene.colour], dtype=np.float64),
        places=centroids(render(scene, frames).masks),
        angles=turned * np.arange(frames, dtype=np.float64),
    )


@lru_cache(maxsize=1)
def _templates() -> NDArray[np.float64]:
    return np.stack([canonical(mask(character)) for character in GLYPHS.values()])
