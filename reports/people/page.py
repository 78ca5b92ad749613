"""The human page: blinded clips side by side, to be ranked by one question a criterion."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eval.errors import EvalError, nearest
from eval.summary.ballots import CRITERIA

if TYPE_CHECKING:
    from reports.page.media import Film
    from reports.run.folder import RunFolder

PAGE, KEY = "rank.html", "rank-key.json"
LETTERS = "ABCDEFGHIJKLMNOPQRST"
GREY = "(grey clip of an attention check)"
"""What the key calls the clip that must come last."""
QUESTIONS = {
    "image": "Which clip keeps the image best?",
    "prompt": "Which clip follows the prompt best?",
    "motion": "Which clip moves best?",
    "overall": "Which clip is best overall?",
}
_MOST = 8
"""Cells on a page if none are named: more are hard to rank."""


@dataclass(frozen=True)
class Asked:
    """What a page asks.

    Attributes:
        cases: samples at most.
        seed: of the order of the clips.
        criteria: names of `eval.summary.ballots.CRITERIA`, one question each.
        checks: further cases in which one clip is plain grey.
    """

    cases: int = 20
    seed: int = 0
    criteria: Sequence[str] = tuple(CRITERIA)
    checks: int = 0


@dataclass(frozen=True)
class Case:
    """One screen of the page: input image, prompt, and a clip for each letter."""

    id: str
    prompt: str
    image: Film
    clips: Mapping[str, Film]

    @property
    def pictures(self) -> list[Film]:
        """Its image and clips, without what cannot be shown."""
        return [f for f in (self.image, *self.clips.values()) if not f.missing]


def write_page(directory: Path, cells: Sequence[str], asked: Asked = Asked()) -> list[Path]:
    """Writes ``rank.html``, which names no cell, and ``rank-key.json``, which does.

    Raises:
        EvalError: fewer than two cells, one that the run has not, no such criterion, or no sample
            of which all cells have a clip.
    """
    from reports.cli import write_file
    from reports.run.load import load_run

    asked = asked or Asked()
    run = load_run(directory)
    chosen = (
        list(cells)
        or [cell for cell in run.cells if not run.is_anchor(cell) and "[" not in cell][:_MOST]
    )
    _check(run, chosen, asked.criteria)
    samples, orders = [], []
    for sample, check in _mixed(_samples(run, chosen, asked.cases), asked.checks):
        kept = [*_shuffled(chosen, sample, asked.seed)[:-1], GREY] if check else chosen
        samples.append(sample)
        orders.append(_shuffled(kept, sample, asked.seed))
    key = {
        f"case-{number:02d}": dict(zip(LETTERS, order, strict=False))
        for number, order in enumerate(orders, 1)
    }
    content = {"cases": key, "samples": samples, "criteria": list(asked.criteria)}
    page = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    shown = [_case(run, name, sample, key[name]) for name, sample in zip(key, samples, strict=True)]
    document = {
        "page": page,
        "suite": run.name,
        "criteria": list(asked.criteria),
        "samples": dict(zip(key, samples, strict=True)),
        "cases": key,
    }
    return [
        write_file(directory / PAGE, render(page, shown, asked.criteria).encode()),
        write_file(
            directory / KEY, (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
        ),
    ]


def _check(run: RunFolder, cells: Sequence[str], criteria: Sequence[str]) -> None:
    for cell in cells:
        if cell not in run.cells:
            raise EvalError(
                f"--cells {cell}: no such cell. Allowed: "
                f"{', '.join(run.cells)}.{nearest(cell, run.cells)}"
            )
    if not 2 <= len(set(cells)) == len(cells) <= len(LETTERS):
        raise EvalError(
            f"--cells {', '.join(cells) or 'none'}: name 2 to {len(LETTERS)} different cells of "
            "the run"
        )
    if not criteria or len(set(criteria)) < len(criteria) or not set(criteria) <= set(CRITERIA):
        raise EvalError(
            f"--criteria {', '.join(criteria) or 'none'}: name each at most once of "
            f"{', '.join(CRITERIA)}"
        )


def _mixed(samples: Sequence[str], checks: int) -> list[tuple[str, bool]]:
    """The samples, and spread among them those that are shown a second time as checks."""
    found = [(sample, False) for sample in samples]
    for number in range(checks):
        at = (number + 1) * len(samples) // (checks + 1) + number
        found.insert(at, (samples[-1 - number % len(samples)], True))
    return found


def _samples(run: RunFolder, cells: Sequence[str], cases: int) -> list[str]:
    from reports.page.clips import choose_samples

    keys = run.clip_keys
    found = [
        s for s in choose_samples(run) if all((cell, s, run.first_seed) in keys for cell in cells)
    ]
    if not found:
        raise EvalError(
            f"{run.path}: no sample has clips of all of {', '.join(cells)}; name other --cells"
        )
    return found[:cases]


def _shuffled(cells: Sequence[str], sample: str, seed: int) -> list[str]:
    """In an order that depends on the sample and the seed alone."""
    return sorted(
        cells, key=lambda cell: hashlib.sha256(f"{seed}\x1f{sample}\x1f{cell}".encode()).digest()
    )


def _case(run: RunFolder, name: str, sample: str, letters: Mapping[str, str]) -> Case:
    import numpy as np

    from eval.clips.lossless import Clip
    from reports.page.media import film, picture

    row = run.samples[run.samples["id"] == sample].iloc[0]
    clips = {}
    for letter, cell in letters.items():
        known = next(c for c in letters.values() if c != GREY) if cell == GREY else cell
        clip = run.cell_clip(known, sample)
        assert clip is not None  # _samples saw to it
        clips[letter] = film(
            Clip(np.full_like(clip.frames, 128), clip.fps) if cell == GREY else clip
        )
    return Case(name, str(row["prompt"]), picture(run.image_path(sample)), clips)


def render(page: str, cases: Sequence[Case], criteria: Sequence[str]) -> str:
    """The page, complete in one file that asks no network for anything."""
    from markupsafe import Markup

    from reports.page.typeset import TEMPLATES, environment, pictures_css

    script = (TEMPLATES / "rank.js").read_text(encoding="utf-8")
    return (
        environment()
        .get_template("rank.html.j2")
        .render(
            page=page,
            cases=cases,
            questions={name: QUESTIONS[name] for name in criteria},
            script=Markup(script),
            pictures=pictures_css({f.key: f for case in cases for f in case.pictures}),
            style=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        )
    )
