"""``i2v-eval weights``: which weights unlock which metrics, what is here, how to get the rest."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from eval.io.console import say, show

Guard = Callable[[Callable[..., None]], Callable[..., None]]


class Row(NamedTuple):
    """One encoder: `found` is its folder, None if its weights are missing; `get` the command that
    brings them, empty where there is none."""

    encoder: str
    unlocks: list[str]
    megabytes: int | None
    licence: str
    revision: str
    found: str | None
    get: str


def rows(encoders: list[str] | None = None) -> list[Row]:
    """A row for each encoder that needs weights; all, if none is named."""
    from eval.encoders import ENCODERS
    from eval.encoders.published import PUBLISHED
    from eval.measure.catalogue import catalogue

    families: dict[str, list[str]] = {}
    for metric in catalogue():
        families.setdefault(metric.encoder, []).append(metric.family)
    own = {id for id, entry in ENCODERS.items() if entry.source or entry.loader}
    chosen = encoders or [id for id in ENCODERS if id in own or id in PUBLISHED]
    return [_row(id, families.get(id, [])) for id in chosen]


def _row(id: str, unlocks: list[str]) -> Row:
    from eval.encoders import encoder_entry, weights
    from eval.encoders.published import PUBLISHED
    from eval.errors import WeightsMissingError

    entry, known = encoder_entry(id), PUBLISHED.get(id)
    source = entry.source
    found: str | None = "no weights needed"
    if entry.loader:
        found = os.environ.get(entry.loader)
    if source is not None:
        try:
            found = str(weights.find(id, source).folder)
        except WeightsMissingError:
            found = None
    embedded = source is not None and source.embedded is not None
    revision = "with the package" if embedded else ""
    if known:
        hashed = re.search(r"-([0-9a-f]{8})\.[a-z]+$", next(iter(known.urls), ""))
        revision = known.revision or (f"sha256 {hashed.group(1)}" if hashed else "latest")
    return Row(
        id,
        unlocks,
        known.size if known else None,
        known.licence if known else ("Apache-2.0" if embedded else ""),
        revision,
        found,
        known.line(id, str(weights.own_folder())) if known else "",
    )


def encoders_of(suite: str) -> list[str]:
    """Encoders that a suite's metrics need, in its order."""
    from eval.measure.catalogue import parse_metric
    from eval.plan.suite import load_suite, locate_suite

    ids = load_suite(locate_suite(suite)).metrics
    return list(dict.fromkeys(parse_metric(id).encoder for id in ids))


def _not_asked(suite: str) -> str | None:
    """What a suite of pictures of one's own does not measure of the three main families."""
    from eval.measure.catalogue import parse_metric
    from eval.measure.selection import not_asked
    from eval.plan.suite import load_suite, locate_suite

    found = load_suite(locate_suite(suite))
    if found.samples.get("source") == "glyph-world":
        return None
    return not_asked([parse_metric(id) for id in found.metrics])


def weights_app(guard: Guard) -> typer.Typer:
    """The command with its own command ``get``; `guard` makes errors one line."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

    @app.callback(invoke_without_command=True)
    @guard
    def weights(
        context: typer.Context,
        suite: Annotated[
            str | None, typer.Option("--for", help="Only what this suite needs.")
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    ) -> None:
        """List encoders, the metrics they unlock, size, licence, revision, and where their weights
        are or how to get them. Nothing is downloaded.
        """
        if context.invoked_subcommand is None:
            _show(rows(encoders_of(suite) if suite else None), as_json=as_json)
            if suite and (lacking := _not_asked(suite)):
                say(lacking, err=True)

    @app.command()
    @guard
    def get(
        names: Annotated[list[str], typer.Argument(help="Encoders, or: minimum.")],
        to: Annotated[
            Path | None, typer.Option(help="Folder; where encoders look if not given.")
        ] = None,
    ) -> None:
        """Download weights at pinned revisions and check their sha256."""
        from eval.encoders.downloads import get as download
        from eval.encoders.downloads import published
        from eval.encoders.published import MINIMUM

        wanted = [id for name in names for id in (MINIMUM if name == "minimum" else (name,))]
        for id in wanted:
            published(id)
        for id in wanted:
            say(f"{id}: {download(id, to)}")

    return app


def _show(found: list[Row], *, as_json: bool) -> None:
    from rich.table import Table

    from eval.encoders.published import MINIMUM

    if as_json:
        say(json.dumps([row._asdict() for row in found], indent=1))
        return
    table = Table(
        "encoder", "MB", "licence", "revision", "weights", "unlocks", box=None, pad_edge=False
    )
    table.columns[0].no_wrap = True
    for row in found:
        size = "" if row.megabytes is None else str(row.megabytes)
        table.add_row(
            row.encoder,
            size,
            row.licence,
            row.revision[:16],
            row.found or "missing",
            ", ".join(row.unlocks),
        )
    show(table)
    missing = [row for row in found if row.found is None]
    for row in missing:
        licence = f" ({row.licence})" if "NC" in row.licence or "Non" in row.licence else ""
        way = row.get or "bring it yourself; docs/weights.md says how"
        say(f"{row.encoder}{licence}: {way}")
    if missing:
        listed = ", ".join(MINIMUM)
        say(
            "i2v-eval weights get NAME... downloads and checks them; `i2v-eval weights get minimum`"
            f" gets {listed}: identity, text and motion of photographs"
        )
