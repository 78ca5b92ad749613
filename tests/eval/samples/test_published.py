"""Published sets of images and prompts, read as they are unpacked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from eval.errors import EvalError
from eval.samples import load_samples


def picture(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 8), (level, 0, 0)).save(path)


def test_aigcbench_names_are_number_and_prompt(tmp_path: Path) -> None:
    for number, prompt in ((265, "A panda_bear, brewing"), (9, "A king"), (1000, "A fairy")):
        picture(tmp_path / "set" / f"{number}_{prompt}.png", number % 256)
    picture(tmp_path / "set" / "cover.png", 0)
    samples = load_samples({"source": "aigcbench", "folder": "set"}, folder=tmp_path)
    assert [(sample.id, sample.prompt) for sample in samples] == [
        ("aigcbench-9", "A king"),
        ("aigcbench-265", "A panda_bear, brewing"),
        ("aigcbench-1000", "A fairy"),
    ]
    assert samples[1].image[0, 0, 0] == 265 % 256
    assert "1 images are not named NUMBER_PROMPT, such as 'cover.png'" in samples.notes[0]
    some = load_samples({"source": "aigcbench", "folder": "set", "limit": 2}, folder=tmp_path)
    assert len(some) == 2
    picture(tmp_path / "set" / "09_Another.png", 0)
    with pytest.raises(EvalError, match=r"two images of number"):
        load_samples({"source": "aigcbench", "folder": "set"}, folder=tmp_path)


@pytest.fixture
def mjhq(tmp_path: Path) -> Path:
    listed: dict[str, Any] = {}
    for number in range(5):
        category = "animals" if number % 2 else "plants"
        listed[f"{number}ab"] = {"category": category, "prompt": f"prompt {number}, 8k"}
        picture(tmp_path / "mjhq30k_imgs" / category / f"{number}ab.jpg", 0)
    (tmp_path / "meta_data.json").write_text(json.dumps(listed))
    return tmp_path


def test_mjhq_groups_are_categories(mjhq: Path) -> None:
    samples = load_samples({"source": "mjhq", "folder": "."}, folder=mjhq)
    assert [sample.group for sample in samples] == [
        "plants",
        "animals",
        "plants",
        "animals",
        "plants",
    ]
    assert samples[3].prompt == "prompt 3, 8k"
    some = load_samples({"source": "mjhq", "folder": ".", "limit": 1}, folder=mjhq)
    assert [sample.id for sample in some] == ["0ab", "1ab"]
    plants = {"source": "mjhq", "folder": ".", "categories": ["plants"]}
    assert [sample.id for sample in load_samples(plants, folder=mjhq)] == ["0ab", "2ab", "4ab"]


def test_what_is_wrong_is_named(mjhq: Path) -> None:
    source = {"source": "mjhq", "folder": "."}
    with pytest.raises(EvalError, match=r"'plant' is not in .*Did you mean 'plants'"):
        load_samples(source | {"categories": ["plant"]}, folder=mjhq)
    (mjhq / "mjhq30k_imgs" / "plants" / "2ab.jpg").unlink()
    with pytest.raises(EvalError, match=r"image '2ab' of category plants is not in"):
        load_samples(source, folder=mjhq)
    (mjhq / "meta_data.json").write_text('{"0ab": {"category": "plants"}}')
    with pytest.raises(EvalError, match=r"'0ab' must have texts 'category' and 'prompt'"):
        load_samples(source, folder=mjhq)
    (mjhq / "meta_data.json").unlink()
    with pytest.raises(EvalError, match=r"has no meta_data.json"):
        load_samples(source, folder=mjhq)
