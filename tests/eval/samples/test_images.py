"""A folder of images as samples: prompts from a table, a text file or the names."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eval.errors import EvalError
from eval.samples import Sample, load_samples
from eval.samples.input_images import stretching

NAMES = ("a cat_2.png", "a cat_10.jpg", "dog.webp")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for index, name in enumerate(NAMES):
        Image.fromarray(np.full((8, 8 + index, 3), 9, np.uint8)).save(folder / name)
    (folder / ".hidden.png").write_text("x")
    return folder


def samples(photos: Path, **settings: Any) -> Any:
    return load_samples({"source": "images", "folder": "photos", **settings}, folder=photos.parent)


PROMPTS: dict[str, tuple[str, str, list[str]]] = {
    "names": ("", "", ["a cat 2", "a cat 10", "dog"]),
    "lines": ("p.txt", "two\nten\nd\n", ["two", "ten", "d"]),
    "lines with a BOM": ("p.txt", "\ufefftwo\nten\u2028x\nd", ["two", "ten\u2028x", "d"]),
    "table": (
        "p.csv",
        "image,prompt\ndog.webp,d\na cat_2.png,two\na cat_10.jpg,ten\n",
        ["d", "two", "ten"],
    ),
    "JSON lines": ("p.jsonl", '{"image": "dog.webp", "prompt": "d", "group": "pets"}\n', ["d"]),
}


@pytest.mark.parametrize("case", PROMPTS)
def test_prompts(case: str, photos: Path) -> None:
    name, text, expected = PROMPTS[case]
    if name:
        (photos.parent / name).write_bytes(text.encode())
    found = samples(photos, **({"prompts": name} if name else {}))
    assert [sample.prompt for sample in found] == expected
    widths = {"two": 8, "ten": 9, "d": 10}
    for sample in found:
        width = widths.get(sample.prompt.split("\u2028")[0])
        assert width in (None, sample.image.shape[1])
    assert len({sample.id for sample in found}) == len(found)
    assert found[0].id == (found[0].id if expected[0] != "d" else "dog")
    if case == "JSON lines":
        assert found[0].group == "pets"
        assert "names no prompt for 2 images, such as 'a cat_2.png'" in found.notes[0]


BAD: dict[str, tuple[str, str, str]] = {
    "too few lines": ("p.txt", "one\n", "has 1 lines for 3 images"),
    "an empty line": ("p.txt", "one\n\nthree\n", "p.txt:2': the line is empty"),
    "an image that is not there": ("p.csv", "image,prompt\nno.png,x\n", "p.csv:2: image 'no.png'"),
    "no prompt": ("p.csv", "image,prompt\ndog.webp,\n", "p.csv:2: prompt is missing"),
    "outside": ("p.csv", "image,prompt\n../p.csv,x\n", "image '../p.csv' leaves the folder"),
    "another type": ("p.docx", "x", "unknown type. Allowed: .csv, .jsonl, .txt"),
    "missing": ("", "none.txt", "cannot be read (No such file"),
}


@pytest.mark.parametrize("case", BAD)
def test_prompts_that_cannot_be_used(case: str, photos: Path) -> None:
    name, text, expected = BAD[case]
    if name:
        (photos.parent / name).write_text(text)
    with pytest.raises(EvalError) as refused:
        samples(photos, prompts=name or text)
    assert expected in str(refused.value)


@pytest.mark.parametrize("name", ["0001.png", "IMG_1234.png", "frame-3.png"])
def test_names_that_say_nothing_are_no_prompts(name: str, photos: Path) -> None:
    (photos / "dog.webp").rename(photos / name)
    with pytest.raises(EvalError, match="its name is no prompt; give prompts: FILE"):
        samples(photos)


def test_folders_without_images_and_other_files(photos: Path) -> None:
    (photos / "read.md").write_text("x")
    assert "1 files are no images, such as 'read.md'" in samples(photos).notes[0]
    (photos.parent / "empty").mkdir()
    with pytest.raises(EvalError, match="holds no images"):
        samples(photos, folder="empty")
    with pytest.raises(EvalError, match="is no folder"):
        samples(photos, folder="nowhere")


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 2), (7, 400), (2000, 2)])
def test_images_that_show_nothing_are_refused(photos: Path, width: int, height: int) -> None:
    Image.new("RGB", (width, height)).save(photos / "a wall.png")
    message = rf"a wall\.png' is {width} x {height} px .*; each side needs at least 8"
    with pytest.raises(EvalError, match=message):
        samples(photos)
    Image.new("RGB", (8, 8)).save(photos / "a wall.png")
    assert samples(photos)


def test_two_files_of_one_name_are_both_named(photos: Path) -> None:
    Image.new("RGB", (8, 8)).save(photos / "dog.png")
    both = r"'dog\.png' and 'dog\.webp' would both be the sample 'dog'; rename one, or give prompts"
    with pytest.raises(EvalError, match=both):
        samples(photos)
    rows = "image,prompt,id\ndog.png,d,one\ndog.webp,d,two\n"
    (photos.parent / "p.csv").write_text(rows)
    assert [sample.id for sample in samples(photos, prompts="p.csv")] == ["one", "two"]
    (photos.parent / "p.csv").write_text("image,prompt\ndog.png,d\ndog.png,e\n")
    with pytest.raises(EvalError, match=r"two rows of 'dog\.png' would both be the sample 'dog'"):
        samples(photos, prompts="p.csv")


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_a_channel_are_refused_whatever_the_colours(
    photos: Path, channels: int, suffix: str
) -> None:
    import cv2

    shape = (20, 20, channels) if channels > 1 else (20, 20)
    cv2.imwrite(str(photos / f"a lamp.{suffix}"), np.full(shape, 65535, np.uint16))
    with pytest.raises(EvalError, match=r"a lamp.*convert it to 8 bits a channel"):
        samples(photos)


def test_an_image_of_too_many_pixels_is_refused_with_both_numbers(photos: Path) -> None:
    Image.new("1", (14_000, 14_000)).save(photos / "a map.png")
    with pytest.raises(EvalError, match=r"a map.*196,000,000 pixels, over the limit of 67,108,864"):
        samples(photos)


def test_stretched_images_are_noted_once_a_size() -> None:
    def cell(first: str = "input", **settings: int | None) -> Any:
        return SimpleNamespace(settings=settings, instance=SimpleNamespace(first_frame=first))

    pictures = [
        Sample("wide", np.zeros((300, 451, 3), np.uint8), "x"),
        Sample("square", np.zeros((64, 66, 3), np.uint8), "x"),
    ]
    cells = [cell(height=64, width=64), cell(height=64, width=64), cell("free", height=8, width=64)]
    (note,) = stretching(pictures, cells)
    assert "1 of 2 images are stretched" in note
    assert "'wide': 451 x 300 px (width x height) to 64 x 64, one side 50% more" in note
    assert stretching(pictures, [cell(height=200, width=304)])[0].startswith("1 of 2")
    assert (
        stretching(pictures[:1], [cell(height=200, width=304), cell(height=None, width=None)]) == []
    )
    assert stretching(pictures[:1], [cell(height=64, width=None)])[0].endswith("to their shape")
