"""I3D: called as published, and the port of its weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from eval.encoders import encoder_fingerprint, load_encoder
from eval.errors import EvalError, WeightsMissingError
from eval.metrics.frechet import FeatureStatistics, frechet_distance


class _StandIn(torch.nn.Module):
    """The published call signature; 400 'logits' are averages over 20 x 20 places of the middle
    frame.
    """

    def forward(
        self,
        x: torch.Tensor,
        rescale: bool = True,
        resize: bool = True,
        return_features: bool = False,
    ) -> torch.Tensor:
        assert not rescale
        assert not resize
        assert return_features
        assert x.shape[1:] == torch.Size([3, 16, 224, 224])
        return torch.nn.functional.adaptive_avg_pool2d(x[:, :, 8].mean(dim=1), (20, 20)).flatten(1)


def test_i3d_is_called_as_published(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = root / "i3d" / "i3d_torchscript.pt"
    path.parent.mkdir()
    torch.jit.script(_StandIn()).save(path)
    for ask in (load_encoder, encoder_fingerprint):  # nothing of the file is run unasked
        with pytest.raises(WeightsMissingError, match=r"is a program.*--trust-torchscript"):
            ask("i3d")
    monkeypatch.setenv("I2V_EVAL_TRUST_TORCHSCRIPT", "1")
    encoder: Any = load_encoder("i3d")
    clips = np.random.default_rng(3).integers(0, 256, (6, 17, 32, 40, 3), dtype=np.uint8)
    clips[:, :, :, 4:36] = np.arange(6, dtype=np.uint8)[:, None, None, None, None] * 51
    features = encoder.encode_clips(clips)
    assert features.shape == (6, 400)
    # the square in the middle is what the crop keeps; at its edges the filter mixes the noise in
    inner = features.reshape(6, 20, 20)[:, :, 2:18].reshape(6, -1)
    assert_allclose(inner - (np.arange(6) * 0.4 - 1)[:, None], 0, atol=1e-5)
    assert_allclose(
        np.concatenate([encoder.encode_clips(clip[None]) for clip in clips]), features, atol=1e-5
    )
    same: Any = load_encoder(f"i3d:{path}")
    assert_allclose(same.encode_clips(clips[:1]), features[:1], atol=0)
    with pytest.raises(EvalError, match="has 15 frames; 16 or more"):
        encoder.encode_clips(clips[:, :15])
    path.write_bytes(b"no archive")
    with pytest.raises(EvalError, match="is not a TorchScript module"):
        load_encoder("i3d")


class _Inside(torch.nn.Module):
    """Called to scale and resize by itself; 400 'logits' are averages of the first frame."""

    def forward(
        self,
        x: torch.Tensor,
        rescale: bool = False,
        resize: bool = False,
        return_features: bool = False,
    ) -> torch.Tensor:
        assert rescale
        assert resize
        assert return_features
        assert x.dtype == torch.uint8
        assert x.shape[1:] == torch.Size([3, 16, 32, 40])
        return torch.nn.functional.adaptive_avg_pool2d(x[:, 0, 0].float(), (20, 20)).flatten(1)


def test_the_other_published_ways_to_call_i3d(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2V_EVAL_TRUST_TORCHSCRIPT", "1")
    clips = np.random.default_rng(3).integers(0, 256, (5, 17, 32, 40, 3), dtype=np.uint8)
    for id, module in (("i3d_resize", _Inside()), ("i3d_squash_ts", _StandIn())):
        (root / id).mkdir()
        torch.jit.script(module).save(root / id / "i3d_torchscript.pt")
    inside: Any = load_encoder("i3d_resize")
    features = inside.encode_clips(clips)
    places = torch.from_numpy(clips[:, 0, :, :, 0]).float()
    expected = torch.nn.functional.adaptive_avg_pool2d(places, (20, 20)).flatten(1)
    assert_allclose(features, expected.numpy(), rtol=1e-6)

    squashed: Any = load_encoder("i3d_squash_ts")
    pixels = torch.from_numpy(clips[:, 8]).permute(0, 3, 1, 2) / 127.5 - 1
    pixels = torch.nn.functional.interpolate(pixels, (224, 224), mode="bilinear")
    expected = torch.nn.functional.adaptive_avg_pool2d(pixels.mean(dim=1), (20, 20)).flatten(1)
    assert_allclose(squashed.encode_clips(clips), expected.numpy(), atol=1e-5)


def test_the_port_of_i3d_has_the_published_shape_and_tensorflows_padding(root: Path) -> None:
    from eval.encoders.i3d_port import I3D, same_padding

    model = I3D().eval()
    assert sum(p.numel() for p in model.parameters()) == 12_697_264  # I3D RGB, Kinetics-400
    state = model.state_dict()
    assert state["Mixed_5c.b2b.conv3d.weight"].shape == (128, 48, 3, 3, 3)
    assert state["logits.conv3d.bias"].shape == (400,)
    for length, size, step, before, after in (
        (224, 7, 2, 2, 3),  # TensorFlow's SAME: 112 places
        (7, 3, 2, 1, 1),
        (8, 3, 2, 0, 1),
        (5, 2, 2, 0, 1),
        (4, 1, 1, 0, 0),
    ):
        ones = same_padding(torch.ones(1, 1, 1, 1, length), (1, 1, size), (1, 1, step))[0, 0, 0, 0]
        assert len(ones) == before + length + after
        assert ones[:before].sum() == ones[before + length :].sum() == 0

    generator = torch.Generator().manual_seed(0)
    for name, value in state.items():
        if name.endswith("running_var"):
            value.fill_(1.0)
        elif value.is_floating_point():
            torch.nn.init.normal_(value, std=0.05, generator=generator)
    for id in ("i3d_squash", "i3d_videogpt"):
        (root / id).mkdir()
        torch.save(state, root / id / "i3d_pretrained_400.pt")
    clips = np.random.default_rng(3).integers(0, 256, (1, 16, 32, 48, 3), dtype=np.uint8)
    squash: Any = load_encoder("i3d_squash")
    pixels = torch.from_numpy(clips[0]).permute(0, 3, 1, 2).float()
    pixels = torch.nn.functional.interpolate(pixels, (224, 224), mode="bilinear") * 2 / 255 - 1
    model.load_state_dict(state)
    with torch.no_grad():
        expected = model(pixels.transpose(0, 1)[None])
    assert_allclose(squash.encode_clips(clips), expected.numpy(), atol=1e-4)
    (root / "i3d_videogpt" / "i3d_pretrained_400.pt").write_bytes(b"nothing")
    with pytest.raises(EvalError, match="does not hold the weights of I3D"):
        load_encoder("i3d_videogpt")


def test_the_published_golden_of_i3d(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2V_EVAL_TRUST_TORCHSCRIPT", "1")
    try:
        encoder: Any = load_encoder("i3d")
    except WeightsMissingError:
        pytest.skip("the published I3D weights are not on this machine")
    sets = [np.full((8, 30, 64, 64, 3), value, np.uint8) for value in (0, 255)]
    zeros, ones = (FeatureStatistics.from_features(encoder.encode_clips(clips)) for clips in sets)
    assert frechet_distance(zeros, ones) == pytest.approx(151.256, rel=0.001)
