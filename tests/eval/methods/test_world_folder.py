"""A folder of a glyph world's weights as a base: equal to the shipped world where its files are,
and one clear line where they are missing, damaged or do not fit.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from eval.errors import EvalError, NotServedError, WeightsMissingError
from eval.methods import load_method, method_on_base
from eval.methods.base import read_base
from eval.methods.glyph_world import PriorSettings
from eval.methods.world_folder import SETTINGS, World
from eval.plan.planning import make_plan
from eval.samples.glyph_world import GlyphWorldSettings, load
from eval.world.models import WEIGHTS

_FAMILY = (
    *("i2v-adapter", "i2v-adapter-alone", "content-adapter", "image-prior", "text-to-video"),
    *("channel-concatenation", "concatenation-text"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shipped world in a folder of its own; its files are links."""
    found = tmp_path / "weights"
    shutil.copytree(WEIGHTS, found, copy_function=os.symlink)
    return found


def _replace(file: Path, content: bytes) -> None:
    file.unlink()
    file.write_bytes(content)


def _method(name: str, folder: Path, **settings: Any) -> Any:
    world = read_base({"world": str(folder)}, Path(), "base")
    build, model = method_on_base(name, world)
    return build(model(**settings))


@pytest.mark.parametrize("name", _FAMILY)
def test_same_weights_have_the_shipped_fingerprint(name: str, folder: Path) -> None:
    shipped = load_method(name)
    assert _method(name, folder).fingerprint() == shipped(shipped.Settings()).fingerprint()


def test_other_weights_have_another_fingerprint_and_other_clips(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    sample = load(GlyphWorldSettings(seen=1, unseen=0))
    shipped = load_method("text-to-video")
    settings = {"steps": 1, "frames": 2, "guidance_scale": 1.0}
    first = shipped(shipped.Settings(**settings)).generate(sample, [1])
    same = _method("text-to-video", folder, **settings)
    assert np.array_equal(same.generate(sample, [1])[0].frames, first[0].frames)
    name = "diffusion_pytorch_model.safetensors"
    values = load_file(folder / "vae" / name)
    values["decoder.conv_out.bias"] = values["decoder.conv_out.bias"] + np.float16(0.5)
    (folder / "vae" / name).unlink()
    save_file(values, folder / "vae" / name)
    (folder / "vae" / "card.json").unlink()  # of other weights
    other = _method("text-to-video", folder, **settings)
    assert other.fingerprint() != shipped(shipped.Settings(**settings)).fingerprint()
    from eval.world import pipelines

    pipelines._release()
    brighter = other.generate(sample, [1])[0].frames.astype(int) - first[0].frames
    assert np.median(brighter) == pytest.approx(0.5 * 127.5, abs=1.0)


def test_frames_rate_and_size_come_from_the_folder(folder: Path) -> None:
    world = read_base({"world": str(folder)}, Path(), "base")
    assert isinstance(world, World)
    assert world.settings_of(PriorSettings) == {"frames": 8, "fps": 8.0}
    assert world.side == 64
    card = json.loads((folder / "unet" / "card.json").read_text())
    _replace(folder / "unet" / "card.json", json.dumps(card | {"frames": 16, "fps": 16}).encode())
    config = json.loads((folder / "unet" / "config.json").read_text()) | {"sample_size": 16}
    _replace(folder / "unet" / "config.json", json.dumps(config).encode())
    stated = {"world": str(folder), "settings": {"frames": 4, "steps": 3}}
    world = read_base(stated, Path(), "base")
    assert isinstance(world, World)
    assert world.settings_of(PriorSettings) == {"frames": 4, "fps": 16, "steps": 3}
    assert world.side == 128


def test_a_folder_alone_is_recognised(folder: Path) -> None:
    assert isinstance(read_base("weights", folder.parent, "base"), World)
    assert not isinstance(read_base(str(folder / "unet"), Path(), "base"), World)
    with pytest.raises(EvalError, match=r"base\.model: weights holds .*; write world: in place of"):
        read_base({"model": "weights"}, folder.parent, "base")
    shutil.rmtree(folder / "unet")
    with pytest.raises(WeightsMissingError, match=r"^s\.yaml: base\.world: .*unet has no config"):
        read_base("weights", folder.parent, "s.yaml: base")


def test_settings_are_those_of_the_methods() -> None:
    known: set[str] = set()
    for name in _FAMILY:
        known |= set(load_method(name).Settings.model_fields)
    assert set(SETTINGS) == known
    with pytest.raises(EvalError, match=r"base.settings: unknown key 'stepps'.*'steps'"):
        read_base({"world": str(WEIGHTS), "settings": {"stepps": 3}}, Path(), "base")


def _no_unet(folder: Path) -> None:
    shutil.rmtree(folder / "unet")


def _no_scheduler(folder: Path) -> None:
    shutil.rmtree(folder / "scheduler")


def _no_weights(folder: Path) -> None:
    (folder / "text_encoder" / "model.safetensors").unlink()


def _no_content(folder: Path) -> None:
    (folder / "ip_adapter" / "ip-adapter-plus_glyph.safetensors").unlink()


def _no_extractor(folder: Path) -> None:
    (folder / "feature_extractor" / "preprocessor_config.json").unlink()


def _torn(folder: Path) -> None:
    file = folder / "i2v_adapter" / "diffusion_pytorch_model.safetensors"
    _replace(file, file.read_bytes()[:1000])


def _no_json(folder: Path) -> None:
    _replace(folder / "vae" / "config.json", b'{"block_out')


def _another_file(folder: Path) -> None:
    file = folder / "ip_adapter" / "ip-adapter-plus_glyph.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    _replace(file, bytes(content))


@pytest.mark.parametrize(
    ("damage", "kind", "message"),
    [
        (_no_unet, WeightsMissingError, "unet has no config.json, so it is no part of a glyph"),
        (_no_scheduler, WeightsMissingError, "has no folder scheduler, so it is no whole world"),
        (_no_weights, WeightsMissingError, "text_encoder holds no weights"),
        (_no_content, WeightsMissingError, "ip_adapter holds no weights"),
        (_no_extractor, WeightsMissingError, "feature_extractor has no preprocessor_config.json"),
        (_torn, EvalError, "i2v_adapter/diffusion_pytorch_model.safetensors is torn"),
        (_no_json, EvalError, "vae/config.json cannot be read"),
        (_another_file, EvalError, "is not the file that .*card.json describes: its sha256"),
    ],
)
def test_damaged_folders_are_one_line(
    damage: Any, kind: type[EvalError], message: str, folder: Path
) -> None:
    damage(folder)
    with pytest.raises(EvalError, match=rf"^base.world: .*{message}") as found:
        _method("i2v-adapter", folder).fingerprint()
    assert type(found.value) is kind
    assert "\n" not in str(found.value)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissingError, match=r"base\.world: there is no folder 'absent'"):
        read_base({"world": "absent"}, tmp_path, "base")


def test_a_world_without_an_adapter_serves_the_others(folder: Path) -> None:
    shutil.rmtree(folder / "concat")
    assert _method("image-prior", folder).fingerprint()
    with pytest.raises(NotServedError, match=r"has no concat, which .*nox -s world -- concat"):
        _method("channel-concatenation", folder).fingerprint()


def test_images_of_another_size_are_refused_with_the_plan(tmp_path: Path) -> None:
    suite: dict[str, Any] = {
        "name": "own",
        "base": {"world": str(WEIGHTS)},
        "samples": {"source": "glyph-world", "seen": 1, "unseen": 0, "side": 128, "frames": 16},
        "methods": [{"method": "text-to-video"}],
        "metrics": ["motion.flow_dis.v1"],
    }
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump(suite))
    message = re.escape("draws 64x64 px, and the image of sample 'seen-000-")
    with pytest.raises(EvalError, match=f"cell text-to-video: base.world: .*{message}.*side: 64"):
        make_plan(path)
    suite["samples"] |= {"side": 64, "frames": 8}
    path.write_text(yaml.safe_dump(suite))
    [cell] = make_plan(path).cells
    assert cell.settings["frames"] == 8
    assert cell.base == {"world": str(WEIGHTS)}
