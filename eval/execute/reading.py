"""What was changed or is odd about finished clips, kept in the store from when they are read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from eval.methods.finished import FinishedClips
from eval.plan.batches import Batch, Place
from eval.plan.cells import Plan
from eval.store.store import Store

Notes = Mapping[Place, list[str]]


def notes_of(batch: Batch) -> Notes:
    """Of the finished clips of a batch that were read; none of clips that a method makes."""
    found: dict[Place, list[str]] = {}
    for item in batch.items:
        instance = item.cell.instance
        if isinstance(instance, FinishedClips) and item.place[1:] in instance.notes:
            found[item.place] = instance.notes[item.place[1:]]
    return found


def keep_notes(store: Store, notes: Notes) -> None:
    """Keeps them for `reading_notes`, of this and of later calls."""
    for place, texts in notes.items():
        store.set_meta(_key(place), json.dumps(texts))


def _key(place: Place) -> str:
    return f"notes/{json.dumps(place)}"


def reading_notes(store: Store, plan: Plan) -> Iterator[str]:
    """What reading changed: a note on one clip names it, a note on several counts them."""
    for cell in plan.cells:
        clips: dict[str, list[tuple[str, int]]] = {}
        for sample, seed in plan.pairs(cell):
            for note in json.loads(store.meta(_key((cell.id, sample.id, seed))) or "[]"):
                clips.setdefault(note, []).append((sample.id, seed))
        for note, named in clips.items():
            sample_id, seed = named[0]
            which = f"clip of sample '{sample_id}', method {cell.id}, seed {seed}"
            if len(named) > 1:
                which = f"{len(named)} clips of method {cell.id} (the first: sample '{sample_id}'"
                which += f", seed {seed})"
            yield f"{which}: {note}"
