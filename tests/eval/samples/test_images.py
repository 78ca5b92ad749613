"""A folder of images as samples: prompts from a table, a text file or the names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eval.errors import EvalError
from eval.samples import load_samples

NAMES = ("a cat_2.png", "a cat_10.jpg", "dog.webp")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for index, name in enumerate(NAMES):
        Image.fromarray(np.full((8, 6 + index, 3), 9, np.uint8)).save(folder / name)
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
    widths = {"two": 6, "ten": 7, "d": 8}
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
