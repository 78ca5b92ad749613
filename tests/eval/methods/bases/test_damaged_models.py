"""A model's JSON files as broken downloads leave them: one line with key, file and way out."""

from __future__ import annotations

import shutil

import pytest

from eval.errors import EvalError
from tests.eval.methods.bases.test_on_base import method

DAMAGED = {
    "empty": b"",
    "torn": b'{"_class_name": "UNet',
    "no UTF-8": b'{"_class_name": "\xff"}',
    "a list": b"[1, 2]",
    "a page": b"<!DOCTYPE html><html>Not Found</html>",
    "deep": b"[" * 100_000,
}


@pytest.fixture
def copies(sd15, tmp_path):
    """Name of a part -> a copy of it that may be damaged."""

    def copy(part: str) -> str:
        return str(shutil.copytree(sd15 / part, tmp_path / part, dirs_exist_ok=True))

    return copy


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize(
    ("key", "part", "file"),
    [
        ("model", "model", "model_index.json"),
        ("model", "model", "unet/config.json"),
        ("motion_adapter", "motion", "config.json"),
    ],
)
def test_a_damaged_json_file_is_named(
    base, copies, photographs, tmp_path, key, part, file, content
):
    document = base(**{key: copies(part)})
    (tmp_path / part / file).write_bytes(content)
    with pytest.raises(EvalError) as error:
        method(document).generate(photographs[:1], [1])
    message = str(error.value)
    assert message.startswith(f"base.{key}")
    assert str(tmp_path / part) in message
    assert "\n" not in message


@pytest.mark.parametrize("entry", ['"UNet"', "[]", '["diffusers"]', '["diffusers", null]', "{}"])
def test_an_index_whose_entries_are_no_classes_is_no_base(base, copies, tmp_path, entry):
    document = base(model=copies("model"))
    index = tmp_path / "model" / "model_index.json"
    kept = index.read_text().replace('"unet": [', f'"unet": {entry}, "other": [')
    index.write_text(kept)
    with pytest.raises(EvalError, match=r"base\.model: .*no unet in it"):
        method(document).fingerprint()
