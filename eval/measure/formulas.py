"""Which pure function of `eval.metrics` gives each family its value, and which features it is
given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from eval.measure.look import Look
from eval.metrics.flicker import flicker, smoothness
from eval.metrics.identity import identity
from eval.metrics.motion import flow_score, motion
from eval.metrics.perceptual import input_distance
from eval.metrics.temporal import image_consistency, neighbour_consistency
from eval.metrics.text import text_alignment
from eval.metrics.vbench import (
    dynamic_degree,
    i2v_subject,
    subject_consistency,
    temporal_flickering,
)
from eval.metrics.warping import warping_error
from eval.world.truth import exact, followed, styled

Formula = Callable[[Look], Mapping[str, float]]


def _identity(look: Look) -> Mapping[str, float]:
    return identity(look.image(), look.frames())


def _text(look: Look) -> Mapping[str, float]:
    return text_alignment(look.prompt(), look.frames())


def _motion(look: Look) -> Mapping[str, float]:
    return motion(look.flow(), look.clip.fps)


def _warping(look: Look) -> float:
    return warping_error(look.values(), look.flow(), look.flow("backward"))


def _one(name: str, value: Callable[[Look], float]) -> tuple[str, Formula]:
    return name, lambda look: {name: value(look)}


FORMULAS: Mapping[str, Formula] = {
    **dict.fromkeys(("identity", "identity_min", "identity_last"), _identity),
    **dict.fromkeys(("text", "text_min"), _text),
    **dict.fromkeys(("motion", "motion_top5"), _motion),
    **dict.fromkeys(("exact.glyph", "exact.colour", "exact.position"), exact),
    **dict(
        (
            _one("dreambooth.dino", lambda look: 100 * _identity(look)["identity"]),
            _one("vbench.i2v_subject", lambda look: i2v_subject(look.image(), look.frames())),
            _one("vbench.subject_consistency", lambda look: subject_consistency(look.frames())),
            _one("paper.clip_temp", lambda look: image_consistency(look.image(), look.frames())),
            _one("evalcrafter.clip_temp", lambda look: neighbour_consistency(look.frames())),
            _one("evalcrafter.flow_score", lambda look: flow_score(look.flow())),
            _one("paper.flow_score", lambda look: flow_score(look.flow())),
            _one("vbench.dynamic_degree", lambda look: dynamic_degree(look.flow())),
            _one("warping", _warping),
            _one("paper.warping_error", lambda look: 1000 * _warping(look)),
            _one("smoothness", lambda look: smoothness(look.flow(), look.clip.fps)),
            _one("flicker", lambda look: flicker(look.clip.frames)),
            _one("vbench.temporal_flickering", lambda look: temporal_flickering(look.clip.frames)),
            _one("lpips", lambda look: input_distance(look.distances())),
            _one("dover.technical", lambda look: look.quality()),
            _one("exact.direction", followed),
            _one("style", styled),
        )
    ),
}
"""Family of scope ``clip`` -> its value or values; families that share a formula are computed
together.
"""
