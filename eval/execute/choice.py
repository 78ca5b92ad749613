"""Which metrics finished clips are measured by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from eval.clips.media import Hdr, first_frame
from eval.errors import EvalError, WeightsMissingError, nearest
from eval.measure.catalogue import parse_metric
from eval.measure.evaluator import EvaluatorLike
from eval.measure.selection import available, lacks_weights, metrics_of
from eval.metrics import Metric
from eval.metrics.definitions import Need
from eval.store.received import read_run

EXACT, FAST = "flow_dis", "flow_dis_fast"
"""Flow at full size, and at a working size; every clip can be measured by one or the other."""
LARGE = 512 * 512
"""Pixels of a frame, above which `flow_of_clips` takes the flow at a working size."""

_NEEDED: dict[Need, str] = {
    "image": "the input image",
    "prompt": "the prompt",
    "clip": "the true clip",
}


def flow_of_clips(
    clips: Iterable[Path], out: Path, *, hdr: Hdr = "refuse", root: Path | None = None
) -> str:
    """The flow encoder of clips for which none was named: that of the run folder, where it has one;
    else `FAST` if a clip's frames are larger than `LARGE`, else `EXACT`. One for all clips, as
    values of two do not compare.
    """
    known = {encoder for encoder in (EXACT, FAST) if encoder in read_run(out).get("encoders", {})}
    if len(known) == 1:
        return known.pop()
    return FAST if any(_is_large(clip, hdr, root) for clip in clips) else EXACT


def _is_large(clip: Path, hdr: Hdr, root: Path | None) -> bool:
    try:
        height, width, _ = first_frame(clip, hdr=hdr, root=root).shape
    except EvalError:  # its row fails, with the reason
        return False
    return bool(height * width > LARGE)


def choose_metrics(
    make_evaluator: Callable[[list[Metric]], EvaluatorLike],
    encoders: Sequence[str],
    names: Sequence[str],
    flow: str | None,
    *,
    reference: Path | None,
    unknown: Sequence[Need],
) -> tuple[list[Metric], list[str]]:
    """The metrics, and lines on what was chosen and what was left out.

    Args:
        make_evaluator: says whose weights are here.
        encoders: measure all metrics of these; none: of all whose weights are here.
        names: of these measure only such: ids, which need not be among them, or families.
        flow: the one of `EXACT` and `FAST` that is taken, where neither was asked for.
        reference: of set metrics.
        unknown: what no row tells of its clip.

    Raises:
        EvalError: an unknown name, or nothing to measure.
    """
    metrics, notes = metrics_of(encoders), list[str]()
    if not encoders:
        metrics, notes = available(make_evaluator, reference=reference is not None)
    if names:
        metrics, notes = _named(names, metrics, flow or EXACT, encoders), []
    elif not encoders:
        other = EXACT if flow == FAST else FAST
        metrics = [metric for metric in metrics if metric.encoder != other]
    if flow == FAST and any(m.encoder == FAST and m.id not in names for m in metrics):
        notes.append(
            f"motion is measured by {FAST}, as some frames are larger than 512 x 512 px: flow at a "
            f"shorter side of 192 px, whose values do not compare with those of {EXACT}; "
            f"--encoders {EXACT} measures at full size"
        )
    sets = [metric.id for metric in metrics if metric.scope == "set"]
    if sets and reference is None:
        metrics = [metric for metric in metrics if metric.scope != "set"]
        notes.append(
            f"left out {', '.join(sets)}: they need clips to compare with; give --reference FOLDER"
        )
    elif reference is not None and not sets:
        notes.append(
            f"--reference {reference} is not used: no metric of a set of clips is measured"
        )
    for need in unknown:
        ids = [metric.id for metric in metrics if need in metric.needs]
        metrics = [metric for metric in metrics if need not in metric.needs]
        if ids and (encoders or names or need != "clip"):
            notes.append(
                f"left out {', '.join(ids)}: they need {_NEEDED[need]} of each clip; name it in a "
                "manifest, --samples FILE"
            )
    if not metrics:
        raise EvalError(f"nothing to measure: {'; '.join(notes)}")
    return metrics, notes


def _named(
    names: Sequence[str], metrics: Sequence[Metric], flow: str, encoders: Sequence[str]
) -> list[Metric]:
    """Metrics by id, or of a family by those that would be measured."""
    other = "" if encoders else (EXACT if flow == FAST else FAST)
    families: dict[str, list[Metric]] = {}
    for metric in metrics:
        if metric.encoder != other:
            families.setdefault(metric.family, []).append(metric)
    found: dict[str, Metric] = {}
    for name in names:
        known = families.get(name)
        if known is None and (line := lacks_weights(name, metrics)):
            raise WeightsMissingError(f"--metrics {name}: {line}")
        if known is None and "." not in name and ":" not in name:
            raise EvalError(
                f"--metrics {name}: no metric of this name can be measured here. Allowed: "
                f"{', '.join(families)}, or a metric's id.{nearest(name, families)}"
            )
        for metric in known or [parse_metric(name)]:
            found[metric.id] = metric
    return list(found.values())
