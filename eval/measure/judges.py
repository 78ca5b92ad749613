"""Metrics of learned judges: ``judge.<name>.<dimension>``, of the judges that the environment
names, and their raw answers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eval.encoders.judge import OPTION, judge_class, judge_names
from eval.errors import EvalError, nearest
from eval.io.documents import read_json
from eval.io.files import Files
from eval.metrics.definitions import Definition, Features, Metric, Need, Registered

PREFIX = "judge."
VERSION = "v1"
_ANSWER = ("judge", "sample", "clip", "scores", "raw", "fault")


def is_judged(id: str) -> bool:
    """Whether the id is of the form ``judge.<name>.<dimension>``."""
    return id.startswith(PREFIX) and id.count(".") == 2


def judged(id: str) -> Registered:
    """The definition of a judge's dimension, and its formula.

    Raises:
        WeightsMissingError: the environment names no judge of this name.
        EvalError: the judge has no such dimension, or is no judge.
    """
    _, name, dimension = id.split(".")
    dimensions = judge_class(name).dimensions
    if dimension not in dimensions:
        raise EvalError(
            f"metric {id!r}: the judge has no dimension {dimension!r}; it has "
            f"{', '.join(dimensions)}.{nearest(dimension, list(dimensions))}"
        )
    of = dimensions[dimension]
    place = list(dimensions).index(dimension)
    needs: list[Need] = ["image"] if of.needs_image else []
    needs += ["prompt"] if of.needs_prompt else []
    hidden = ["the input image"] if not of.needs_image else []
    hidden += ["the prompt"] if not of.needs_prompt else []
    blind = f"{' and '.join(hidden).capitalize()}, which it is not shown. " if hidden else ""
    definition = Definition(
        name=id,
        kind="judge",
        unit=f"score, {of.low:g} to {of.high:g}",
        higher_is_better=of.higher_is_better,
        description=f"Score '{dimension}' of the learned judge '{name}'.",
        source=f"The loader that {OPTION}{name.upper()} names",
        needs=tuple(needs),
        cannot_see=f"{blind}What else it overlooks depends on its training; this suite does not "
        "know.",
        caution="A judge knows what it was trained on; compare with votes of people before "
        "trusting it."
        + ("" if judge_class(name).deterministic else " Its answers differ from run to run."),
    )

    def formula(features: Features) -> float:
        return float(features.judged()[place])

    return Registered(definition, formula, formula.__module__)


def judged_metric(id: str) -> Metric:
    """The metric of a judge's dimension.

    Raises:
        EvalError: as `judged`.
    """
    found = judged(id).definition
    return Metric(
        id=id,
        family=id,
        encoder=f"judge:{id.split('.')[1]}",
        version=VERSION,
        scope="clip",
        unit=found.unit,
        higher_is_better=found.higher_is_better,
        description=found.description,
        source=found.source,
        needs=found.needs,
    )


def judged_metrics() -> list[Metric]:
    """Every dimension of every judge that the environment names.

    Raises:
        EvalError: a judge that cannot be imported or is no judge.
    """
    return [
        judged_metric(f"{PREFIX}{name}.{dimension}")
        for name in judge_names()
        for dimension in judge_class(name).dimensions
    ]


def answers(folder: Path) -> list[dict[str, Any]]:
    """The raw answers of all judges in a run folder, the unusable ones too.

    Args:
        folder: of the run.

    Returns:
        One mapping per clip and judge: ``judge``, ``sample``, ``clip`` (sha256 hex of its pixels),
        ``scores``, ``raw``, ``fault`` (empty where the scores are used); by judge, then sample.

    Raises:
        EvalError: naming an answer's file that is damaged.
    """
    found = []
    for path in sorted(Files(folder).answers.glob("*.json")):
        answer = read_json(path)
        if absent := [key for key in _ANSWER if key not in answer]:
            raise EvalError(f"{path}: no answer of a judge (no '{absent[0]}'); remove it")
        found.append(answer)
    return sorted(found, key=lambda answer: [str(answer[key]) for key in _ANSWER[:3]])
