"""A contact sheet: one still picture of what a run made, for a README, a message or a slide."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from eval.clips.strip import film_strip
from reports.clips import choose_samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from reports.load import RunFolder

_FRAMES = 8
_SIDE = 96  # px, height of one frame on the sheet
_GAP = 2
_LABEL_WIDTH = 200
_LINE = 18


def sheet_rows(run: RunFolder) -> list[str]:
    """The cells a sheet shows, top to bottom: the true clip, the reference, then one row for each
    other method.
    """
    reference = run.reference or next(cell for cell in run.cells if not run.is_anchor(cell))
    others = [
        cell
        for cell in run.cells
        if not run.is_anchor(cell) and run.methods[cell] != run.methods[reference]
    ]
    return [cell for cell in run.cells if run.methods[cell] == "true-clip"] + [reference, *others]


def render_sheet(run: RunFolder, *, samples: int = 3) -> bytes:
    """A PNG: for each sample its prompt, then a row of frames for each cell with a clip of it,
    frame 0 at the left.

    Args:
        run: the run folder.
        samples: how many samples, groups taking turns.

    Raises:
        EvalError: a clip is missing or unreadable.
    """
    from PIL import Image, ImageDraw, ImageFont

    rows = sheet_rows(run)
    shown = choose_samples(run)[:samples]
    font = ImageFont.load_default(13)
    strips = {sample: _strips(run, rows, sample) for sample in shown}
    width = _LABEL_WIDTH + max(
        (strip.shape[1] for found in strips.values() for strip in found.values()), default=0
    )
    height = sum(2 * _LINE + len(found) * (_SIDE + _GAP) for found in strips.values())
    sheet = Image.new("RGB", (width + 2 * _GAP, height), "white")
    draw = ImageDraw.Draw(sheet)
    top = 0
    for sample, found in strips.items():
        row = run.samples[run.samples["id"] == sample].iloc[0]
        draw.text(
            (_GAP, top + _LINE // 2),
            f"“{row['prompt']}”  ({row['group']} glyph)",
            fill="black",
            font=font,
        )
        top += 2 * _LINE
        for cell, strip in found.items():
            draw.text(
                (_GAP, top + _SIDE // 2),
                cell.replace("[", "\n["),
                fill="black",
                font=font,
                anchor="lm",
            )
            sheet.paste(Image.fromarray(strip), (_LABEL_WIDTH, top))
            top += _SIDE + _GAP
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _strips(run: RunFolder, cells: Sequence[str], sample: str) -> dict[str, NDArray[np.uint8]]:
    """Of each cell that has a clip of the sample: up to `_FRAMES` frames side by side, `_SIDE` px
    high.
    """
    clips = {cell: run.cell_clip(cell, sample) for cell in cells}
    return {
        cell: film_strip(clip.frames, side=_SIDE, gap=_GAP, most=_FRAMES)
        for cell, clip in clips.items()
        if clip is not None
    }
