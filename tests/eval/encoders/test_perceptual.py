"""LPIPS, and quality networks that a loader brings."""

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from eval.encoders import encoder_fingerprint, load_encoder
from eval.errors import EvalError, WeightsMissingError


def test_the_published_golden_of_lpips() -> None:
    try:
        encoder: Any = load_encoder("lpips_alex")
    except WeightsMissingError:
        pytest.skip("lpips_alex: the published weights are not on this machine")
    black, white = (np.full((1, 64, 64, 3), value, np.uint8) for value in (0, 255))
    assert encoder.encode_distances(black[0], white)[0] == pytest.approx(0.81401, abs=1e-4)


def test_lpips_is_torchmetrics_own_without_a_download(root: Path) -> None:
    from torchmetrics.functional.image.lpips import _NoTrainLpips
    from torchvision.models import alexnet

    with torch.device("meta"):
        layers = alexnet(weights=None).features
    layers = layers.to_empty(device="cpu")
    for parameter in layers.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    (root / "lpips_alex").mkdir()
    state = {f"features.{name}": value for name, value in layers.state_dict().items()}
    torch.save(state | {"classifier.1.bias": torch.zeros(1)}, root / "lpips_alex" / "alexnet.pth")
    encoder: Any = load_encoder("lpips_alex")
    frames = np.random.default_rng(4).integers(0, 256, (3, 64, 80, 3), dtype=np.uint8)
    expected = _NoTrainLpips(net="alex", pnet_rand=True)
    for part in (
        expected.net.slice1,
        expected.net.slice2,
        expected.net.slice3,
        expected.net.slice4,
        expected.net.slice5,
    ):
        for position, layer in part.named_children():
            layer.load_state_dict(layers[int(position)].state_dict())
    pixels = torch.from_numpy(frames.transpose(0, 3, 1, 2) / np.float32(255))
    with torch.no_grad():
        wanted = (
            expected(pixels[:1].expand(3, -1, -1, -1), pixels, normalize=True).flatten().numpy()
        )
    distances = encoder.encode_distances(frames[0], frames)
    assert_allclose(distances, wanted, atol=1e-6)
    assert distances[0] == 0
    assert (
        encoder.encode_distances(frames[0, :32, :40], frames[:1])[0] > 0
    )  # an image of another size is resized
    with pytest.raises(EvalError, match="frames of 32 x 80 px; 64 px or more"):
        encoder.encode_distances(frames[0], frames[:, :32])


def test_quality_comes_from_the_loader_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("I2V_EVAL_DOVER", raising=False)
    with pytest.raises(WeightsMissingError, match="set I2V_EVAL_DOVER to module:Class"):
        encoder_fingerprint("dover_technical")
    (tmp_path / "my_dover.py").write_text(
        "class Brightness:\n"
        "    def __init__(self, *, device): pass\n"
        "    fingerprint = staticmethod(lambda: 'brightness 1')\n"
        "    def score(self, frames, fps): return frames.mean() / fps\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("I2V_EVAL_DOVER", "my_dover:Brightness")
    encoder: Any = load_encoder("dover_technical")
    assert encoder.encode_quality(np.full((2, 4, 4, 3), 60, np.uint8), 8.0) == [7.5]
    assert encoder.fingerprint == hashlib.sha256(b"quality 1: brightness 1").hexdigest()
    monkeypatch.setenv("I2V_EVAL_DOVER", "my_dover:Darkness")
    with pytest.raises(EvalError, match=r"I2V_EVAL_DOVER=my_dover:Darkness: .*no attribute"):
        load_encoder("dover_technical")
    sys.modules.pop("my_dover")
