"""What the colour description of a frame means for its RGB values."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2v_adapter.media.errors import MediaError

HDR = {16: "PQ (SMPTE ST 2084)", 18: "HLG (ARIB STD-B67)"}
"""Transfer characteristics of HDR video, by their number in ITU-T H.273."""

_NOT_FOR_DISPLAY = {8: "linear", 9: "logarithmic", 10: "logarithmic", 17: "SMPTE ST 428-1"}
_MATRICES = {1, 2, 4, 5, 6, 7, 9}
"""Matrix coefficients that are converted: BT.709, not stated (as BT.601), FCC, BT.601 (two
numbers), SMPTE 240M, BT.2020."""
_WIDE = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
WHITE = 203.0
"""cd/m2 of diffuse white in HDR video (ITU-R BT.2408); it becomes the 255 of the 8-bit frames."""
_PEAK = 1000.0
"""cd/m2 of the display that HLG is shown on."""
_TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)
"""Linear BT.2020 to BT.709 (ITU-R BT.2087)."""


def check_colour(frame: Any, *, tone_map: bool) -> list[str]:
    """Notes on the colours of a decoded frame.

    Raises:
        MediaError: colours that cannot be converted right: HDR unless `tone_map`, and matrices or
            transfer characteristics that are not those of finished video.
    """
    notes = []
    is_rgb = frame.format.is_rgb or len(frame.format.components) < 3
    if not is_rgb and frame.colorspace not in _MATRICES:
        raise MediaError(
            f"its colour matrix (number {frame.colorspace} of ITU-T H.273) is not supported; "
            "convert it to BT.709"
        )
    if frame.color_trc in _NOT_FOR_DISPLAY:
        raise MediaError(
            f"its values are {_NOT_FOR_DISPLAY[frame.color_trc]}, not meant for display; convert "
            "it to BT.709"
        )
    if frame.side_data.get("DOVI_METADATA") is not None and frame.color_trc not in HDR:
        raise MediaError("it is Dolby Vision without a base layer; convert it to SDR (BT.709)")
    if frame.color_trc in HDR:
        name = HDR[frame.color_trc]
        if not tone_map:
            raise MediaError(
                f"it is HDR video, {name}, which 8-bit frames do not show as it looks; convert it "
                "to SDR (BT.709), or choose hdr 'tone-map'"
            )
        if frame.color_primaries not in (2, 9):
            raise MediaError(f"it is HDR video, {name}, with other primaries than BT.2020")
        notes.append(
            f"HDR, {name}, was tone-mapped: {WHITE:.0f} cd/m2 became white, what is brighter or "
            "outside BT.709 was clipped"
        )
    elif frame.color_primaries in _WIDE:
        notes.append(f"{_WIDE[frame.color_primaries]} primaries were read as those of BT.709")
    if not is_rgb and frame.colorspace == 2:
        notes.append("no colour matrix is stated; it was read as BT.601")
    return notes


def tone_mapped(pixels: NDArray[np.uint16], transfer: int) -> NDArray[np.uint8]:
    """HDR as SDR: light on the display, BT.709 primaries, diffuse white as 255, sRGB's curve.

    Args:
        pixels: (H, W, 3), R'G'B' of BT.2020 over the whole range of 16 bits.
        transfer: a key of `HDR`.

    Returns:
        uint8 (H, W, 3). Light above diffuse white and colours outside BT.709 are clipped.
    """
    light = _curve(transfer)[pixels]
    if transfer == 18:  # scene light; on the display, luminance has a power of 1.2 (BT.2100)
        luminance = light @ np.array([0.2627, 0.6780, 0.0593], np.float32)
        light = light * luminance[..., None] ** 0.2 * np.float32(_PEAK)
    linear = np.clip(light / np.float32(WHITE) @ _TO_709.T.astype(np.float32), 0, 1)
    encoded = np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055
    )
    return np.rint(encoded * 255).astype(np.uint8)


@cache
def _curve(transfer: int) -> NDArray[np.float32]:
    """Light for each of the 65536 values: cd/m2 for PQ, scene light in [0, 1] for HLG (ITU-R
    BT.2100).
    """
    value = np.arange(65536) / 65535.0
    if transfer == 16:
        root = value ** (1 / 78.84375)
        ratio = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
        return (10000 * ratio ** (1 / 0.1593017578125)).astype(np.float32)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(value <= 0.5, value**2 / 3, (np.exp((value - c) / a) + b) / 12)
    return scene.astype(np.float32)
