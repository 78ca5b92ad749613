"""A contact sheet: one still picture of what a run made, for a README, a message or a slide."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from eval.clips.strip import film_strip
from eval.errors import EvalError
from reports.page.clips import choose_samples
from reports.run.sweeps import home

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from reports.run.folder import RunFolder

_FRAMES = 8
_SIDE = 96  # px, height of one frame on the sheet
_GAP = 2
_LABEL_WIDTH = 200
_LINE = 18


def sheet_rows(run: RunFolder) -> list[str]:
    """The cells a sheet shows, top to bottom: the true clip, the reference, then every other cell
    that competes, of another sweep the first one; the anchors where nothing competes.
    """
    own = home(run, run.reference) if run.reference else None
    siblings = set(own.cells.values()) if own else set()
    shown: dict[str, str] = {}
    for cell in run.competing:
        if cell == run.reference or cell not in siblings:
            shown.setdefault(_entry(run, cell), cell)
    rivals = sorted(shown.values(), key=lambda cell: cell != run.reference)
    truths = [cell for cell in run.cells if run.methods[cell] == "true-clip"]
    others = [cell for cell in run.cells if run.is_anchor(cell) and cell not in truths]
    return [*truths, *(rivals or others)]


def _entry(run: RunFolder, cell: str) -> str:
    """The sheet's entry of a cell: its sweep, or the cell itself if it is in no sweep."""
    sweep = home(run, cell)
    return f"sweep {sweep.name}" if sweep else f"cell {cell}"


def render_sheet(run: RunFolder, *, samples: int = 3) -> bytes:
    """A PNG: for each sample its prompt, then a row of frames for each cell with a clip of it,
    frame 0 at the left.

    Args:
        run: the run folder.
        samples: how many samples, groups taking turns.
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
            f"“{row['prompt']}”  ({row['group']}{' glyph' if run.glyph_world else ''})",
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
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _strips(run: RunFolder, cells: Sequence[str], sample: str) -> dict[str, NDArray[np.uint8]]:
    """Of each cell that has a clip of the sample: up to `_FRAMES` frames side by side, `_SIDE` px
    high.
    """
    strips = {}
    for cell in cells:
        try:
            clip = run.cell_clip(cell, sample)
            if clip is not None:
                strips[cell] = film_strip(clip.frames, side=_SIDE, gap=_GAP, most=_FRAMES)
        except (EvalError, OSError, ValueError, MemoryError) as error:
            strips[cell] = _said(str(error))
    return strips


def _said(reason: str) -> NDArray[np.uint8]:
    """A grey box with the reason, where a clip cannot be shown."""
    import textwrap

    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    box = Image.new("RGB", (4 * _SIDE, _SIDE), "#dddddd")
    text = "\n".join(textwrap.wrap(f"cannot be shown: {reason}", 60)[:6])
    ImageDraw.Draw(box).text((6, 6), text, fill="black", font=ImageFont.load_default(11))
    return np.asarray(box)
