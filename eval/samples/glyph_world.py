"""The glyph world as a source of samples: true clips with ground truth, on data seeds that no
training ever used.
"""

from __future__ import annotations

from itertools import cycle, islice
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from eval.clips.lossless import Clip
from eval.samples import Sample
from eval.world.control import AGAINST
from eval.world.glyphs import SEEN, UNSEEN
from eval.world.scenes import FPS, FRAMES, MOTIONS, SIZE, caption, render, sample_scene
from eval.world.styles import STYLES

_DATA_SEED = 7_000_000  # trainings draw from seeds below 10,000


class GlyphWorldSettings(BaseModel):
    """How many samples of glyphs that generators were trained on (`seen`) and never saw (`unseen`),
    and of the latter drawn in another style (`styled`) and with position maps that move against the
    prompt (`controlled`; the truth's `control`); whether the maps of all others move as the prompt
    says or against it too. With `side` 128 the same scenes are drawn twice as large at twice as
    many frames a second.
    """

    model_config = ConfigDict(extra="forbid")

    seen: int = Field(default=12, ge=0, le=10_000)
    unseen: int = Field(default=12, ge=0, le=10_000)
    styled: int = Field(default=0, ge=0, le=10_000)
    controlled: int = Field(default=0, ge=0, le=10_000)
    seed: int = Field(default=1, ge=0)
    frames: int = Field(default=FRAMES, ge=2, le=32)
    side: Literal[64, 128] = 64
    control: Literal["as-prompted", "against-prompt"] = "as-prompted"


def load(settings: GlyphWorldSettings) -> list[Sample]:
    """Samples in a fixed order; glyphs and motions take turns, so both are balanced. A larger count
    extends the same sequence.
    """
    groups = (
        ("unseen", UNSEEN, settings.unseen, "plain"),
        ("seen", SEEN, settings.seen, "plain"),
        ("styled", UNSEEN, settings.styled, "inverted"),
        ("controlled", UNSEEN, settings.controlled, "plain"),
    )
    samples = []
    for number, (group, glyphs, count, style) in enumerate(groups):
        names = np.random.default_rng([_DATA_SEED, settings.seed]).permutation(list(glyphs))
        turns = zip(cycle(names), cycle(MOTIONS), strict=False)
        for index, (glyph, motion) in enumerate(islice(turns, count)):
            rng = np.random.default_rng([_DATA_SEED, settings.seed, number, index])
            scene = sample_scene(rng, glyphs=[str(glyph)], motions=[motion])
            scene = scene.enlarged(settings.side)
            frames = render(scene, settings.frames, STYLES[style]).frames
            id, truth = (
                f"{group}-{index:03d}-{scene.colour}-{scene.glyph}-{scene.motion}",
                scene.truth(),
            )
            if style != "plain":
                truth["style"] = style
            if group == "controlled" or settings.control == "against-prompt":
                id, truth["control"] = f"{id}-against", AGAINST[scene.motion]
            samples.append(
                Sample(
                    id=id,
                    image=frames[0],
                    prompt=caption(scene),
                    group=group,
                    clip=Clip(frames, FPS * settings.side / SIZE),
                    truth=truth,
                )
            )
    return samples
