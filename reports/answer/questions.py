"""The questions a reader brings to every run, whether its measures answer them, and what to do
where they do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from reports.answer.sentences import Name, Sentence, Strong

if TYPE_CHECKING:
    from reports.run.folder import RunFolder
    from reports.run.measures import Measure

QUESTIONS: Mapping[str, str] = {
    "identity": "keep the image",
    "text": "follow the prompt",
    "motion": "move",
}
"""Leading family of each question, and what it asks whether the clips do."""
_ANSWERS: Mapping[str, tuple[str, ...]] = {
    "identity": (
        *("identity", "identity_min", "identity_last", "dreambooth.dino"),
        *("vbench.i2v_subject", "vbench.i2v_background", "aigcbench.image_clip"),
        *("lpips", "exact.glyph"),
    ),
    "text": ("text", "text_min", "aigcbench.text_clip"),
    "motion": (
        *("motion", "motion_top5", "vbench.dynamic_degree"),
        *("evalcrafter.flow_score", "paper.flow_score"),
    ),
}
"""Families of metrics that answer each question, the leading one first."""


def answers(measure: Measure, question: str) -> bool:
    """Whether a measure answers a question of `QUESTIONS`."""
    return any(measure.id.startswith(f"{family}.") for family in _ANSWERS[question])


def deciding(measures: Sequence[Measure]) -> Measure | None:
    """The measure that cells are ranked by: of those with a better direction the first of identity,
    else the first that tells whether the image is kept, else the first of all.
    """
    directed = [m for m in measures if m.higher_is_better is not None]
    ranks = (
        [m for m in directed if m.family == "identity"],
        [m for m in directed if answers(m, "identity")],
        directed,
    )
    return next((found[0] for found in ranks if found), None)


def unmeasured(run: RunFolder, measures: Sequence[Measure]) -> Sentence | None:
    """Which questions no measure of the run answers, and what to do about it; None if all are."""
    from eval.measure.selection import how_to_measure

    open_ = [name for name in QUESTIONS if not any(answers(m, name) for m in measures)]
    if not open_:
        return None
    asked = [f"{QUESTIONS[name]} ({name})" for name in open_]
    listed = " and ".join(filter(None, (", ".join(asked[:-1]), asked[-1])))
    source = str((run.suite.get("samples") or {}).get("source", ""))
    way = how_to_measure(open_, source=source)
    parts = [Name(part) if i % 2 else part for i, part in enumerate(way.split("`"))]
    return (Strong("Not measured: "), f"whether the clips {listed}. To measure it: ", *parts, ".")
