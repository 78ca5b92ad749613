"""The plan of a calibration: one cell for each corruption and strength, over true clips."""

from __future__ import annotations

from eval.calibration.corruptions import CORRUPTIONS, WRONG_PROMPT, Corrupted, CorruptedSettings
from eval.calibration.material import GLYPH, samples, wrong_prompt
from eval.errors import EvalError
from eval.methods.anchors import TrueClip, TrueClipSettings
from eval.metrics import Metric
from eval.plan.cells import Cell, Plan
from eval.plan.suite import MethodEntry, Suite

UNDISTURBED = "undisturbed"
WORDS = (1.0, 2.0, 3.0, 4.0)
"""Strengths of the wrong prompt: wrong words."""

FEWEST = 8


def strengths() -> dict[str, tuple[float, ...]]:
    """Every corruption with its strengths; that of an unrelated clip, which has only one, left
    out."""
    graded = {
        name: corruption.strengths
        for name, corruption in CORRUPTIONS.items()
        if len(corruption.strengths) > 1
    }
    return graded | {WRONG_PROMPT: WORDS}


def unit(corruption: str) -> str:
    """What the corruption's strength counts."""
    return "wrong words" if corruption == WRONG_PROMPT else CORRUPTIONS[corruption].unit


def cell_id(corruption: str, strength: float) -> str:
    """The id of a cell, e.g. ``blur[strength=2]``."""
    return f"{corruption}[strength={strength:g}]"


def calibration_plan(metrics: list[Metric], clips: int) -> Plan:
    """All cells over ``clips`` glyph clips and half as many camera clips.

    Args:
        metrics: what is calibrated.
        clips: 8 or more.

    Raises:
        EvalError: too few clips.
    """
    if clips < FEWEST:
        raise EvalError(f"calibration: {clips} clips; {FEWEST} or more are needed for an interval")
    material = samples(clips)
    true = TrueClip(TrueClipSettings())
    cells = [Cell(UNDISTURBED, UNDISTURBED, "true-clip", {}, true)]
    for name, corruption in CORRUPTIONS.items():
        for strength in corruption.strengths:
            settings = CorruptedSettings(corruption=name, strength=strength)
            method = f"{Corrupted.__module__}:{Corrupted.__name__}"
            cells.append(
                Cell(
                    cell_id(name, strength),
                    name,
                    method,
                    settings.model_dump(),
                    Corrupted(settings),
                )
            )
    coverage = {cell.id: [(sample, 0) for sample in material] for cell in cells}
    for words in WORDS:
        cells.append(Cell(cell_id(WRONG_PROMPT, words), WRONG_PROMPT, "true-clip", {}, true))
        misled = [wrong_prompt(sample, int(words)) for sample in material if sample.group == GLYPH]
        coverage[cells[-1].id] = [(sample, 0) for sample in misled]
    suite = Suite(
        name="calibration",
        samples={"source": "calibration", "clips": clips},
        reference=UNDISTURBED,
        methods=[
            MethodEntry(method=cell.method, label=cell.label, settings=cell.settings)
            for cell in cells
        ],
        metrics=[metric.id for metric in metrics],
    )
    return Plan(suite, material, cells, metrics, coverage=coverage)
