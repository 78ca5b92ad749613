"""A progress bar with time left on a terminal; a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from eval.io.loading import loaded

PLAIN_INTERVAL = 15.0
"""Seconds between plain lines."""


@contextmanager
def progress(console: Console, title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Shows how far a stage has come.

    Args:
        console: where to; not being a terminal makes it plain lines.
        title: of the stage.
        total: clips in it; with none, nothing is shown.

    Yields:
        ``advance(clips)``, to be called when that many more clips are done.
    """
    if total == 0:
        yield lambda clips: None
    elif console.is_terminal:
        from rich import progress as rich_progress

        columns = (
            rich_progress.TextColumn("{task.description}"),
            rich_progress.BarColumn(),
            rich_progress.MofNCompleteColumn(),
            rich_progress.TimeElapsedColumn(),
            rich_progress.TextColumn("left"),
            rich_progress.TimeRemainingColumn(),
        )
        with rich_progress.Progress(*columns, console=console) as bar:
            task = bar.add_task(title, total=total)
            yield lambda clips: bar.advance(task, clips)
    else:
        yield _without_bar(console, title, total)


def _without_bar(console: Console, title: str, total: int) -> Callable[[int], None]:
    start = last = time.monotonic()
    loading = loaded()[1]  # once, so it says nothing of the clips that are left
    done = 0

    def advance(clips: int) -> None:
        nonlocal done, last
        done += clips
        now = time.monotonic()
        if done >= total or now - last >= PLAIN_INTERVAL:
            last = now
            working = max(now - start - (loaded()[1] - loading), 0.0)
            left = "" if done >= total else f", {duration(working / done * (total - done))} left"
            console.print(
                f"{title}: {done} of {total} clips in {duration(now - start)}{left}",
                highlight=False,
            )

    return advance


def duration(seconds: float) -> str:
    """For a reader: ``3 min 20 s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
