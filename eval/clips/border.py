"""Reading of files that others wrote: every error is one line that names the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eval.errors import EvalError
from i2v_adapter.media.errors import MediaError


@contextmanager
def named(path: str | Path) -> Iterator[None]:
    """Every exception in the block becomes an EvalError that names ``path``.

    EvalErrors that name it already pass unchanged. Bytes of a name that are no UTF-8 are shown as
    escapes, so that the message can be written anywhere.
    """
    path = str(path).encode("utf-8", "backslashreplace").decode()
    try:
        yield
    except EvalError as error:
        if type(error) is not EvalError or path in str(error):
            raise
        raise EvalError(f"{path}: {error}") from error
    except MediaError as error:
        raise EvalError(f"{path}: {error}") from error
    except Exception as error:
        text = (str(error).strip().splitlines() or [""])[0][:300]
        reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
        raise EvalError(f"{path}: cannot be read ({reason})") from error
