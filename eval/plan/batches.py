"""What is made in one call of a method: batches, and which cells of a sweep may share them."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from eval.errors import EvalError
from eval.methods import varying
from eval.samples import Sample

if TYPE_CHECKING:
    from eval.plan.cells import Cell

Place = tuple[str, str, int]
"""(cell id, sample id, seed number): identifies a clip in a run."""


class Item(NamedTuple):
    """One clip to generate."""

    cell: Cell
    sample: Sample
    seed: int

    @property
    def place(self) -> Place:
        """Cell id, sample id and seed number."""
        return self.cell.id, self.sample.id, self.seed

    @property
    def key(self) -> str:
        """See :meth:`eval.plan.cells.Cell.clip_key`."""
        return self.cell.clip_key(self.sample, self.seed)


@dataclass(frozen=True)
class Batch:
    """The clips of one call: images of one size, of one cell or of several that may share a call
    (:func:`sweeps`).
    """

    items: tuple[Item, ...]

    @property
    def cells(self) -> list[Cell]:
        """Each once, in order."""
        return list(dict.fromkeys(item.cell for item in self.items))

    @property
    def name(self) -> str:
        """For messages: every cell, with its samples and seeds."""
        listed = {
            cell: ", ".join(f"{s.id}/{seed}" for c, s, seed in self.items if c is cell)
            for cell in self.cells
        }
        return "; ".join(f"cell {cell.id}, sample/seed {pairs}" for cell, pairs in listed.items())

    @property
    def places(self) -> list[Place]:
        """The place of every item, in order."""
        return [item.place for item in self.items]

    def without(self, places: Container[Place]) -> Batch:
        """The batch of all its other clips."""
        return Batch(tuple(item for item in self.items if item.place not in places))

    def failure(self, error: EvalError) -> EvalError:
        """``error``, of the same class, with the batch's name before it."""
        return type(error)(f"{self.name}: {error}")


def sweeps(cells: Sequence[Cell]) -> list[list[Cell]]:
    """The cells by what may share a call, in order; most stand alone.

    Cells of one entry of a suite may, where they differ only in settings that their method lets
    vary in a call.
    """
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(_call(cell), []).append(cell)
    return list(found.values())


def _call(cell: Cell) -> str:
    """Equal for cells that may share a call."""
    free = varying(cell.instance)
    if not free:
        return cell.id
    fixed = {name: value for name, value in cell.settings.items() if name not in free}
    return json.dumps([cell.entry, cell.method, fixed], sort_keys=True)


def batches(sweep: Sequence[Sequence[Item]], size: int) -> Iterator[Batch]:
    """Every item once, at most ``size`` in a batch.

    A cell's items stay in order, are grouped by image size and fill what batches they can; what is
    left of all cells is put together and cut likewise. So a further cell in a sweep changes no full
    batch of another.

    Args:
        sweep: for each cell of a sweep its items.
        size: at least 1.
    """
    left: dict[tuple[int, ...], list[Item]] = {}
    for items in sweep:
        shapes: dict[tuple[int, ...], list[Item]] = {}
        for item in items:
            shapes.setdefault(item.sample.image.shape, []).append(item)
        for shape, alike in shapes.items():
            full = len(alike) // size * size
            yield from _cut(alike[:full], size)
            left.setdefault(shape, []).extend(alike[full:])
    for rest in left.values():
        yield from _cut(rest, size)


def _cut(items: Sequence[Item], size: int) -> Iterator[Batch]:
    for start in range(0, len(items), size):
        yield Batch(tuple(items[start : start + size]))
