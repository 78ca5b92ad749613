"""DreamSim's ensemble: what people see as similar, by three vision transformers with LoRA."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eval.encoders.frame_features import FrameEncoder
from eval.encoders.preprocessing import Preprocessing
from eval.encoders.pretrained import read_state, unit_rows
from eval.encoders.weights import Location
from eval.errors import EvalError
from eval.io.model_json import read_object

BATCH = 16

DINO = "checkpoints/dino_vitbase16_pretrain.pth|dino_vitbase16_pretrain.pth"
CLIP = "clip_vitb16_pretrain.pth.tar"
OPEN_CLIP = "open_clip_vitb16_pretrain.pth.tar"
LORA = "ensemble_lora/adapter_model.safetensors|ensemble_lora/adapter_model.bin"
LORA_CONFIG = "ensemble_lora/adapter_config.json"
FILES = (DINO, CLIP, OPEN_CLIP, LORA, LORA_CONFIG)
"""Files of the encoder's folder, as DreamSim's archive and torch.hub lay them out."""

SHAPE: dict[str, Any] = {"embed_dim": 768, "depth": 12, "num_heads": 12}
"""Of each vision transformer: ViT-B."""

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_OPENAI = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_NORMALISATION = (_IMAGENET, _OPENAI, _OPENAI)


def protocol() -> str:
    """What the features are, apart from the preprocessing."""
    return (
        "dreamsim 1: ensemble of DINO (class token before the final norm), CLIP and OpenCLIP "
        "(projected), each ViT-B/16 with its LoRA; concatenated, less their own mean, length 1"
    )


class DreamSimEncoder(FrameEncoder):
    """Features float32 (N, 1792) of length 1; 1 - cosine is DreamSim's distance.

    Source: Fu et al. 2023, "DreamSim: Learning New Dimensions of Human Visual Similarity using
    Synthetic Data".
    """

    kind = "image"
    batch = BATCH

    def __init__(
        self,
        id: str,
        branches: list[Any],
        projections: list[Any],
        preprocessing: Preprocessing,
        device: str = "cpu",
    ) -> None:
        super().__init__(id, preprocessing, device)
        self._branches = branches
        self._projections = projections

    def _encode(self, pixels: Any) -> npt.NDArray[np.float32]:
        import torch

        features = []
        with torch.inference_mode():
            for branch, projection, normalisation in zip(
                self._branches, self._projections, _NORMALISATION, strict=True
            ):
                mean, std = (
                    torch.tensor(value, device=pixels.device).view(1, 3, 1, 1)
                    for value in normalisation
                )
                token = branch.forward_features((pixels - mean) / std)[:, 0]
                features.append(token if projection is None else token @ projection)
            joint = torch.cat(features, dim=1)
            return unit_rows(joint - joint.mean(dim=1, keepdim=True))


def load(
    id: str, location: Location, preprocessing: Preprocessing, device: str, dtype: str
) -> DreamSimEncoder:
    """Builds the three transformers with timm and adds their LoRA to the weights, strictly.

    Raises:
        EvalError: a file that cannot be read or does not fit.
    """
    import torch

    files = location.files
    states = [
        read_state(id, files[DINO]),
        _state_dict(id, files[CLIP]),
        _state_dict(id, files[OPEN_CLIP]),
    ]
    projections = [None, states[1].pop("proj", None), states[2].pop("proj", None)]
    lora = _lora(id, read_state(id, files[LORA]), files[LORA_CONFIG])
    branches = []
    for number, state in enumerate(states):
        with torch.device("meta"):
            branch = _vision_transformer(number)
        renamed = {name.replace("pos_drop.", "norm_pre."): value for name, value in state.items()}
        for name, change in lora.get(number, {}).items():
            if name not in renamed:
                raise EvalError(f"encoder {id!r}: {files[LORA]} changes {name}, which is not there")
            renamed[name] = renamed[name] + change
        try:
            branch.load_state_dict(renamed, strict=True, assign=True)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            path = files[(DINO, CLIP, OPEN_CLIP)[number]]
            raise EvalError(f"encoder {id!r}: {path} does not fit ViT-B/16: {reason}") from error
        if number == 0:
            branch.norm = torch.nn.Identity()
        elif projections[number] is None:
            path = files[(DINO, CLIP, OPEN_CLIP)[number]]
            raise EvalError(f"encoder {id!r}: {path} lacks the projection 'proj'")
        else:
            projections[number] = projections[number].float().to(device)
        branches.append(branch.float().to(device).eval().requires_grad_(False))
    return DreamSimEncoder(id, branches, projections, preprocessing, device)


def _vision_transformer(number: int) -> Any:
    """ViT-B/16: of DINO (0), of CLIP with its own GELU (1), of OpenCLIP (2)."""
    from timm.layers import QuickGELU
    from timm.models.vision_transformer import VisionTransformer
    from torch import nn

    norm = partial(nn.LayerNorm, eps=1e-5 if number else 1e-6)
    branch: Any = VisionTransformer(
        **SHAPE,
        img_size=224,
        patch_size=16,
        num_classes=0,
        norm_layer=norm,
        act_layer=QuickGELU if number == 1 else nn.GELU,
    )
    if number:
        branch.norm_pre = norm(SHAPE["embed_dim"])
    return branch


def _state_dict(id: str, path: Path) -> dict[str, Any]:
    """The tensors below ``state_dict`` of a checkpoint that may hold other plain values too."""
    state: Any = read_state(id, path)
    if not isinstance(state.get("state_dict"), Mapping):
        raise EvalError(f"encoder {id!r}: {path} has no 'state_dict'")
    return dict(state["state_dict"])


def _lora(id: str, state: Mapping[str, Any], config_file: Path) -> dict[int, dict[str, Any]]:
    """Branch -> name of a weight -> what LoRA adds to it."""
    config = read_object(f"encoder {id!r}", config_file)
    try:
        scale = float(config["lora_alpha"]) / float(config["r"])
    except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise EvalError(f"encoder {id!r}: {config_file} is no LoRA configuration: {error!r}") from (
            error
        )
    found: dict[int, dict[str, Any]] = {}
    start, middle, end = "base_model.model.extractor_list.", ".model.", ".lora_A.weight"
    pairs = {name for name in state if name.endswith(end)}
    for name in sorted(state):
        number, _, weight = name.removeprefix(start).partition(middle)
        partner = name.replace(".lora_B.", ".lora_A.")
        known = name.startswith(start) and number.isdigit() and partner in pairs
        if not known or name.replace(".lora_A.", ".lora_B.") not in state:
            raise EvalError(f"encoder {id!r}: LoRA weight {name} is not of DreamSim's ensemble")
        if name in pairs:
            down, up = state[name].float(), state[name.replace(".lora_A.", ".lora_B.")].float()
            weight = f"{weight.removesuffix(end)}.weight"
            found.setdefault(int(number), {})[weight] = scale * (up @ down)
    return found
