"""From stored to shown pixels: display matrix and sample aspect ratio."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from i2v_adapter.media.errors import MediaError


class Orientation(NamedTuple):
    """Exchange of rows and columns, then mirroring; in this order."""

    transposed: bool = False
    left_to_right: bool = False
    top_to_bottom: bool = False

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture as shown: (H, W, C), or (W, H, C) where rows and columns are exchanged."""
        if self.transposed:
            pixels = pixels.swapaxes(0, 1)
        if self.left_to_right:
            pixels = pixels[:, ::-1]
        if self.top_to_bottom:
            pixels = pixels[::-1]
        return np.ascontiguousarray(pixels)

    def __str__(self) -> str:
        """What was done, for a note; empty if nothing was."""
        if self in _TURNS:
            return f"turned by {_TURNS[self]} degrees" if _TURNS[self] else ""
        return _MIRRORS[self]


_TURNS = {
    Orientation(False, False, False): 0,
    Orientation(True, False, True): 90,
    Orientation(False, True, True): 180,
    Orientation(True, True, False): -90,
}
"""Counterclockwise, in degrees."""
_MIRRORS = {
    Orientation(False, True, False): "mirrored left to right",
    Orientation(False, False, True): "mirrored top to bottom",
    Orientation(True, False, False): "mirrored along the diagonal",
    Orientation(True, True, True): "mirrored along the other diagonal",
}


def orientation(matrix: bytes | None) -> Orientation:
    """What the display matrix of a frame says.

    Args:
        matrix: nine 32-bit integers in the machine's byte order, row by row, as in FFmpeg's
            `AV_FRAME_DATA_DISPLAYMATRIX`: a stored pixel (x, y) is shown at
            (a x + c y, b x + d y) for the rows (a, b, u), (c, d, v), (s, t, w). None: as stored.

    Raises:
        MediaError: a turn by anything but a multiple of 90 degrees, or no turn at all.
    """
    if matrix is None:
        return Orientation()
    a, b, _, c, d = (float(value) for value in np.frombuffer(matrix, np.int32)[:5])
    for main, side, transposed in (((a, d), (b, c), False), ((b, c), (a, d), True)):
        if min(map(abs, main)) > 50 * max(map(abs, side)):
            across, down = (main[1], main[0]) if transposed else main
            return Orientation(transposed, across < 0, down < 0)
    turn = np.degrees(np.arctan2(-b, a))
    raise MediaError(
        f"its display matrix (a turn by {turn:.0f} degrees) is not supported; quarter turns and "
        "mirrors are"
    )


def square_width(width: int, aspect: Fraction | None) -> int:
    """The width in square pixels of a picture of `width` pixels of that shape, at equal height.

    Args:
        width: px, as stored.
        aspect: width of a pixel by its height; None or 0: not stated, square.

    Raises:
        MediaError: pixels so far from square that it must be an error.
    """
    if not aspect or aspect <= 0:
        return width
    if not Fraction(1, 10) <= aspect <= 10:
        raise MediaError(
            f"pixels {aspect.numerator}:{aspect.denominator} as wide as high (sample aspect "
            "ratio); correct the file's header"
        )
    return max(1, int(width * aspect))  # rounded down, as FFmpeg and mpv do
