"""Corruptions do what they say, and the motion that is known of the clips is true."""

import dataclasses

import cv2
import numpy as np
import pytest

from eval.calibration.corruptions import CORRUPTIONS, Corrupted, CorruptedSettings
from eval.calibration.material import CAMERA, GLYPH, film, samples, unrelated, wrong_prompt
from eval.clips.lossless import Clip
from eval.errors import EvalError
from eval.samples import Sample


@pytest.fixture(scope="module")
def material() -> list[Sample]:
    return samples(8)


def corrupted(sample: Sample, name: str, strength: float) -> np.ndarray:
    return CORRUPTIONS[name].apply(sample, strength, np.random.default_rng(3))


def of_group(material: list[Sample], group: str) -> list[Sample]:
    return [sample for sample in material if sample.group == group]


def moving(material: list[Sample]) -> list[Sample]:
    return [sample for sample in material if sample.truth.get("motion") != "still"]


def test_groups_and_their_sizes(material: list[Sample]) -> None:
    assert (len(of_group(material, GLYPH)), len(of_group(material, CAMERA))) == (8, 4)
    assert len({sample.id for sample in material}) == 12
    for sample in material:
        assert sample.clip is not None
        np.testing.assert_array_equal(film(sample).frames, sample.clip.frames)
        np.testing.assert_array_equal(sample.clip.frames[0], sample.image)


def test_a_pan_of_whole_pixels_shifts_the_picture(material: list[Sample]) -> None:
    camera = of_group(material, CAMERA)[0]
    pan = dataclasses.replace(
        camera, truth=dict(camera.truth) | {"dx": 2.0, "dy": -1.0, "zoom": 1.0}
    )
    frames, flow = film(pan)
    for index in range(1, len(frames)):
        np.testing.assert_array_equal(frames[index][:-1, 2:], frames[index - 1][1:, :-2])
    np.testing.assert_array_equal(flow, np.broadcast_to(np.float32([2.0, -1.0]), flow.shape))


def test_the_flow_of_every_camera_leads_to_the_next_frame(material: list[Sample]) -> None:
    rows, columns = np.mgrid[0:64, 0:64].astype(np.float32)
    for sample in of_group(material, CAMERA):
        frames, flow = film(sample)
        assert np.hypot(*np.moveaxis(flow, -1, 0)).mean() > 0.3
        for first, second, field in zip(frames[:-1], frames[1:], flow, strict=True):
            back = cv2.remap(
                second, columns + field[..., 0], rows + field[..., 1], cv2.INTER_CUBIC
            )[8:-8, 8:-8]
            left, standing = first[8:-8, 8:-8].astype(int), second[8:-8, 8:-8]
            assert np.abs(back - left).mean() < 0.35 * np.abs(standing - left).mean()


def test_speed_scales_the_flow(material: list[Sample]) -> None:
    pans = [sample for sample in of_group(material, CAMERA) if sample.truth["zoom"] == 1.0]
    for sample in pans:
        np.testing.assert_allclose(film(sample, speed=0.5).flow, 0.5 * film(sample).flow, rtol=1e-5)
    for sample in material:
        assert np.ptp(corrupted(sample, "slower", 1.0), axis=0).max() == 0


def test_identity_swap_fades_to_another_subject_and_keeps_the_first_frame(
    material: list[Sample],
) -> None:
    for sample in material:
        assert sample.clip is not None
        whole, half = (
            corrupted(sample, "identity swap", 1.0),
            corrupted(sample, "identity swap", 0.5),
        )
        np.testing.assert_array_equal(whole[0], sample.image)
        middle = (sample.clip.frames[1:].astype(float) + whole[1:]) / 2
        assert np.abs(half[1:] - middle).max() <= 0.5
        assert np.abs(whole[1:].astype(int) - sample.clip.frames[1:]).mean() > 3


def test_a_third_of_a_turn_of_hue_exchanges_the_channels(material: list[Sample]) -> None:
    for sample in material:
        turned = corrupted(sample, "colour shift", 120.0)
        assert sample.clip is not None
        np.testing.assert_array_equal(turned, sample.clip.frames[..., [2, 0, 1]])


def test_noise_has_its_strength(material: list[Sample]) -> None:
    grey = Clip(np.full((8, 64, 64, 3), 128, np.uint8), 8.0)
    noisy = corrupted(dataclasses.replace(material[0], clip=grey), "noise", 16.0)
    assert np.std(noisy.astype(float)) == pytest.approx(16.0, rel=0.02)


def test_blur_keeps_the_mean_and_takes_the_detail(material: list[Sample]) -> None:
    rng = np.random.default_rng(0)
    fine = Clip(rng.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8), 8.0)
    blurred = corrupted(dataclasses.replace(material[0], clip=fine), "blur", 2.0).astype(float)
    assert blurred.mean() == pytest.approx(fine.frames.mean(), abs=1)
    # white noise through a Gaussian of standard deviation s keeps 1 / (4 pi s^2) of its variance
    assert blurred.var() == pytest.approx(fine.frames.var() / (4 * np.pi * 4), rel=0.15)


def test_shuffled_and_dropped_frames(material: list[Sample]) -> None:
    for sample in moving(material):
        assert sample.clip is not None
        frames = sample.clip.frames
        shuffled = corrupted(sample, "frame shuffle", 1.0)
        np.testing.assert_array_equal(shuffled[0], frames[0])
        assert not any(np.array_equal(a, b) for a, b in zip(shuffled[1:], frames[1:], strict=True))
        assert sorted(frame.tobytes() for frame in shuffled) == sorted(
            frame.tobytes() for frame in frames
        )
        halting = corrupted(sample, "dropped frames", 0.6)
        repeated = [np.array_equal(halting[i], halting[i - 1]) for i in range(1, len(halting))]
        assert sum(repeated) == 4
        assert np.ptp(corrupted(sample, "dropped frames", 1.0), axis=0).max() == 0


def test_compression_costs_more_at_a_higher_factor(material: list[Sample]) -> None:
    for sample in (material[0], material[-1]):
        assert sample.clip is not None
        true = sample.clip.frames.astype(int)
        errors = [
            np.abs(corrupted(sample, "compression", factor) - true).mean() for factor in (18, 48)
        ]
        assert 0 < errors[0] < errors[1]


def test_wrong_words_are_as_many_as_said(material: list[Sample]) -> None:
    for sample in of_group(material, GLYPH):
        truth = sample.truth
        for words, kept in ((1, ("background", "glyph")), (2, ("glyph",)), (4, ())):
            prompt = wrong_prompt(sample, words).prompt
            assert str(truth["colour"]) not in prompt.split()
            assert all(str(truth[name]) in prompt for name in kept)
        assert wrong_prompt(sample, 3).prompt == wrong_prompt(sample, 3).prompt


def test_an_unrelated_clip_is_another(material: list[Sample]) -> None:
    for sample in material:
        assert np.abs(unrelated(sample, 5).astype(int)[0] - sample.image).mean() > 5


def test_an_unknown_corruption_is_named() -> None:
    with pytest.raises(EvalError, match=r"unknown corruption 'blurr'.*Did you mean 'blur'"):
        Corrupted(CorruptedSettings(corruption="blurr", strength=1.0))
