"""VideoMAE-v2 and V-JEPA: published layouts with random weights through the real loading path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.nn import functional

from eval.encoders import encoder_fingerprint, load_encoder, videomae2, vjepa1
from eval.errors import EvalError, WeightsMissingError
from eval.measure.catalogue import catalogue, parse_metric, registered

CLIPS = np.random.default_rng(0).integers(0, 256, (1, 17, 20, 36, 3), dtype=np.uint8)


def _squashed(*, antialias: bool) -> torch.Tensor:
    """The first 16 frames of `CLIPS`, (16, 3, 224, 224) in [0, 1]."""
    pixels = torch.from_numpy(CLIPS[0, :16]).permute(0, 3, 1, 2) / 255
    return functional.interpolate(pixels, (224, 224), mode="bilinear", antialias=antialias)


def _norm(x: torch.Tensor, state: Mapping[str, torch.Tensor], name: str, eps: float) -> Any:
    return functional.layer_norm(
        x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], eps
    )


def _linear(x: torch.Tensor, state: Mapping[str, torch.Tensor], name: str) -> torch.Tensor:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def _attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Two heads, spelled out."""
    half = query.shape[-1] // 2
    parts = [slice(0, half), slice(half, 2 * half)]
    mixed = [
        ((query[..., p] @ key[..., p].mT) / half**0.5).softmax(dim=-1) @ value[..., p]
        for p in parts
    ]
    return torch.cat(mixed, dim=-1)


def _videomae2_shapes(width: int, layers: int, inner: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the published file."""
    shapes: dict[str, tuple[int, ...]] = {
        "patch_embed.proj.weight": (width, 3, 2, 14, 14),
        "patch_embed.proj.bias": (width,),
        "fc_norm.weight": (width,),
        "fc_norm.bias": (width,),
        "head.weight": (174, width),
        "head.bias": (174,),
    }
    for layer in range(layers):
        start = f"blocks.{layer}."
        shapes |= {
            f"{start}attn.qkv.weight": (3 * width, width),
            f"{start}attn.q_bias": (width,),
            f"{start}attn.v_bias": (width,),
            f"{start}attn.proj.weight": (width, width),
            f"{start}attn.proj.bias": (width,),
            f"{start}mlp.fc1.weight": (inner, width),
            f"{start}mlp.fc1.bias": (inner,),
            f"{start}mlp.fc2.weight": (width, inner),
            f"{start}mlp.fc2.bias": (width,),
        }
        for norm in ("norm1", "norm2"):
            shapes |= {f"{start}{norm}.weight": (width,), f"{start}{norm}.bias": (width,)}
    return shapes


def test_the_published_videomae2_has_a_place_for_every_weight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from transformers import VideoMAEForVideoClassification
    from transformers.models.videomae import modeling_videomae

    from eval.encoders.video import renamed_biases

    monkeypatch.setattr(  # it is no weight, and takes seconds
        modeling_videomae, "get_sinusoid_encoding_table", lambda n, d: torch.zeros(1, n, d)
    )
    shapes = _videomae2_shapes(1408, 40, 6144)
    with torch.device("meta"):
        published = {name: torch.empty(shape) for name, shape in shapes.items()}
        model = VideoMAEForVideoClassification(videomae2.config())
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    state = renamed_biases(videomae2.converted(published), wanted)
    assert {name: tuple(value.shape) for name, value in state.items()} == wanted
    assert sum(value.numel() for value in published.values()) == 1_011_855_918


def test_videomae2_computes_what_cd_fvd_reads(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    width, inner = 32, 48
    small = {"hidden_size": width, "num_hidden_layers": 1, "num_attention_heads": 2}
    monkeypatch.setattr(
        videomae2, "SHAPE", {**videomae2.SHAPE, **small, "intermediate_size": inner}
    )
    shapes = _videomae2_shapes(width, 1, inner)
    state = {name: torch.randn(shape) * 0.2 for name, shape in shapes.items()}
    folder = root / "videomae2_vitg_ssv2"
    folder.mkdir()
    file = folder / "vit_g_hybrid_pt_1200e_ssv2_ft.pth"
    torch.save({"module": state}, file)
    encoder: Any = load_encoder("videomae2_vitg_ssv2")

    video = _squashed(antialias=False).transpose(0, 1)[None]  # neither mean nor deviation
    x = functional.conv3d(
        video, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=(2, 14, 14)
    )
    x = x.flatten(2).mT
    places = np.arange(2048)[:, None] / 10000 ** (2 * (np.arange(width) // 2) / width)
    places[:, 0::2], places[:, 1::2] = np.sin(places[:, 0::2]), np.cos(places[:, 1::2])
    x = x + torch.from_numpy(places).float()
    normed = _norm(x, state, "blocks.0.norm1", 1e-6)
    query, key, value = (normed @ state["blocks.0.attn.qkv.weight"].T).chunk(3, dim=-1)
    query, value = query + state["blocks.0.attn.q_bias"], value + state["blocks.0.attn.v_bias"]
    x = x + _linear(_attention(query, key, value), state, "blocks.0.attn.proj")
    hidden = functional.gelu(
        _linear(_norm(x, state, "blocks.0.norm2", 1e-6), state, "blocks.0.mlp.fc1")
    )
    x = x + _linear(hidden, state, "blocks.0.mlp.fc2")
    expected = _norm(x.mean(dim=1), state, "fc_norm", 1e-6)
    assert_allclose(encoder.encode_clips(CLIPS), expected.numpy(), atol=5e-5)

    torch.save(state | {"blocks.1.norm1.weight": torch.zeros(width)}, file)
    with pytest.raises(EvalError, match="has 1 tensors that ViT-g does not have"):
        load_encoder("videomae2_vitg_ssv2")
    torch.save({name: value for name, value in state.items() if name != "fc_norm.bias"}, file)
    with pytest.raises(EvalError, match=r"lack 1 tensors of the model, for example fc_norm.bias"):
        load_encoder("videomae2_vitg_ssv2")


def test_the_published_vjepa1_has_the_published_shapes() -> None:
    with torch.device("meta"):
        backbone = vjepa1.VisionTransformer(**vjepa1.SHAPE)
        pooler = vjepa1.AttentivePooler(1280, 16)
    assert backbone.pos_embed.shape == (1, 8 * 14 * 14, 1280)
    layer = 12 * 1280**2 + 13 * 1280  # of weights; of biases and norms
    rest = 2 * 16 * 16 * 3 * 1280 + 1280 + 1568 * 1280 + 2 * 1280
    assert sum(p.numel() for p in backbone.parameters()) == 32 * layer + rest
    assert sum(p.numel() for p in pooler.parameters()) == layer + 1280
    assert pooler.state_dict()["cross_attention_block.xattn.kv.weight"].shape == (2560, 1280)


def _save_vjepa1(folder: Path, width: int) -> tuple[dict[str, Any], dict[str, Any]]:
    backbone = vjepa1.VisionTransformer(**vjepa1.SHAPE)
    pooler = vjepa1.AttentivePooler(width, 2)
    states = []
    for module in (backbone, pooler):
        states.append({name: torch.randn(v.shape) * 0.2 for name, v in module.state_dict().items()})
    folder.mkdir()
    torch.save(
        {
            "target_encoder": {f"module.backbone.{name}": v for name, v in states[0].items()},
            "encoder": {},
            "epoch": 300,
        },
        folder / "vith16.pth.tar",
    )
    probe = {f"module.pooler.{name}": v for name, v in states[1].items()}
    linear = {"module.linear.weight": torch.zeros(174, width), "module.linear.bias": torch.zeros(1)}
    torch.save({"classifier": probe | linear, "epoch": 20}, folder / "ssv2-probe.pth.tar")
    return states[0], states[1]


def test_vjepa1_is_pooled_by_the_probe(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    width = 24
    monkeypatch.setattr(vjepa1, "SHAPE", {"width": width, "layers": 1, "heads": 2, "side": 224})
    folder = root / "vjepa1_vith16_ssv2"
    state, probe = _save_vjepa1(folder, width)
    encoder: Any = load_encoder("vjepa1_vith16_ssv2")
    mean, std = (
        torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    video = ((_squashed(antialias=True) - mean) / std).transpose(0, 1)[None]
    x = functional.conv3d(
        video, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=(2, 16, 16)
    )
    x = x.flatten(2).mT + state["pos_embed"]
    qkv = _linear(_norm(x, state, "blocks.0.norm1", 1e-6), state, "blocks.0.attn.qkv")
    x = x + _linear(_attention(*qkv.chunk(3, dim=-1)), state, "blocks.0.attn.proj")
    hidden = _linear(_norm(x, state, "blocks.0.norm2", 1e-6), state, "blocks.0.mlp.fc1")
    x = x + _linear(functional.gelu(hidden), state, "blocks.0.mlp.fc2")
    tokens = _norm(x, state, "norm", 1e-6)
    block = "cross_attention_block"
    query = probe["query_tokens"]
    normed = _norm(tokens, probe, f"{block}.norm1", 1e-5)
    key, value = _linear(normed, probe, f"{block}.xattn.kv").chunk(2, dim=-1)
    query = query + _attention(_linear(query, probe, f"{block}.xattn.q"), key, value)
    hidden = _linear(_norm(query, probe, f"{block}.norm2", 1e-5), probe, f"{block}.mlp.fc1")
    query = query + _linear(functional.gelu(hidden), probe, f"{block}.mlp.fc2")
    assert_allclose(encoder.encode_clips(CLIPS), query[:, 0].numpy(), atol=5e-5)

    (folder / "ssv2-probe.pth.tar").write_bytes((folder / "vith16.pth.tar").read_bytes())
    with pytest.raises(EvalError, match=r"ssv2-probe.pth.tar has no 'classifier'"):
        load_encoder("vjepa1_vith16_ssv2")


def test_vjepa2_is_what_its_classifier_reads(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from transformers import VJEPA2Config, VJEPA2ForVideoClassification
    from transformers.utils import logging

    from eval.encoders.preprocessing import VJEPA2_256
    from eval.encoders.vjepa2 import load
    from eval.encoders.weights import Location

    logging.disable_progress_bar()
    sizes = {"hidden_size": 48, "num_attention_heads": 2, "num_hidden_layers": 1}
    model = VJEPA2ForVideoClassification(
        VJEPA2Config(
            **sizes,
            crop_size=32,
            frames_per_clip=16,
            num_pooler_layers=1,
            pred_hidden_size=24,
            pred_num_hidden_layers=1,
            pred_num_attention_heads=2,
            pred_num_mask_tokens=1,
            num_labels=3,
        )
    ).eval()
    folder = root / "vjepa2_vitl_ssv2"
    model.save_pretrained(folder)
    files = {name: folder / name for name in ("config.json", "model.safetensors")}
    small = replace(VJEPA2_256, resize=36, crop=32)
    encoder: Any = load("vjepa2_vitl_ssv2", Location(folder, files), small, "cpu", "float32")
    pixels = small.apply(CLIPS[0, :16])[None]
    with torch.no_grad():
        features = torch.from_numpy(encoder.encode_clips(CLIPS))
        assert_allclose(model.classifier(features).numpy(), model(pixels).logits.numpy(), atol=1e-5)
    with pytest.raises(EvalError, match=r"states a crop of 32 px; the encoder is defined with 256"):
        load_encoder("vjepa2_vitl_ssv2")


def test_their_metrics_and_licences_are_in_the_catalogue(tmp_path: Path) -> None:
    from eval.commands.weights import rows

    ids = {metric.id for metric in catalogue()}
    assert {
        "fvd.videomae2_vitg_ssv2.cdfvd.v1",
        "jedi.vjepa1_vith16_ssv2.v1",
        "jedi.vjepa2_vitl_ssv2.v1",
        "jedi.videomae_glyph.v1",
        "cd_fvd.fvd.i3d_squash.v1",
    } <= ids
    assert not {"fvd.i3d.cdfvd.v1", "fvd.videomae_glyph.cdfvd.v1"} & ids
    assert "jedi.videomae.v1" not in ids
    real, fake = np.array([[0.0], [2.0]]), np.array([[1.0], [1.0]])
    for id, expected in (
        ("fvd.videomae2_vitg_ssv2.cdfvd.v1", 1.0),  # divided by N
        ("fvd.videomae2_vitg_ssv2.v1", 2.0),  # divided by N - 1
        ("jedi.vjepa1_vith16_ssv2.v1", 100 * (16 / 4 + 1 - 2 * 8 / 4)),
        ("jedi.vjepa2_vitl_ssv2.v1", 100 * (16 / 4 + 1 - 2 * 8 / 4)),
    ):
        assert registered(parse_metric(id)).formula(real, fake) == pytest.approx(expected)
    found = {row.encoder: row for row in rows()}
    assert found["vjepa1_vith16_ssv2"].licence == "CC-BY-NC-4.0"
    assert "https://dl.fbaipublicfiles.com/jepa/" in found["vjepa1_vith16_ssv2"].get
    assert found["amt_s"].licence == "CC-BY-NC-4.0"
    assert "Non-commercial" in found["dover_technical"].licence
    for id, option in (("pips2", "PIPS2"), ("dover_technical", "DOVER")):
        assert f"write a loader and name it in I2V_EVAL_{option}" in found[id].get
    assert found["videomae2_vitg_ssv2"].licence.startswith("not stated")


def test_missing_weights_say_what_to_type(no_weights: Path) -> None:
    for id in ("videomae2_vitg_ssv2", "vjepa1_vith16_ssv2", "vjepa2_vitl_ssv2"):
        with pytest.raises(WeightsMissingError, match=f"`i2v-eval weights get {id}` downloads"):
            encoder_fingerprint(id)
