"""The renderer against its own ground truth, and the sets of glyphs."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from eval.world.control import position_maps
from eval.world.control import scene_of as truth_scene
from eval.world.glyphs import GLYPHS, SEEN, UNSEEN, mask, wild_characters
from eval.world.scenes import MOTIONS, caption, describe, render, render_frame, sample_scene


def scene_of(motion: str, seed: int = 3, glyph: str = "heart"):
    return sample_scene(np.random.default_rng(seed), glyphs=[glyph], motions=[motion])


def test_glyph_sets_share_no_shape():
    assert len(SEEN) >= 24
    assert len(UNSEEN) >= 12
    assert not set(SEEN.values()) & set(UNSEEN.values())
    assert not set(wild_characters()) & set(GLYPHS.values())


def test_glyphs_are_drawn_and_differ_from_each_other():
    masks = {name: mask(character).ravel() for name, character in GLYPHS.items()}
    for name, coverage in masks.items():
        assert coverage.mean() > 0.15, f"{name} is nearly blank"
    for one, other in combinations(masks, 2):
        assert np.corrcoef(masks[one], masks[other])[0, 1] < 0.93, f"{one} looks like {other}"


def test_a_scene_is_a_function_of_its_seed():
    assert sample_scene(np.random.default_rng(5)) == sample_scene(np.random.default_rng(5))
    assert sample_scene(np.random.default_rng(5)) != sample_scene(np.random.default_rng(6))


def test_render_frame_gives_the_bytes_of_render():
    scene = scene_of("rotate")
    rendered = render(scene)
    painted, inside = render_frame(scene, 5)
    assert np.array_equal(painted, rendered.frames[5])
    assert np.array_equal(inside, rendered.masks[5])


DIRECTIONS = [("left", (-1, 0)), ("right", (1, 0)), ("up", (0, -1)), ("down", (0, 1))]


@pytest.mark.parametrize(("motion", "direction"), DIRECTIONS)
def test_translation_moves_the_centre_of_mass_by_the_flow(motion, direction):
    scene = scene_of(motion)
    _, masks, flow = render(scene)
    rows, columns = np.mgrid[0:64, 0:64]
    centres = [np.array([(columns * m).sum(), (rows * m).sum()]) / m.sum() for m in masks[:3]]
    expected = scene.speed * np.array(direction)
    assert np.diff(centres, axis=0) == pytest.approx(np.stack([expected, expected]), abs=0.05)
    inside = masks[0] > 0.5
    assert flow[0][inside] == pytest.approx(np.broadcast_to(expected, (inside.sum(), 2)), abs=1e-4)
    assert not flow[0][~inside].any()


@pytest.mark.parametrize("motion", list(MOTIONS))
def test_flow_carries_the_glyph_onto_the_next_frame(motion):
    _, masks, flow = render(scene_of(motion, glyph="king"))
    rows, columns = np.nonzero(masks[2] > 0.99)
    landed = np.stack([rows, columns], axis=1) + flow[2][rows, columns][:, ::-1]
    nearest = np.rint(landed).astype(int)
    visible = ((nearest >= 0) & (nearest < 64)).all(axis=1)
    assert (masks[3][tuple(nearest[visible].T)] > 0.4).mean() > 0.99


def test_a_still_scene_does_not_move():
    frames, _, flow = render(scene_of("still"))
    assert (frames == frames[0]).all()
    assert np.abs(flow).max() < 1e-5


def test_growth_and_rotation_have_the_stated_speed():
    grow = scene_of("grow", glyph="square")
    areas = render(grow).masks.sum(axis=(1, 2))
    sides = np.sqrt(areas)
    assert (sides[3] - sides[0]) / 3 == pytest.approx(grow.speed, rel=0.05)
    turn = scene_of("rotate", glyph="square")
    assert render(turn).masks.sum(axis=(1, 2)) == pytest.approx(
        render(turn).masks[0].sum(), rel=0.02
    )


def test_captions():
    assert (
        describe("orange", "star", "left", "navy")
        == "an orange star moving left over a navy background"
    )
    scene = scene_of("still")
    assert caption(scene) == describe(scene.colour, "heart", "still", scene.background)


def test_wild_shapes_carry_unseen_names():
    scene = sample_scene(np.random.default_rng(1), wild=1.0)
    assert scene.glyph in UNSEEN
    assert scene.character not in GLYPHS.values()


def test_drawn_shapes_are_solid_and_differ():
    import cv2

    from eval.world.shapes import shape

    drawn = [shape(number) for number in range(60)]
    assert all(np.array_equal(shape(number), drawn[number]) for number in (0, 17, 59))
    assert len({image.tobytes() for image in drawn}) == 60
    for image in drawn:
        assert set(np.unique(image)) == {0, 255}
        _, _, width, height = cv2.boundingRect(image)
        assert (image > 0).sum() > 0.3 * max(width, height) ** 2
        assert cv2.connectedComponents(image)[0] == 2  # the ground and one piece


def test_no_frames_is_an_error():
    with pytest.raises(ValueError, match="at least 1"):
        render(scene_of("still"), frames=0)


@pytest.mark.parametrize("motion", sorted(MOTIONS))
def test_twice_as_large_is_the_same_scene_at_twice_the_frames(motion: str):
    small = scene_of(motion)
    large = small.enlarged(128)
    assert small.enlarged(64) == small
    assert large.enlarged(64) == small
    one, other = render(small, 4), render(large, 8)
    assert other.frames.shape == (8, 128, 128, 3)
    halved = other.masks[::2].reshape(4, 64, 2, 64, 2).mean(axis=(2, 4))
    assert np.abs(halved - one.masks).max() < 0.15  # of edges, drawn finer
    assert np.abs(halved - one.masks).mean() < 0.002
    pixels = other.frames[::2].reshape(4, 64, 2, 64, 2, 3).mean(axis=(2, 4))
    assert np.abs(pixels - one.frames).mean() < 1.0
    assert "side" not in small.truth()
    assert truth_scene(large.truth()) == large
    assert truth_scene(small.truth()) == small
    maps = position_maps(large.truth(), 2)
    assert maps.shape == (2, 128, 128, 3)
    inside = maps[0, ..., 0] > 127
    rows, columns = np.nonzero(inside)
    assert columns.mean() + 0.5 == pytest.approx(large.x, abs=0.3)
    assert rows.mean() + 0.5 == pytest.approx(large.y, abs=0.3)
    assert inside.sum() == pytest.approx(np.pi * large.size**2 / 4, rel=0.05)


def test_enlarged_flow_is_the_step_between_poses():
    large = scene_of("left").enlarged(128)
    rendered = render(large, 2)
    moved = rendered.flow[0][rendered.masks[0] > 0.5]
    assert moved == pytest.approx(np.tile([-large.speed, 0.0], (len(moved), 1)), abs=1e-4)
