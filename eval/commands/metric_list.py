"""``i2v-eval metrics``: the metric ids and what they mean."""

from __future__ import annotations

from typing import Annotated

import typer

from eval.io.console import show


def metrics(
    id: Annotated[
        str | None, typer.Argument(help="A metric id, to be told everything about it.")
    ] = None,
) -> None:
    """List the metric ids, what they mean and which direction is better; or print one in full:
    metrics ID.
    """
    from rich.table import Table

    from eval.commands.describe import BETTER, describe
    from eval.measure.catalogue import catalogue, parse_metric

    if id is not None:
        table = Table("", "", box=None, pad_edge=False, show_header=False)
        table.columns[0].no_wrap = True
        for key, value in describe(parse_metric(id)):
            table.add_row(key, value)
    else:
        table = Table(
            "id", "per", "unit", "better", "description", "source", box=None, pad_edge=False
        )
        table.columns[0].no_wrap = True
        for metric in catalogue():
            better = BETTER[metric.higher_is_better]
            table.add_row(
                metric.id, metric.scope, metric.unit, better, metric.description, metric.source
            )
    show(table)
