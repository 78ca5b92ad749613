"""What is asked of a file before it is opened."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from i2v_adapter.media.errors import MediaError

MAX_FRAME = 8192 * 8192
"""Pixels of the largest frame or image that is decoded."""


def check_regular(path: Path) -> None:
    """Raises MediaError unless `path` is a regular file that is not empty. Pipes and devices are
    refused: reading them might never end.
    """
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise MediaError("no such file") from error
    except OSError as error:
        raise MediaError(f"cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(status.st_mode):
        raise MediaError("not a regular file")
    if status.st_size == 0:
        raise MediaError("the file is empty (0 bytes)")
