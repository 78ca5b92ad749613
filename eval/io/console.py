"""What is printed: one function for lines, one for tables; nothing in them steers a terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from eval.errors import EvalError

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

WIDTH = 240
"""Columns of a table that is not printed on a terminal."""


class OutputError(EvalError):
    """Standard output cannot be written; what was stored stays."""

    exit_code = 1


def plain(text: str) -> str:
    """``text`` with ``?`` for what a terminal would obey, not show; line ends and tabs stay.

    >>> plain("red \\x1b[31m")
    'red ?[31m'
    """
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def say(text: object, *, err: bool = False) -> None:
    """Prints a line to standard output or error.

    Characters that the stream's encoding lacks are written as ``\\uXXXX``.

    Raises:
        OutputError: the stream cannot be written, as on a full disk. A reader that went away
            (``| head``) is no error: what follows is dropped.
    """
    stream = sys.stderr if err else sys.stdout
    line = plain(str(text)) + "\n"
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        stream.write(line.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except OSError as error:
        _closed(error, err=err)


def show(table: RenderableType) -> None:
    """Prints a rich table to standard output: on a terminal at its own width, else at
    :data:`WIDTH`, so that no row is broken. Its cells are made of :func:`cell`.

    Raises:
        OutputError: as :func:`say`.
    """
    from rich.console import Console

    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    console = Console()
    try:
        (console if console.is_terminal else Console(width=WIDTH)).print(table, markup=False)
        sys.stdout.flush()
    except OSError as error:
        _closed(error, err=False)


def cell(text: object) -> Text:
    """A cell of a table: one line, in which nothing is markup of rich or of a terminal."""
    from rich.text import Text

    return Text(plain(" ".join(str(text).split())))


def _closed(error: OSError, *, err: bool) -> None:
    """Sends what follows to nowhere, so that the interpreter's last flush does not fail, too."""
    stream = sys.stderr if err else sys.stdout
    try:
        number = stream.fileno()
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    except (OSError, ValueError):  # a stream without a file, as in tests
        pass
    if not err and not isinstance(error, BrokenPipeError):
        raise OutputError(f"standard output cannot be written ({error.strerror})") from error


def counted(count: int, noun: str) -> str:
    """
    >>> counted(1, "seed"), counted(2, "seed")
    ('1 seed', '2 seeds')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
