"""Which metrics a command measures: those of chosen encoders, or all whose weights are there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from eval.encoders import EMBEDDED
from eval.encoders.published import MINIMUM, PUBLISHED, how_to_get
from eval.errors import EvalError, WeightsMissingError, nearest
from eval.measure.catalogue import catalogue, registered
from eval.measure.evaluator import EvaluatorLike
from eval.metrics import Metric
from eval.samples import Sample
from eval.world.truth import scene_of

GLYPH = "_glyph"
"""End of the ids of the glyph world's encoders, which know nothing but glyphs."""


MAIN = {"dino_vits16": "identity", "clip_vitb32_openai": "text", "raft_large": "motion"}
"""Encoder of the smallest set for photographs -> the family that it is there for."""

_GLYPHS = {"dino_glyph": "identity", "clip_glyph": "text", "flow_dis": "motion"}
"""As `MAIN`, in the glyph world."""


_FIRST = ("identity", "text", "motion", "lpips", "fvd")
"""Families that are named where many are not measured."""


def foreign_encoders(metrics: Iterable[Metric], samples: Iterable[Sample]) -> tuple[str, ...]:
    """Encoders of the glyph world among those of `metrics`, where a sample is not from there; their
    accuracy was never measured on such samples.
    """
    glyph = dict.fromkeys(metric.encoder for metric in metrics if metric.encoder.endswith(GLYPH))
    return tuple(glyph) if glyph and not of_the_glyph_world(samples) else ()


def of_the_glyph_world(samples: Iterable[Sample]) -> bool:
    """Whether every sample brings the glyph world's ground truth."""
    try:
        for sample in samples:
            scene_of(sample)
    except EvalError:
        return False
    return True


def metrics_of(encoders: Sequence[str]) -> list[Metric]:
    """Every metric of these encoders that needs no ground truth, in the catalogue's order and its
    newest version.

    Raises:
        EvalError: an encoder that no metric names.
    """
    known = dict.fromkeys(metric.encoder for metric in catalogue() if not metric.truth)
    for encoder in encoders:
        if encoder not in known:
            raise EvalError(
                f"unknown encoder '{encoder}'. Allowed: "
                f"{', '.join(known)}.{nearest(encoder, known)}"
            )
    newest = catalogue(superseded=False)
    return [metric for metric in newest if metric.encoder in encoders and not metric.truth]


def available(
    make_evaluator: Callable[[list[Metric]], EvaluatorLike], *, reference: bool = False
) -> tuple[list[Metric], list[str]]:
    """Every metric for any clips (not of the glyph world's encoders) whose weights are on this
    machine, in its newest version; FVMD, which not every clip is long enough for, left out.

    Args:
        make_evaluator: of metrics.
        reference: whether there is a set of clips to compare with, so that what is left out of
            metrics of sets is worth a line.

    Returns:
        The metrics, and lines on those left out: one for all whose weights are missing, one for
            each encoder of sets that is measured on request.
    """
    found: list[Metric] = []
    on_request: dict[str, list[str]] = {}
    missing: dict[str, int] = {}
    for metric in catalogue(superseded=False):
        if metric.encoder.endswith(GLYPH) or metric.truth:
            continue
        if registered(metric).steps.features:
            if reference and metric.encoder in EMBEDDED:
                on_request.setdefault(metric.encoder, []).append(metric.id)
            continue
        try:
            make_evaluator([metric]).fingerprints()
            found.append(metric)
        except WeightsMissingError:
            missing[metric.encoder] = missing.get(metric.encoder, 0) + 1
    lines = [
        f"left out {', '.join(ids)}: measured on request: --encoders {encoder}"
        for encoder, ids in on_request.items()
    ]
    if missing:
        lines.append(
            f"left out {sum(missing.values())} metrics of encoders whose weights are not here "
            f"({', '.join(missing)}); `i2v-eval weights` says how to get each and what it unlocks"
        )
    return found, lines


def not_measured(metrics: Sequence[Metric]) -> str | None:
    """One line on the families that no metric of these measures because an encoder's weights are
    missing, and how to get the smallest set; None if there is none. For any clips.
    """
    measured = {metric.family for metric in metrics}
    encoders = {metric.encoder for metric in metrics}
    families: dict[str, None] = {}
    missing: dict[str, None] = {}
    for metric in catalogue():
        lacking = metric.encoder in PUBLISHED and metric.encoder not in encoders
        if lacking and not metric.truth and metric.family not in measured:
            families[metric.family] = None
            missing[metric.encoder] = None
    if not families:
        return None
    smallest = [id for id in MINIMUM if id in missing] or list(missing)[:1]
    named = [family for family in _FIRST if family in families] or list(families)[:1]
    others = f" and {len(families) - len(named)} more" if len(families) > len(named) else ""
    return (
        f"not measured: {', '.join(named)}{others} (`i2v-eval weights` lists them), because the "
        f"weights of {len(missing)} encoders are missing; {how_to_get(smallest)} unlocks the most "
        "with the least"
    )


def lacks_weights(family: str, metrics: Sequence[Metric]) -> str | None:
    """What a family of metrics needs before it can be measured; None if it is no such name, or it
    is among `metrics`, or it needs no weights.
    """
    ids = [
        metric.encoder
        for metric in catalogue(superseded=False)
        if metric.family == family and metric.encoder in PUBLISHED and not metric.truth
    ]
    if not ids or any(metric.family == family for metric in metrics):
        return None
    encoders = list(dict.fromkeys(ids))
    smallest = [id for id in encoders if id in MINIMUM] or encoders[:1]
    return (
        f"the weights of its encoders ({', '.join(encoders)}) are not here; "
        f"{how_to_get(smallest)}, then run this again"
    )


def not_asked(metrics: Sequence[Metric]) -> str | None:
    """One line on which of identity, text and motion a suite for any pictures does not measure, and
    what to do; None if it measures all three.
    """
    measured = {metric.family for metric in metrics}
    wanted = [family for family in MAIN.values() if family not in measured]
    return f"not measured: {', '.join(wanted)}; {how_to_measure(wanted)}" if wanted else None


def how_to_measure(families: Sequence[str], *, source: str = "images") -> str:
    """What to do so that families of `MAIN` are measured.

    Args:
        families: identity, text, motion or some of them.
        source: of the run's samples, as the suite names it; ``finished-clips`` of clips that the
            command ``clips`` measured.

    Examples:
        >>> how_to_measure(["motion"])
        '`i2v-eval weights get raft_large`, then add motion.raft_large.v2 to the suite'
    """
    known = _GLYPHS if source == "glyph-world" else MAIN
    wanted = [(id, family) for id, family in known.items() if family in families]
    encoders = [id for id, _ in wanted]
    if source == "finished-clips":
        images = any(family != "motion" for _, family in wanted)
        also = " and a manifest (--samples) of each clip's image and prompt" if images else ""
        return (
            f"{how_to_get(encoders)}, then run `i2v-eval clips` again with "
            f"--encoders {','.join(encoders)}{also}"
        )
    newest = {(metric.encoder, metric.family): metric.id for metric in catalogue(superseded=False)}
    add = f"add {', '.join(newest[pair] for pair in wanted)} to the suite"
    return add if source == "glyph-world" else f"{how_to_get(encoders)}, then {add}"
