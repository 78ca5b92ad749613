"""Errors meant for the user: one line that names the thing, its value and what to do."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from difflib import get_close_matches

SOME_FAILED = 3
"""Exit code of a command in which some clips failed and the rest went on."""
_LONGEST = 400
"""Letters of a word that is printed whole: more than any file's name has."""
_LONGEST_REASON = 1000
_LONGEST_TRACEBACK = 20_000


class EvalError(Exception):
    """Something the user can put right. The command line prints the message alone and leaves with
    ``exit_code``.

    Examples:
        >>> from eval import parse_metric
        >>> try:
        ...     parse_metric("idenity.dino_glyph.v1")
        ... except EvalError as error:
        ...     print(str(error).split(";")[0])
        metric 'idenity.dino_glyph.v1': unknown family 'idenity'
    """

    exit_code: int = 2


class WeightsMissingError(EvalError):
    """An encoder's or a method's weights are neither in the local folder nor in the hub cache."""


class NotServedError(EvalError):
    """A base lacks what a method needs. Where a base is given in place of a suite's own, the cells
    that it cannot serve are left out and named.
    """


class ClipError(EvalError):
    """A clip could not be made or measured. What was stored stays, so the same command goes on from
    there.
    """

    exit_code = 1


class StoreError(EvalError):
    """The run folder cannot be read or written. Unlike a clip's failure, it ends the run."""


class Stop(KeyboardInterrupt):
    """Somebody asked this process to stop, by SIGINT or SIGTERM; its argument is the signal's
    number. A KeyboardInterrupt of any other class is the failure of the code that raised it.
    """


class ClipTimeoutError(BaseException):
    """A call took longer than it may. Not an Exception, so that `except Exception` in a method does
    not swallow it.
    """


def reason_of(error: BaseException) -> str:
    """The first line of an exception's message, with its class where it is not written for the
    user: at most 1,000 printable characters, whatever the exception does when it is printed.
    """
    try:
        text = (str(error).strip().splitlines() or ["(no message)"])[0]
    except BaseException as second:
        text = f"(no message: printing it raises {type(second).__name__})"
    if not isinstance(error, EvalError | ClipTimeoutError):
        text = f"{type(error).__name__}: {text}"
    text = _encodable(text[: 2 * _LONGEST_REASON])
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 3]}..."


def traceback_of(error: BaseException) -> str:
    """Its traceback as text, the middle of a long one left out."""
    try:
        text = "".join(traceback.format_exception(error))
    except BaseException:  # its message cannot be printed
        text = "".join(traceback.format_tb(error.__traceback__)) + f"{type(error).__name__}\n"
    if len(text) > _LONGEST_TRACEBACK:
        half = _LONGEST_TRACEBACK // 2
        text = f"{text[:half]}\n...\n{text[-half:]}"
    return _encodable(text)


def _encodable(text: str) -> str:
    """Lone surrogates, which no file can hold, as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


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
