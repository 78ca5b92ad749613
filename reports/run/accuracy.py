"""How good the trained parts are, by their own cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.run.folder import RunFolder


@dataclass(frozen=True)
class Figure:
    """One figure of a trained part's card, typeset; "–" where the card does not say."""

    name: str
    value: str
    bar: str
    n: str


@dataclass(frozen=True)
class EncoderAccuracy:
    """A trained part and the figures of its card."""

    name: str
    figures: Sequence[Figure]

    @property
    def has_bar(self) -> bool:
        """Whether any figure says what was asked for."""
        return any(figure.bar != "–" for figure in self.figures)

    @property
    def has_n(self) -> bool:
        """Whether any figure says over how many cases it was measured."""
        return any(figure.n != "–" for figure in self.figures)


def accuracies_of(run: RunFolder) -> list[EncoderAccuracy]:
    """The parts whose cards the run carries, those without a figure left out."""
    accuracies = []
    for name, card in (run.run.get("judge_cards") or {}).items():
        found = []
        for figure, given in ((card or {}).get("figures") or {}).items():
            parts = given if isinstance(given, Mapping) else {"value": given}
            value, bar, n = (_text(parts.get(key)) for key in ("value", "bar", "n"))
            unit = str(parts.get("unit") or ("dB" if str(figure).startswith("psnr") else ""))
            found.append(Figure(str(figure).replace("_", " "), f"{value} {unit}".strip(), bar, n))
        if found:
            accuracies.append(EncoderAccuracy(name, found))
    return accuracies


def _text(value: object) -> str:
    if value is None:
        return "–"
    return (
        f"{value:,}"
        if isinstance(value, int)
        else f"{value:.4g}"
        if isinstance(value, float)
        else str(value)
    )
