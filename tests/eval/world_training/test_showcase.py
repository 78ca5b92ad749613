"""The sample page: every frame of every clip lies where the sheet says, and the table states the
cards.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from eval.clips.strip import film_strip
from eval.world.cards import write_card
from eval.world_training.context import Context
from eval.world_training.showcase import draw_sheet, figure_table


def test_a_strip_shows_the_frames_in_order():
    frames = np.stack([np.full((4, 6, 3), 10 * k, np.uint8) for k in range(8)])
    strip = film_strip(frames, side=4, gap=1)
    assert strip.shape == (4, 8 * 7, 3)
    assert [int(strip[2, 7 * k + 3, 0]) for k in range(8)] == [0, 10, 20, 30, 40, 50, 60, 70]
    assert (strip[:, 6] == 255).all()


def test_a_long_clip_is_spread_from_its_first_to_its_last_frame():
    frames = np.stack([np.full((4, 4, 3), k, np.uint8) for k in range(101)])
    strip = film_strip(frames, side=4, gap=0, most=5)
    assert [int(strip[0, 4 * k, 0]) for k in range(5)] == [0, 25, 50, 75, 100]


def test_a_sheet_holds_every_clip(tmp_path):
    clips = [np.full((2, 64, 64, 3), value, np.uint8) for value in (40, 80, 120)]
    draw_sheet([(str(value[0, 0, 0]), value) for value in clips], tmp_path / "sheet.png")
    drawn = np.asarray(Image.open(tmp_path / "sheet.png"))
    for value in (40, 80, 120):
        assert (drawn == value).all(axis=-1).sum() >= 2 * 64 * 64


def test_the_table_states_cards_and_bars(tmp_path):
    (tmp_path / "dino").mkdir()
    write_card(tmp_path / "dino", figures={"nearest_of_64_unseen": 0.95, "unbarred": 3.0})
    (tmp_path / "vae").mkdir()
    write_card(tmp_path / "vae", figures={"psnr_unseen": 27.0})
    table = figure_table(Context(tmp_path, tmp_path, None, ""))
    assert "| nearest_of_64_unseen | dino | 0.95 | 0.9 | reached |" in table
    assert "| psnr_unseen | vae | 27 | 28 | **missed** |" in table
    assert "unbarred" not in table
