"""DreamSim: three transformers with LoRA, against a plain reference and published distances."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.nn import functional
from torchvision import transforms

from eval.encoders import dreamsim, load_encoder
from eval.errors import EvalError, WeightsMissingError


def _reference_vit(
    state: Mapping[str, torch.Tensor],
    lora: Mapping[str, tuple[torch.Tensor, torch.Tensor]],
    pixels: torch.Tensor,
    *,
    scale: float,
    clip: bool,
    gelu: Any,
    final: bool,
) -> torch.Tensor:
    """A ViT of one block and two heads, whose LoRA is added to the output of qkv."""
    eps = 1e-5 if clip else 1e-6

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.layer_norm(
            x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], eps
        )

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    patches = functional.conv2d(
        pixels, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=16
    )
    x = torch.cat([state["cls_token"].expand(len(pixels), -1, -1), patches.flatten(2).mT], dim=1)
    x = x + state["pos_embed"]
    x = norm(x, "pos_drop") if clip else x
    inner = norm(x, "blocks.0.norm1")
    down, up = lora["blocks.0.attn.qkv"]
    qkv = linear(inner, "blocks.0.attn.qkv") + scale * (inner @ down.T) @ up.T
    width = x.shape[-1]
    mixed = []
    for head in range(2):
        part = slice(head * width // 2, (head + 1) * width // 2)
        query, key, value = (qkv[..., i * width : (i + 1) * width][..., part] for i in range(3))
        mixed.append((query @ key.mT / (width // 2) ** 0.5).softmax(dim=-1) @ value)
    x = x + linear(torch.cat(mixed, dim=-1), "blocks.0.attn.proj")
    x = x + linear(gelu(linear(norm(x, "blocks.0.norm2"), "blocks.0.mlp.fc1")), "blocks.0.mlp.fc2")
    return (norm(x, "norm") if final else x)[:, 0]


def _save_dreamsim(folder: Path, width: int = 24) -> tuple[list[Any], list[Any]]:
    """DreamSim's files with random weights of one small block; the states and the LoRA pairs."""
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "ensemble_lora").mkdir()
    shapes = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, 197, width),
        "patch_embed.proj.weight": (width, 3, 16, 16),
        "patch_embed.proj.bias": (width,),
        "blocks.0.attn.qkv.weight": (3 * width, width),
        "blocks.0.attn.qkv.bias": (3 * width,),
        "blocks.0.attn.proj.weight": (width, width),
        "blocks.0.attn.proj.bias": (width,),
        "blocks.0.mlp.fc1.weight": (4 * width, width),
        "blocks.0.mlp.fc1.bias": (4 * width,),
        "blocks.0.mlp.fc2.weight": (width, 4 * width),
        "blocks.0.mlp.fc2.bias": (width,),
    }
    norms = ["blocks.0.norm1", "blocks.0.norm2", "norm"]
    states = []
    for number in range(3):
        own = shapes | {
            f"{name}.{part}": (width,)
            for name in norms + ["pos_drop"] * (number > 0)
            for part in ("weight", "bias")
        }
        states.append({name: torch.randn(shape) * 0.3 for name, shape in own.items()})
    projections = [torch.randn(width, 512) * 0.1 for _ in range(2)]
    torch.save(states[0], folder / "checkpoints" / "dino_vitbase16_pretrain.pth")
    for name, state, projection in zip(("clip", "open_clip"), states[1:], projections, strict=True):
        torch.save(
            {"state_dict": state | {"proj": projection}}, folder / f"{name}_vitb16_pretrain.pth.tar"
        )
    pairs = [(torch.randn(4, width) * 0.3, torch.randn(3 * width, 4) * 0.3) for _ in range(3)]
    adapter = {
        f"base_model.model.extractor_list.{i}.model.blocks.0.attn.qkv.lora_{side}.weight": tensor
        for i, pair in enumerate(pairs)
        for side, tensor in zip("AB", pair, strict=True)
    }
    torch.save(adapter, folder / "ensemble_lora" / "adapter_model.bin")
    config = {"r": 4, "lora_alpha": 2, "target_modules": ["qkv"]}
    (folder / "ensemble_lora" / "adapter_config.json").write_text(json.dumps(config))
    return states, [*zip([None, *projections], pairs, strict=True)]


def test_dreamsim_is_three_transformers_with_lora(
    root: Path, frames: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dreamsim, "SHAPE", {"embed_dim": 24, "depth": 1, "num_heads": 2})
    folder = root / "dreamsim_ensemble"
    states, others = _save_dreamsim(folder)
    encoder: Any = load_encoder("dreamsim_ensemble")
    means = [((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))] + [
        ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
    ] * 2
    gelus = (functional.gelu, lambda x: x * torch.sigmoid(1.702 * x), functional.gelu)

    def expected(pixels: torch.Tensor) -> np.ndarray:
        parts = []
        for number, (state, (projection, pair)) in enumerate(zip(states, others, strict=True)):
            token = _reference_vit(
                state,
                {"blocks.0.attn.qkv": pair},
                transforms.Normalize(*means[number])(pixels),
                scale=0.5,
                clip=number > 0,
                gelu=gelus[number],
                final=number > 0,
            )
            parts.append(token if projection is None else token @ projection)
        joint = torch.cat(parts, dim=1)
        joint = joint - joint.mean(dim=1, keepdim=True)
        return functional.normalize(joint).numpy()

    bicubic = transforms.InterpolationMode.BICUBIC
    for view, antialias in (("vbench", True), ("vbench_noaa", False)):
        resize = transforms.Resize((224, 224), interpolation=bicubic, antialias=antialias)
        pixels = resize(torch.from_numpy(frames).permute(0, 3, 1, 2).float()).div(255.0)
        assert_allclose(encoder.encode_frames(frames, view=view), expected(pixels), atol=2e-5)
    from PIL import Image

    image = Image.fromarray(frames[0]).resize((224, 224), Image.Resampling.BICUBIC)
    pixels = transforms.functional.to_tensor(image)[None]
    assert_allclose(encoder.encode_image(frames[0], view="vbench"), expected(pixels)[0], atol=2e-5)


def test_dreamsim_files_that_do_not_fit_are_named(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = root / "dreamsim_ensemble"
    _save_dreamsim(folder)
    with pytest.raises(EvalError, match=r"dino_vitbase16_pretrain.pth does not fit ViT-B/16"):
        load_encoder("dreamsim_ensemble")
    monkeypatch.setattr(dreamsim, "SHAPE", {"embed_dim": 24, "depth": 1, "num_heads": 2})
    adapter = folder / "ensemble_lora" / "adapter_model.bin"
    state = torch.load(adapter, weights_only=True)
    torch.save(state | {"base_model.model.mlp.lora_A.weight": torch.zeros(1)}, adapter)
    with pytest.raises(EvalError, match=r"base_model.model.mlp.lora_A.weight is not of DreamSim"):
        load_encoder("dreamsim_ensemble")
    config = folder / "ensemble_lora" / "adapter_config.json"
    for content, message in (("{", "cannot be read"), ("{}", "is no LoRA configuration: KeyError")):
        config.write_text(content)
        with pytest.raises(EvalError, match=f"'dreamsim_ensemble': .*{config.name} {message}"):
            load_encoder("dreamsim_ensemble")
    (folder / "clip_vitb16_pretrain.pth.tar").unlink()
    with pytest.raises(WeightsMissingError, match=r"no clip_vitb16_pretrain.pth.tar.*weights get"):
        load_encoder("dreamsim_ensemble")


def test_the_published_distances_of_dreamsim() -> None:
    folder = Path(os.environ.get("I2V_EVAL_WEIGHTS", "/nowhere")) / "goldens"
    names = ("ref_1.png", "img_a_1.png", "img_b_1.png")
    if not all((folder / name).is_file() for name in names):
        pytest.skip("dreamsim_ensemble: no I2V_EVAL_WEIGHTS/goldens/ref_1.png (DreamSim, images)")
    from PIL import Image

    try:
        encoder: Any = load_encoder("dreamsim_ensemble")
    except WeightsMissingError as error:
        pytest.skip(f"dreamsim_ensemble: {error}")
    reference, first, second = (
        encoder.encode_image(np.array(Image.open(folder / n).convert("RGB")), view="vbench")
        for n in names
    )
    assert 1 - reference @ first == pytest.approx(0.4453, abs=1e-3)
    assert 1 - reference @ second == pytest.approx(0.2756, abs=1e-3)
