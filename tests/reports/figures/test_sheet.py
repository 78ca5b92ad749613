"""The contact sheet shows the clips of the run, not others."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from reports.figures.sheet import render_sheet, sheet_rows
from reports.page.clips import choose_samples
from reports.run.load import load_run


def test_rows_are_the_true_clip_the_reference_and_one_row_for_each_other_method(
    run_folder: Path,
) -> None:
    assert sheet_rows(load_run(run_folder)) == [
        "true-clip",
        "i2v-adapter[t0=1.0,p=0.5]",
        "content-adapter",
    ]


def test_every_strip_starts_with_frame_0_and_ends_with_the_last(run_folder: Path) -> None:
    run = load_run(run_folder)
    sheet = np.asarray(Image.open(io.BytesIO(render_sheet(run, samples=2))))
    for block, sample in enumerate(choose_samples(run)[:2]):
        for line, cell in enumerate(sheet_rows(run)):
            clip = run.cell_clip(cell, sample)
            assert clip is not None
            top = block * (36 + 3 * 98) + 36 + line * 98
            strip = sheet[top : top + 96, 200:]
            height, width = clip.frames.shape[1:3]
            side = round(width * 96 / height)
            shown = min(8, len(clip.frames))
            for position, frame in ((0, 0), (shown - 1, -1)):
                part = strip[:, position * (side + 2) :][:, :side]
                assert (
                    np.abs(part.mean(axis=(0, 1)) - clip.frames[frame].mean(axis=(0, 1))).max()
                    < 1.5
                )


def test_a_cell_without_a_clip_of_the_sample_takes_no_row(own_run_folder: Path) -> None:
    whole = Image.open(io.BytesIO(render_sheet(load_run(own_run_folder), samples=1)))
    sample = choose_samples(load_run(own_run_folder))[0]
    records = own_run_folder / "records.csv"
    lines = records.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [
        line for line in lines if not line.startswith(f"content-adapter,content-adapter,{sample},")
    ]
    assert len(kept) < len(lines)
    records.write_text("".join(kept), encoding="utf-8")
    fewer = Image.open(io.BytesIO(render_sheet(load_run(own_run_folder), samples=1)))
    assert (fewer.width, fewer.height) == (whole.width, whole.height - 98)
