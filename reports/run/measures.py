"""What the reports call a measure: its name in words, direction, unit, definition, and how its
numbers are written.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from reports.run.folder import RunFolder

_LABELS = {
    "identity": "Identity",
    "identity_min": "Identity, worst frame",
    "identity_last": "Identity, last frame",
    "text": "Text alignment",
    "text_min": "Text alignment, worst frame",
    "motion": "Motion",
    "motion_top5": "Motion, top 5\N{NO-BREAK SPACE}%",
    "fvd": "FVD",
    "kvd": "KVD",
}
_NAMES = {
    "vbench": "VBench",
    "evalcrafter": "EvalCrafter",
    "dreambooth": "DreamBooth",
    "i2v": "I2V",
    "dino": "DINO",
    "clip": "CLIP",
    "lpips": "LPIPS",
    "ssim": "SSIM",
    "psnr": "PSNR",
    "fvd": "FVD",
    "kvd": "KVD",
    "raft": "RAFT",
    "dover": "DOVER",
    "musiq": "MUSIQ",
    "vqa": "VQA",
}
"""Parts of ids that are names or abbreviations, as their owners write them."""
_ARROWS = {True: "↑", False: "↓", None: ""}
_WORDS = {True: "higher is better", False: "lower is better", None: "no better or worse"}
MINUS = "−"


@dataclass(frozen=True)
class Measure:
    """A metric as the reports show it.

    Attributes:
        id: metric id with encoder and version.
        label: name in words.
        unit: unit of its values, "" for plain numbers.
        higher_is_better: None where neither direction is better.
        decimals: digits after the point that its intervals justify.
        description, source: definition, from eval.metrics.
        encoder: whose features it reads.
    """

    id: str
    label: str
    unit: str
    higher_is_better: bool | None
    decimals: int
    description: str
    source: str
    encoder: str = ""

    @property
    def family(self) -> str:
        """First part of the id."""
        return self.id.split(".")[0]

    @property
    def lower_is_better(self) -> bool:
        """False also where neither direction is better."""
        return self.higher_is_better is not None and not self.higher_is_better

    @property
    def heading(self) -> str:
        """Label and arrow, which stay on one line."""
        return f"{self.label}\N{NO-BREAK SPACE}{self.arrow}" if self.arrow else self.label

    @property
    def arrow(self) -> str:
        """Arrow in the better direction, or ""."""
        return _ARROWS[self.higher_is_better]

    @property
    def direction(self) -> str:
        """The better direction in words."""
        return _WORDS[self.higher_is_better]

    def number(self, value: float, *, sign: bool = False) -> str:
        """A value with this measure's digits and a typographic minus; "–" where there is none."""
        if not math.isfinite(value):
            return "–"
        text = f"{value:+.{self.decimals}f}" if sign else f"{value:.{self.decimals}f}"
        if float(text) == 0:
            text = text.lstrip("+-")
        return text.replace("-", MINUS)

    def telling(self, low: float, high: float) -> Measure:
        """This measure with the digits, 8 at most, that an interval needs which excludes 0, so that
        it is not shown as touching 0.
        """
        digits = self.decimals
        while low * high > 0 and digits < 8 and round(min(abs(low), abs(high)), digits) == 0:
            digits += 1
        return replace(self, decimals=digits)

    def interval(self, low: float, high: float, *, sign: bool = False) -> str:
        """Low to high, or "no interval" where the run could give none (a single cluster)."""
        if not (math.isfinite(low) and math.isfinite(high)):
            return "no interval"
        return f"{self.number(low, sign=sign)} to {self.number(high, sign=sign)}"


def measures_of(run: RunFolder) -> list[Measure]:
    """The run's measures in the suite's order; definitions are those recorded with the run, or
    for older runs the suite's own."""
    listed = run.run.get("metrics")
    entries = listed if isinstance(listed, list) else []
    stated = {entry.get("id"): entry for entry in entries if isinstance(entry, dict)}
    found = [
        _measure(metric, run.summary[run.summary["metric"] == metric], stated.get(metric))
        for metric in run.metrics
    ]
    labels = [measure.label for measure in found]
    named = [(measure.label, measure.encoder) for measure in found]

    def told_apart(measure: Measure) -> Measure:
        if labels.count(measure.label) == 1:
            return measure
        by = measure.encoder
        if named.count((measure.label, by)) > 1:  # versions of one metric
            by = measure.id.rpartition(f".{by}.")[2]
        return replace(measure, label=f"{measure.label} ({by})")

    return [told_apart(measure) for measure in found]


def _measure(metric: str, rows: pd.DataFrame, stated: Mapping[str, Any] | None) -> Measure:
    family, encoder, description, source = _definition(metric, stated)
    first = rows.iloc[0]
    return Measure(
        id=metric,
        label=_LABELS.get(family) or _label(family),
        unit=str(first["unit"]),
        higher_is_better=None if (d := first["higher_is_better"]) is None else bool(d),
        decimals=_decimals(rows),
        description=description,
        source=source,
        encoder=encoder,
    )


def _label(family: str) -> str:
    """A family's name in words, with names as their owners write them.

    >>> _label("vbench.i2v_subject")
    'VBench: I2V subject'
    """
    parts = [" ".join(_NAMES.get(w, w) for w in part.split("_")) for part in family.split(".")]
    return ": ".join([parts[0][:1].upper() + parts[0][1:], *parts[1:]])


def _definition(metric: str, stated: Mapping[str, Any] | None) -> tuple[str, str, str, str]:
    """Family, encoder, description and source. No code of a metric of one's own is run for it."""
    from eval.errors import EvalError
    from eval.measure.catalogue import is_own, parse_metric

    if stated is not None:
        family, encoder, description, source = (
            str(stated.get(key, "")) for key in ("family", "encoder", "description", "source")
        )
        return family, encoder, description, source
    try:
        if not is_own(metric):
            known = parse_metric(metric)
            return known.family, known.encoder, known.description, known.source
    except EvalError:
        pass
    family, *middle = metric.split(".")[:-1]
    return (
        family,
        ".".join(middle),
        "Not defined in this version of the suite; see the one that made the run.",
        "–",
    )


def _decimals(rows: pd.DataFrame) -> int:
    """Digits that leave two significant ones in the median half-width of the intervals (0 to 4)."""
    half = ((rows["high"] - rows["low"]) / 2).dropna()
    half = half[half > 0]
    scale = half.median() if len(half) else rows["mean"].abs().median() / 100
    if not math.isfinite(scale) or scale <= 0:
        return 3
    return min(4, max(0, 1 - math.floor(math.log10(scale))))
