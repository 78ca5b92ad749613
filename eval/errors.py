"""Errors meant for the user: one line that names the thing, its value and the way out."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

SOME_FAILED = 3
"""Exit code of a command in which some clips failed and the rest went on."""
_LONGEST = 400
"""Letters of a word that is printed whole: more than any file's name has."""


class EvalError(Exception):
    """Something the user can put right. The command line prints the message alone and leaves with
    ``exit_code``.
    """

    exit_code: int = 2


class WeightsMissingError(EvalError):
    """An encoder's or a method's weights are neither in the local folder nor in the hub cache."""


class ClipError(EvalError):
    """A clip could not be made or measured. What was stored stays, so the same command goes on from
    there.
    """

    exit_code = 1


class StoreError(EvalError):
    """The run folder cannot be read or written. Unlike a clip's failure, it ends the run."""


def one_line(text: str) -> str:
    """``text`` without line breaks and the middle of endless words, ``?`` for what a terminal would
    obey, not show.
    """
    words = (
        word if len(word) <= _LONGEST else f"{word[:100]}...{word[-100:]}" for word in text.split()
    )
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(words))


def nearest(name: str, choices: Iterable[str]) -> str:
    """Suggests the choice most like ``name``.

    Args:
        name: what the user wrote.
        choices: the valid names.

    Returns:
        ``" Did you mean 'x'?"`` (with its leading space), or ``""`` if nothing is similar.

    >>> nearest("still-imag", ["still-image", "true-clip"])
    " Did you mean 'still-image'?"
    """
    folded = {choice.lower(): choice for choice in choices}
    close = get_close_matches(name.lower(), list(folded), n=1, cutoff=0.5)
    return f" Did you mean '{folded[close[0]]}'?" if close else ""
