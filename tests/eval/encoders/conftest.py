"""Tiny models with random weights, saved in the layout the encoders read."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

MakeWeights = Callable[..., Path]


def _dino(folder: Path, **changes: Any) -> None:
    from transformers import ViTConfig, ViTModel

    settings = {
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "image_size": 64,
        "patch_size": 16,
    }
    ViTModel(ViTConfig(**(settings | changes)), add_pooling_layer=False).save_pretrained(folder)


def _clip(folder: Path, **changes: Any) -> None:
    import open_clip
    from safetensors.torch import save_file

    from eval.world.tokenizer import WordTokenizer

    words = WordTokenizer()
    config: dict[str, Any] = {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": 64,
            "layers": 1,
            "width": 32,
            "patch_size": 16,
            "head_width": 16,
        },
        "text_cfg": {
            "context_length": 16,
            "vocab_size": len(words),
            "width": 32,
            "heads": 2,
            "layers": 1,
        },
    } | changes
    folder.mkdir(parents=True)
    words.save(folder / "vocab.json")
    state = open_clip.CLIP(**config).state_dict()
    save_file(
        {name: tensor.contiguous() for name, tensor in state.items()}, folder / "model.safetensors"
    )
    preprocessing = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": preprocessing})
    )


def _videomae(folder: Path, **changes: Any) -> None:
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification

    settings = {
        "hidden_size": 24,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "image_size": 64,
        "patch_size": 16,
        "num_frames": 8,
        "num_labels": 3,
    }
    VideoMAEForVideoClassification(VideoMAEConfig(**(settings | changes))).save_pretrained(folder)


@pytest.fixture
def make_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeWeights:
    """Saves random weights below a folder that ``I2V_EVAL_WEIGHTS`` names: (id, seed=0, **config)
    -> folder.
    """
    root = tmp_path / "weights"
    monkeypatch.setenv("I2V_EVAL_WEIGHTS", str(root))
    makers = {
        "dino_glyph": _dino,
        "dino_vits16": _dino,
        "clip_glyph": _clip,
        "videomae_glyph": _videomae,
    }

    def make(id: str, seed: int = 0, **changes: Any) -> Path:
        import torch
        from transformers.utils import logging

        logging.disable_progress_bar()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            makers[id](root / id, **changes)
        return root / id

    return make


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches and an empty ``I2V_EVAL_WEIGHTS``; returns the latter."""
    import huggingface_hub.constants

    from eval.encoders import weights

    root = tmp_path / "empty"
    root.mkdir()
    monkeypatch.setenv(weights.OPTION, str(root))
    monkeypatch.setenv("TORCH_HOME", str(root / "torch"))
    monkeypatch.setattr(weights, "EMBEDDED", root / "embedded")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", os.fspath(root / "hub"))
    return root


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which weights are looked for; models that are built are always the same."""
    monkeypatch.setenv("I2V_EVAL_WEIGHTS", str(tmp_path))
    torch.manual_seed(0)
    return tmp_path


@pytest.fixture
def frames() -> np.ndarray:
    """Three noisy frames of 40 x 72 px."""
    return np.random.default_rng(0).integers(0, 256, (3, 40, 72, 3), dtype=np.uint8)
