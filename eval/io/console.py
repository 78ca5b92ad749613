"""Where tables are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def table_console() -> Console:
    """Standard output: a terminal at its own width; a file or pipe at 240 columns, so that no row
    is broken."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=240)
