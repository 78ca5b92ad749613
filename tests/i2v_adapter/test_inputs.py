"""Images as people have them: transparency, rotation in EXIF, CMYK, 16 bits."""

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from i2v_adapter.pipelines.inputs import image_list


def only(image: Any) -> np.ndarray:
    [result] = image_list(image)
    assert isinstance(result, Image.Image)
    assert result.mode == "RGB"
    return np.asarray(result)


def test_transparency_is_put_on_white() -> None:
    pixels = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [10, 20, 30, 128]]], np.uint8)
    clear, gone, half = only(Image.fromarray(pixels))[0]
    assert clear.tolist() == [10, 20, 30]
    assert gone.tolist() == [255, 255, 255]
    np.testing.assert_allclose(half, np.array([10, 20, 30]) * 128 / 255 + 255 * 127 / 255, atol=1)
    palette = Image.fromarray(pixels[..., :3]).quantize(2)
    palette.info["transparency"] = palette.getpixel((0, 0))
    assert only(palette)[0, 0].tolist() == [255, 255, 255]


def test_rotation_in_exif_is_carried_out() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 3), np.uint8)
    image, file = Image.fromarray(pixels), io.BytesIO()
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    image.save(file, "PNG", exif=exif)
    np.testing.assert_array_equal(only(Image.open(file)), np.rot90(pixels, -1))


def test_cmyk_and_grey() -> None:
    assert only(Image.new("CMYK", (1, 1), (0, 255, 255, 0)))[0, 0].tolist() == [255, 0, 0]
    assert only(Image.new("L", (1, 1), 7))[0, 0].tolist() == [7, 7, 7]


@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_sixteen_bits_become_eight(mode: str) -> None:
    levels = np.array([[0, 257, 25700, 65535]], np.uint16)
    image = Image.fromarray(levels if mode == "I;16" else levels.astype(np.int32))
    assert image.mode == mode
    assert only(image)[0, :, 0].tolist() == [0, 1, 100, 255]


def test_sixteen_bit_arrays() -> None:
    [result] = image_list(np.full((1, 1, 3), 65535 // 5, np.uint16))
    np.testing.assert_allclose(result, 0.2)


def test_plain_images_are_untouched() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 3), np.uint8)
    np.testing.assert_array_equal(only(Image.fromarray(pixels)), pixels)
    np.testing.assert_array_equal(only(pixels), pixels)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (
            np.zeros((2, 2, 3), np.int64),
            "must hold uint8, uint16 or floating point values, but holds int64",
        ),
        (
            torch.zeros(3, 2, 2, dtype=torch.int32),
            "must hold uint8 or floating point values, but holds torch.int32",
        ),
        (
            np.zeros((2, 2, 4), np.uint8),
            r"must be a PIL image.* but is ndarray of shape \(2, 2, 4\)",
        ),
    ],
)
def test_other_kinds_are_named(image: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        image_list(image)
