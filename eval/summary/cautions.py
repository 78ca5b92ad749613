"""What a reader of a number must know, as codes with fields; the sentence is made last, once.

A caution travels through ``summary.csv``, ``comparisons.csv`` and ``run.json`` as JSON, so that
no program has to read English to learn that an interval rests on four images.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from eval.errors import EvalError
from eval.summary.statistics import FEW_CLUSTERS

SENTENCES: Mapping[str, str] = {
    "few_images": "{clusters} input images: the interval is too narrow",
    "no_interval": "{clusters} input image{s}: no interval",
    "two_images_needed": "{clusters} input image: two or more are needed",
    "two_references_needed": "{references} reference clip: two or more are needed",
    "mostly_bias": (
        "n = {n} is not above the {dimension} feature dimensions: the value is mostly bias; "
        "compare equal n only"
    ),
    "biased_upwards": "n = {n} is below {enough}: the value is biased upwards; compare equal n "
    "only",
    "clips_failed": "{lost} of {wanted} clips failed",
    "may_be_chance": (
        "{comparisons} comparisons, of which {expected:.2g} would exclude 0 by chance; corrected "
        "for that (Bonferroni) the interval includes 0"
    ),
    "flag": "{flag}: {samples} samples",
    "note": "{text}",
}
"""Code -> its sentence. ``note`` is the free text of runs made before there were codes."""

FEW = frozenset(
    {
        "few_images",
        "no_interval",
        "two_images_needed",
        "two_references_needed",
        "mostly_bias",
        "biased_upwards",
    }
)
"""Codes that say n, or the number of input images, is too small."""

_NAMED = 3
"""Metrics that a line names before it counts them."""

Field = int | float | str


@dataclass(frozen=True)
class Caution:
    """One caution.

    Attributes:
        code: a key of `SENTENCES`.
        fields: what the sentence names.
        metric: metric id that it is about, "" if it is about the whole run.

    Examples:
        >>> str(Caution("few_images", {"clusters": 4}))
        '4 input images: the interval is too narrow'
    """

    code: str
    fields: Mapping[str, Field] = field(default_factory=dict)
    metric: str = ""

    @property
    def text(self) -> str:
        """The sentence; a code of a later version is shown with its fields."""
        known = SENTENCES.get(self.code)
        if known is None:
            return ", ".join([self.code, *(f"{name} = {value}" for name, value in self._sorted)])
        plural = "" if self.fields.get("clusters") == 1 else "s"
        return known.format(**self.fields, s=plural)

    @property
    def few(self) -> bool:
        """Whether it says that n is too small."""
        return self.code in FEW

    @property
    def _sorted(self) -> tuple[tuple[str, Field], ...]:
        return tuple(sorted(self.fields.items()))

    def __str__(self) -> str:
        return f"{self.metric}: {self.text}" if self.metric else self.text

    def __hash__(self) -> int:
        return hash((self.code, self._sorted, self.metric))


def few_images(clusters: int) -> list[Caution]:
    """For an interval over so many input images; none if they are enough."""
    if clusters >= FEW_CLUSTERS:
        return []
    return [Caution("few_images" if clusters > 1 else "no_interval", {"clusters": clusters})]


def lines(warnings: Iterable[str | Caution]) -> list[str]:
    """The sentences to print: what several metrics have in common is one line.

    >>> few = {"clusters": 4}
    >>> lines(["one file", *(Caution("few_images", few, metric) for metric in ("a", "b"))])
    ['one file', 'a, b: 4 input images: the interval is too narrow']
    """
    found: dict[str, list[str]] = {}
    for one in warnings:
        text, metric = (one.text, one.metric) if isinstance(one, Caution) else (one, "")
        found.setdefault(text, []).extend([metric] if metric else [])
    return [_of(metrics) + text for text, metrics in found.items()]


def _of(metrics: Sequence[str]) -> str:
    if not metrics:
        return ""
    few = len(metrics) <= _NAMED
    return f"{', '.join(metrics)}: " if few else f"{len(metrics)} metrics: "


def to_json(cautions: Sequence[Caution]) -> str:
    """For a column of a table: a JSON list, "" if there are none."""
    return json.dumps(documents(cautions), ensure_ascii=False) if cautions else ""


def documents(cautions: Iterable[Caution]) -> list[dict[str, Field]]:
    """Plain values: ``{"code": "few_images", "clusters": 4}``."""
    return [
        {"code": c.code, **({"metric": c.metric} if c.metric else {}), **c.fields} for c in cautions
    ]


def from_documents(content: object, where: str) -> list[Caution]:
    """The cautions of plain values.

    Raises:
        EvalError: not a list of mappings with a code; names `where`.
    """
    if not isinstance(content, list):
        raise EvalError(f"{where}: cautions must be a list, not {content!r:.80}")
    found = []
    for one in content:
        if not isinstance(one, Mapping) or not isinstance(one.get("code"), str):
            raise EvalError(f"{where}: a caution needs a code, not {one!r:.80}")
        fields = {k: v for k, v in one.items() if k not in ("code", "metric")}
        caution = Caution(one["code"], fields, str(one.get("metric", "")))
        try:
            _ = caution.text
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise EvalError(f"{where}: caution {one['code']} lacks {error}") from error
        found.append(caution)
    return found


def from_json(text: str, where: str) -> list[Caution]:
    """The cautions of a table's column.

    Raises:
        EvalError: as `from_documents`, or not JSON.
    """
    if not text:
        return []
    try:
        return from_documents(json.loads(text), where)
    except (ValueError, RecursionError) as error:
        raise EvalError(f"{where}: not readable as JSON ({error})") from error
