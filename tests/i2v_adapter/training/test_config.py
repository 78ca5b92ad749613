"""The configuration file: defaults of the paper, and errors in one line with exit code 2."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from i2v_adapter.training.__main__ import main
from i2v_adapter.training.config import load_config

SMALLEST: dict[str, Any] = {"base": "b", "output": "o", "steps": 1, "data": {"shards": "*.tar"}}


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def test_defaults_are_the_papers(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, yaml.safe_dump(SMALLEST)))
    assert (config.learning_rate, config.weight_decay, config.max_grad_norm) == (1e-4, 1e-2, 1.0)
    assert (config.data.frames, config.data.stride, config.data.height, config.data.width) == (
        16,
        4,
        256,
        256,
    )
    assert (config.dropout.text, config.dropout.image, config.dropout.both) == (0.05, 0.05, 0.05)


def test_yaml_spellings(tmp_path: Path) -> None:
    text = yaml.safe_dump(SMALLEST) + "mixed_precision: no\nlearning_rate: 1e-3\n"
    config = load_config(written(tmp_path, text))
    assert config.mixed_precision == "no"
    assert config.learning_rate == 1e-3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps: 0 is not allowed: Input should be greater than or equal to 1"),
        ({"steps": None}, "steps: None is not allowed"),
        ({"step": 3}, "step: unknown key; known: base, motion_adapter,"),
        ({"dropout": {"texts": 0.1}}, "dropout.texts: unknown key; known: text, image, both"),
        (
            {"samples": {"every": 1, "inputs": [{"image": "i", "prompt": "p", "seed": 1}]}},
            "samples.inputs.0.seed: unknown key; known: image, prompt",
        ),
        ({"data": {}}, "data: {} is not allowed: give either videos and captions, or shards"),
        ({"data": {"videos": "v"}}, "give either videos and captions, or shards"),
        (
            {"data": {"videos": "v", "captions": "c", "shards": "s"}},
            "give either videos and captions, or shards",
        ),
        (
            {"data": {"shards": "s", "height": 250}},
            "data.height: 250 is not allowed: Input should be a multiple of 8",
        ),
        ({"dropout": {"text": 0.9, "image": 0.1}}, "must not exceed 1 together"),
        ({"samples": {"every": 1, "inputs": []}}, "samples.inputs: [] is not allowed"),
        ({"trackers": ["tensorbord"]}, "trackers: 'tensorbord' cannot be used: accelerate knows"),
        ({}, "data.shards: no file matches"),
    ],
)
def test_errors_are_one_line(
    changes: dict[str, Any], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = {
        **SMALLEST,
        "output": str(tmp_path / "run"),
        "data": {"shards": str(tmp_path / "*.tar")},
        **changes,
    }
    assert main([str(written(tmp_path, yaml.safe_dump(document)))]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "must hold a mapping"),
        ("a: [", "not valid YAML"),
        ("output: o\n", "base: the key is"),
    ],
)
def test_files_that_are_no_configuration(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, text)
    assert main([str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{path}: " in line
    assert message in line


def test_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "absent.yaml")]) == 2
    assert (
        capsys.readouterr().err
        == f"error: {tmp_path / 'absent.yaml'}: cannot be read (No such file or directory)\n"
    )
