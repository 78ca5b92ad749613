"""The command `rank`, which `i2v-eval` finds through the entry points i2v_eval.commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eval.io.console import say


def rank(
    directory: Annotated[Path, typer.Argument(help="Run folder that `run` wrote.")],
    ballots: Annotated[
        Path | None, typer.Option(help="Folder of ballots, to be counted.", file_okay=False)
    ] = None,
    cells: Annotated[
        str, typer.Option(help="Comma-separated cells; a ',' inside [] belongs to the cell.")
    ] = "",
    cases: Annotated[int, typer.Option(min=1, max=200, help="How many samples to show.")] = 20,
    criteria: Annotated[
        str, typer.Option(help="Comma-separated questions: image, prompt, motion, overall.")
    ] = "image,prompt,motion,overall",
    checks: Annotated[
        int,
        typer.Option(
            min=0,
            max=20,
            help="Further cases in which one clip is plain grey; who does not put it last is left "
            "out of the count.",
        ),
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of the order of the clips.")] = 0,
) -> None:
    """Write rank.html of a run, a page on which people rank blinded clips; or count the ballots it
    gave.
    """
    from reports.people.counting import count
    from reports.people.page import Asked, write_page

    if ballots:
        written = count(directory, ballots)
    else:
        names = tuple(name.strip() for name in criteria.split(",") if name.strip())
        written = write_page(directory, split_cells(cells), Asked(cases, seed, names, checks))
    for path in written:
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
