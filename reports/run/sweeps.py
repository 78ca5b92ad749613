"""Finds the sweeps among a run's cells: over the prior's t0 and p, or over any other setting."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from reports.run.folder import RunFolder

PRIOR = ("t0", "p")
"""The paper's own settings: a sweep over both is shown as t0 x p, whatever else is swept."""


@dataclass(frozen=True)
class Sweep:
    """Cells that differ in one or two settings and agree in all others.

    Attributes:
        name: label, with the settings in which other sweeps of the label differ.
        axes: one or two names of settings; the first makes the rows of a heatmap.
        cells: (value of each axis) -> cell.
    """

    name: str
    axes: tuple[str, ...]
    cells: Mapping[tuple[Hashable, ...], str]

    def values(self, axis: int) -> list[Any]:
        """The values of an axis: numbers rising, others as they come."""
        found = list(dict.fromkeys(at[axis] for at in self.cells))
        numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in found)
        return sorted(found) if numeric else found

    def numeric(self, axis: int) -> bool:
        """Whether a curve over the axis makes sense."""
        return all(
            isinstance(v, int | float) and not isinstance(v, bool) for v in self.values(axis)
        )

    def grid(self, run: RunFolder, metric: str, group: str) -> pd.DataFrame:
        """Means of one metric: rows the first axis (falling), columns the second (rising); nan
        where there is no cell. A sweep over one setting has one row."""
        import pandas as pd

        rows = [""] if len(self.axes) == 1 else self.values(0)[::-1]
        columns = self.values(len(self.axes) - 1)
        table = [
            [
                run.means.get((self.cells.get(self.place(row, column), ""), group, metric), _NAN)[0]
                for column in columns
            ]
            for row in rows
        ]
        index, names = (pd.Index(values, dtype=object) for values in (rows, columns))
        return pd.DataFrame(table, index=index, columns=names, dtype=float)

    def place(self, row: Hashable, column: Hashable) -> tuple[Hashable, ...]:
        """Key of a cell in a heatmap."""
        return (column,) if len(self.axes) == 1 else (row, column)


_NAN = (float("nan"),) * 3


def sweeps(run: RunFolder) -> list[Sweep]:
    """Every sweep with two or more cells, in the run's order.

    Cells of one label and method form a family; the settings in which they differ are swept. With
    more than two, t0 and p (else the two with the most values) become the axes, and there is a
    sweep for every combination of the others.
    """
    found = [sweep for cells in _families(run) for sweep in _sweeps(run, cells)]
    return [sweep for sweep in found if len(sweep.cells) > 1]


def swept_settings(run: RunFolder) -> list[str]:
    """Names of the settings in which cells of one label differ, t0 and p first."""
    found = dict.fromkeys(PRIOR)
    for cells in _families(run):
        found |= dict.fromkeys(_varying(run, cells))
    return list(found)


def _families(run: RunFolder) -> Iterator[list[str]]:
    families: dict[tuple[str, str], list[str]] = {}
    for cell in run.cells:
        families.setdefault((run.labels[cell], run.methods[cell]), []).append(cell)
    yield from families.values()


def _varying(run: RunFolder, cells: Sequence[str]) -> list[str]:
    """Settings in which the cells differ, t0 and p first."""
    names = dict.fromkeys(name for cell in cells for name in run.settings[cell])
    varying = [n for n in names if len({_key(run.settings[cell].get(n)) for cell in cells}) > 1]
    return sorted(varying, key=lambda n: PRIOR.index(n) if n in PRIOR else len(PRIOR))


def _sweeps(run: RunFolder, cells: Sequence[str]) -> Iterator[Sweep]:
    varying = _varying(run, cells)
    if not varying:
        return
    if set(PRIOR) <= set(varying) or len(varying) <= 2:
        axes = tuple(varying[:2])
    else:
        counts = {n: len({_key(run.settings[cell].get(n)) for cell in cells}) for n in varying}
        chosen = sorted(varying, key=lambda n: -counts[n])[:2]
        axes = tuple(n for n in varying if n in chosen)
    others = [n for n in varying if n not in axes]
    slices: dict[tuple[Hashable, ...], dict[tuple[Hashable, ...], str]] = {}
    for cell in cells:
        settings = run.settings[cell]
        rest = tuple(_key(settings.get(n)) for n in others)
        slices.setdefault(rest, {}).setdefault(tuple(_key(settings.get(n)) for n in axes), cell)
    for rest, found in slices.items():
        fixed = ",".join(f"{n}={value}" for n, value in zip(others, rest, strict=True))
        label = run.labels[cells[0]]
        yield Sweep(f"{label}[{fixed}]" if fixed else label, axes, found)


def _key(value: Any) -> Hashable:
    """A setting's value as a place on an axis."""
    return value if value is None or isinstance(value, int | float | str) else str(value)


def written(value: Hashable) -> str:
    """A setting's value as an axis shows it.

    >>> written(1.0), written(None), written("euler")
    ('1', 'none', 'euler')
    """
    if value is None:
        return "none"
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:g}" if plain else str(value)


def home(run: RunFolder, cell: str) -> Sweep | None:
    """The sweep that a cell belongs to, or None."""
    return next((s for s in sweeps(run) if cell in s.cells.values()), None)
