"""Samples, their manifests, methods by name, seeds: the small parts of the harness."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import BaseModel

from eval.clips.images import read_image
from eval.clips.lossless import Clip
from eval.errors import EvalError, nearest
from eval.methods import load_method, method_names, register
from eval.methods.anchors import StillImage, TrueClip
from eval.samples import Sample, load_samples
from eval.samples.seeds import derive_seed

IMAGE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
CLIP = Clip(np.zeros((5, 2, 3, 3), np.uint8), 6.0)


def test_fingerprint_sees_all_that_a_method_may_use_and_nothing_else() -> None:
    sample = Sample("a", IMAGE, "x")
    assert (
        sample.fingerprint
        == Sample("b", IMAGE.copy(), "x", "unseen", truth={"colour": "red"}).fingerprint
    )
    others = [
        Sample("a", IMAGE.reshape(3, 2, 3), "x"),
        Sample("a", IMAGE, "y"),
        Sample("a", IMAGE, "x", clip=CLIP),
    ]
    assert len({sample.fingerprint, *(other.fingerprint for other in others)}) == 4


@pytest.mark.parametrize("exif", range(1, 9))
def test_images_are_upright_rgb(exif: int, tmp_path: Path) -> None:
    upright = np.kron(np.arange(12, dtype=np.uint8).reshape(2, 6) * 20, np.ones((8, 8), np.uint8))
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, 1),
        7: np.rot90(upright.T, 2),
        8: np.rot90(upright, -1),
    }[exif]
    tags = Image.Exif()
    tags[0x0112] = exif
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=tags)
    image = read_image(tmp_path / "a.png")
    assert np.array_equal(image, np.repeat(upright[:, :, None], 3, axis=2))


def test_json_lines_give_what_csv_gives(toy_folder: Path) -> None:
    csv_samples = load_samples({"source": "manifest", "path": "samples.csv"}, folder=toy_folder)
    rows = [
        {
            "id": s.id,
            "image": f"{i}.png",
            "prompt": s.prompt,
            "group": s.group,
            "clip": f"{i}.mkv",
            "truth_colour": "red",
            "truth_speed": 2.0 * i,
        }
        for i, s in enumerate(csv_samples)
    ]
    (toy_folder / "samples.jsonl").write_text("\n\n".join(json.dumps(row) for row in rows))
    json_samples = load_samples({"source": "manifest", "path": "samples.jsonl"}, folder=toy_folder)
    assert [s.fingerprint for s in csv_samples] == [s.fingerprint for s in json_samples]
    assert [s.truth for s in csv_samples] == [s.truth for s in json_samples]
    assert json_samples[3].truth == {"colour": "red", "speed": 6.0}
    assert [s.group for s in json_samples] == ["seen", "unseen"] * 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", r"bad.jsonl:1: a row must be an object"),
        ("{", r"bad.jsonl:1: not JSON"),
        ('{"id": "a", "image": "0.png", "prompt": null}', r"bad.jsonl:1: prompt is missing"),
    ],
)
def test_bad_json_lines(line: str, message: str, toy_folder: Path) -> None:
    (toy_folder / "bad.jsonl").write_text(line)
    with pytest.raises(EvalError, match=message):
        load_samples({"source": "manifest", "path": "bad.jsonl"}, folder=toy_folder)


def test_seeds_are_stable_across_processes_and_spread() -> None:
    code = "from eval.samples.seeds import derive_seed; print(derive_seed('star-3', 7))"
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert int(other) == derive_seed("star-3", 7)
    seeds = [derive_seed(name, seed) for name in ("a", "b", "a1", "1a") for seed in range(50)]
    assert len(set(seeds)) == len(seeds)
    assert min(seeds) >= 0
    assert 2**62 < max(seeds) < 2**63


def test_anchors() -> None:
    sample = Sample("a", IMAGE, "x", clip=CLIP)
    still = StillImage(StillImage.Settings()).generate([sample], [1])[0]
    assert (len(still.frames), still.fps) == (5, 6.0)
    assert all(np.array_equal(frame, IMAGE) for frame in still.frames)
    short = StillImage(StillImage.Settings.model_validate({"frames": 2, "fps": 3})).generate(
        [Sample("b", IMAGE, "x")], [1]
    )
    assert (short[0].frames.shape, short[0].fps) == ((2, 2, 3, 3), 3.0)
    assert TrueClip(TrueClip.Settings()).generate([sample], [1]) == [CLIP]
    with pytest.raises(EvalError, match="sample 'b' has no true clip"):
        TrueClip(TrueClip.Settings()).generate([Sample("b", IMAGE, "x")], [1])


def test_methods_by_name_and_by_path(toy_folder: Path) -> None:
    assert {"true-clip", "still-image", "i2v-adapter", "content-adapter", "text-to-video"} <= set(
        method_names()
    )
    assert load_method("still-image") is StillImage
    register("toy", "toy_method:Toy")
    register("toy", "toy_method:Toy")
    assert load_method("toy") is load_method("toy_method:Toy")
    assert issubclass(load_method("toy").Settings, BaseModel)
    with pytest.raises(EvalError, match="method 'toy' is registered as 'toy_method:Toy' already"):
        register("toy", "toy_method:Other")
    with pytest.raises(EvalError, match="not 'nonsense'"):
        register("other", "nonsense")


def test_nearest() -> None:
    assert nearest("Toi", ["time", "Toy"]) == " Did you mean 'Toy'?"
    assert nearest("qqq", ["time", "Toy"]) == ""
