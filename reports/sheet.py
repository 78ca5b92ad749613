"""A contact sheet: one still picture of what a run made, for a README, a message or a slide."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from eval.strip import film_strip
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
    """The cells a sheet shows, top to bottom: the true clip, the reference, then one row for each other method."""
    reference = run.reference or next(cell for cell in run.cells if not run.is_anchor(cell))
    others = [cell for cell in run.cells if not run.is_anchor(cell) and run.methods[cell] != run.methods[reference]]
    return [cell for cell in run.cells if run.methods[cell] == "true-clip"] + [reference, *others]


def render_sheet(run: RunFolder, *, samples: int = 3) -> bytes:
    """A PNG: for each sample its prompt, then a row of frames for each cell, frame 0 at the left.

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
    strips = {(sample, cell): _strip(run, cell, sample) for sample in shown for cell in rows}
    width = _LABEL_WIDTH + max(strip.shape[1] for strip in strips.values())
    block = 2 * _LINE + len(rows) * (_SIDE + _GAP)
    sheet = Image.new("RGB", (width + 2 * _GAP, len(shown) * block), "white")
    draw = ImageDraw.Draw(sheet)
    for index, sample in enumerate(shown):
        top = index * block
        row = run.samples[run.samples["id"] == sample].iloc[0]
        draw.text((_GAP, top + _LINE // 2), f"“{row['prompt']}”  ({row['group']} glyph)", fill="black", font=font)
        for line, cell in enumerate(rows):
            y = top + 2 * _LINE + line * (_SIDE + _GAP)
            draw.text((_GAP, y + _SIDE // 2), cell.replace("[", "\n["), fill="black", font=font, anchor="lm")
            sheet.paste(Image.fromarray(strips[sample, cell]), (_LABEL_WIDTH, y))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _strip(run: RunFolder, cell: str, sample: str) -> NDArray[np.uint8]:
    """Up to `_FRAMES` frames of a cell's clip, spread over it, side by side, `_SIDE` px high."""
    import numpy as np

    clip = run.cell_clip(cell, sample)
    if clip is None:
        return np.full((_SIDE, _SIDE, 3), 255, np.uint8)
    return film_strip(clip.frames, side=_SIDE, gap=_GAP, most=_FRAMES)
