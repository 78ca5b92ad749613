"""The human page: blinded clips side by side, to be ranked; and the command `rank`."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eval.errors import EvalError, nearest
from eval.io.console import say

if TYPE_CHECKING:
    from eval.summary.ballots import Standing
    from reports.page.media import Film
    from reports.run.folder import RunFolder

PAGE, KEY = "rank.html", "rank-key.json"
LETTERS = "ABCDEFGHIJKLMNOPQRST"
_MOST = 8
"""Cells on a page if none are named: more are hard to rank."""


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


def rank(
    directory: Annotated[Path, typer.Argument(help="Run folder that `run` wrote.")],
    ballots: Annotated[
        Path | None, typer.Option(help="Folder of ballots, to be counted.", file_okay=False)
    ] = None,
    cells: Annotated[
        str, typer.Option(help="Comma-separated cells; a ',' inside [] belongs to the cell.")
    ] = "",
    cases: Annotated[int, typer.Option(min=1, max=200, help="How many samples to show.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Of the order of the clips.")] = 0,
) -> None:
    """Write rank.html of a run, a page on which people rank blinded clips; or count the ballots it
    gave.
    """
    for path in (
        count(directory, ballots)
        if ballots
        else write_page(directory, split_cells(cells), cases, seed)
    ):
        say(path)


def split_cells(text: str) -> list[str]:
    """Cell ids of a comma-separated list.

    >>> split_cells("full, prior[t0=1.0,p=0.5]")
    ['full', 'prior[t0=1.0,p=0.5]']
    """
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def write_page(directory: Path, cells: Sequence[str], cases: int, seed: int) -> list[Path]:
    """Writes ``rank.html``, which names no cell, and ``rank-key.json``, which does.

    Raises:
        EvalError: fewer than two cells, one that the run has not, or no sample of which all of
            them have a clip.
    """
    from reports.cli import write_file
    from reports.run.load import load_run

    run = load_run(directory)
    chosen = (
        list(cells)
        or [cell for cell in run.cells if not run.is_anchor(cell) and "[" not in cell][:_MOST]
    )
    for cell in chosen:
        if cell not in run.cells:
            raise EvalError(
                f"--cells {cell}: no such cell. Allowed: "
                f"{', '.join(run.cells)}.{nearest(cell, run.cells)}"
            )
    if not 2 <= len(set(chosen)) == len(chosen) <= len(LETTERS):
        raise EvalError(
            f"--cells {', '.join(chosen) or 'none'}: name 2 to {len(LETTERS)} different cells of "
            "the run"
        )
    samples = _samples(run, chosen, cases)
    orders = {sample: _shuffled(chosen, sample, seed) for sample in samples}
    key = {
        f"case-{number:02d}": dict(zip(LETTERS, orders[s], strict=False))
        for number, s in enumerate(samples, 1)
    }
    text = json.dumps({"cases": key, "samples": samples}, sort_keys=True)
    page = hashlib.sha256(text.encode()).hexdigest()[:16]
    shown = [_case(run, name, sample, key[name]) for name, sample in zip(key, samples, strict=True)]
    document = {
        "page": page,
        "suite": run.name,
        "samples": dict(zip(key, samples, strict=True)),
        "cases": key,
    }
    return [
        write_file(directory / PAGE, render(page, shown).encode()),
        write_file(
            directory / KEY, (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
        ),
    ]


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
    from reports.page.media import film, picture

    row = run.samples[run.samples["id"] == sample].iloc[0]
    clips = {}
    for letter, cell in letters.items():
        clip = run.cell_clip(cell, sample)
        assert clip is not None  # _samples saw to it
        clips[letter] = film(clip)
    return Case(name, str(row["prompt"]), picture(run.image_path(sample)), clips)


def render(page: str, cases: Sequence[Case]) -> str:
    """The page, complete in one file that asks no network for anything."""
    import base64

    from markupsafe import Markup

    from reports.page.typeset import TEMPLATES, environment, pictures_css

    script = (TEMPLATES / "rank.js").read_text(encoding="utf-8")
    return (
        environment()
        .get_template("rank.html.j2")
        .render(
            page=page,
            cases=cases,
            script=Markup(script),
            pictures=pictures_css({f.key: f for case in cases for f in case.pictures}),
            style=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        )
    )


def count(directory: Path, ballots: Path) -> list[Path]:
    """Writes ``rank.md``, ``rank.csv`` and ``rank-metrics.csv`` from the ballots of a folder.

    Raises:
        EvalError: the run folder has no key, or a ballot does not fit it.
    """
    from eval.summary.ballots import read_ballots, standings
    from reports.cli import write_file
    from reports.people.agreement import agreement, metric_rows, people_markdown
    from reports.run.load import load_run

    key = _read_key(directory / KEY)
    rankings = read_ballots(ballots, key["page"], key["cases"])
    found = standings(rankings)
    table, metrics = io.StringIO(), io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([HEAD, *_rows(found)])
    rows = metric_rows(load_run(directory), key["samples"], rankings) if key["samples"] else []
    csv.writer(metrics, lineterminator="\n").writerows([METRICS_HEAD, *rows])
    text = _markdown(found) + people_markdown(agreement(rankings), rows)
    return [
        write_file(directory / "rank.md", text.encode()),
        write_file(directory / "rank.csv", table.getvalue().encode()),
        write_file(directory / "rank-metrics.csv", metrics.getvalue().encode()),
    ]


METRICS_HEAD = ("metric", "correlation", "low", "high", "clips", "cases")
HEAD = (
    "cell",
    "mean_rank",
    "mean_rank_low",
    "mean_rank_high",
    "score",
    "score_low",
    "score_high",
    "rankings",
    "raters",
    "cases",
)


def _rows(found: Sequence[Standing]) -> list[tuple[object, ...]]:
    return [(s.cell, *s.rank, *s.score, s.rankings, s.raters, s.cases) for s in found]


def _markdown(found: Sequence[Standing]) -> str:
    from reports.tables.cells import to_markdown

    rows = [
        [
            s.cell,
            *(f"{e.value:.2f} [{e.low:.2f}, {e.high:.2f}]" for e in (s.rank, s.score)),
            str(s.rankings),
            str(s.raters),
            str(s.cases),
        ]
        for s in found
    ]
    head = [
        "Cell",
        "Mean rank (AUR, 1 is best)",
        "Bradley-Terry score (log odds)",
        "Rankings",
        "Raters",
        "Cases",
    ]
    note = (
        "95 % intervals by bootstrap over raters and cases. Scores are log odds against the "
        "average cell."
    )
    return f"{to_markdown(head, rows)}\n\n{note}\n"


def _read_key(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        page, cases = str(content["page"]), dict(content["cases"])
        return {"page": page, "cases": cases, "samples": dict(content.get("samples") or {})}
    except FileNotFoundError as error:
        raise EvalError(
            f"{path}: no such file; `i2v-eval rank {path.parent}` writes the page and it"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EvalError(
            f"{path}: not the key of a ranking page ({error}); write the page again"
        ) from error
