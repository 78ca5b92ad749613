"""V-JEPA ViT-H/16 with the attentive probe for Something-Something-v2: the features of JEDi."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from eval.encoders.preprocessing import Preprocessing
from eval.encoders.pretrained import read_state
from eval.encoders.video_batches import clip_features
from eval.encoders.weights import Location
from eval.errors import EvalError
from eval.io.arrays import Float32Array, UInt8Array

FRAMES = 16
BATCH = 2

SHAPE: Mapping[str, int] = {"width": 1280, "layers": 32, "heads": 16, "side": 224}
"""Of ViT-H/16."""
PATCH = (2, 16, 16)
"""Frames, rows and columns of a token."""

BACKBONE = "vith16.pth.tar"
PROBE = "ssv2-probe.pth.tar"


def protocol() -> str:
    """What the features are, apart from the preprocessing."""
    return (
        f"vjepa1 1: ViT-H/16, target encoder, first {FRAMES} consecutive frames, attentive pooler "
        "of the Something-Something-v2 probe, before its linear layer"
    )


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = self.qkv(tokens).chunk(3, dim=-1)
        return torch.as_tensor(self.proj(_attend(query, key, value, self.heads)))


class _CrossAttention(nn.Module):
    """The published one never applies its output projection, so neither does this."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, query: Tensor, tokens: Tensor) -> Tensor:
        key, value = self.kv(tokens).chunk(2, dim=-1)
        return _attend(self.q(query), key, value, self.heads)


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, *, cross: bool = False) -> None:
        super().__init__()
        eps = 1e-5 if cross else 1e-6
        self.norm1 = nn.LayerNorm(width, eps=eps)
        attention = _CrossAttention if cross else _Attention
        self.add_module("xattn" if cross else "attn", attention(width, heads))
        self.norm2 = nn.LayerNorm(width, eps=eps)
        inner = {"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)}
        self.mlp = nn.ModuleDict(inner)

    def forward(self, tokens: Tensor, query: Tensor | None = None) -> Tensor:
        """Tokens to tokens; with a query, that query after it has seen the tokens."""
        if query is None:
            mixed = tokens + self.get_submodule("attn")(self.norm1(tokens))
        else:
            mixed = query + self.get_submodule("xattn")(query, self.norm1(tokens))
        inner = functional.gelu(self.mlp["fc1"](self.norm2(mixed)))
        return torch.as_tensor(mixed + self.mlp["fc2"](inner))


class VisionTransformer(nn.Module):
    """Video (N, 3, 16, side, side) -> tokens (N, T, width).

    Source: Bardes et al. 2024, "Revisiting Feature Prediction for Learning Visual Representations
    from Video" (V-JEPA).
    """

    def __init__(self, width: int, layers: int, heads: int, side: int) -> None:
        super().__init__()
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv3d(3, width, PATCH, PATCH)})
        tokens = (FRAMES // PATCH[0]) * (side // PATCH[1]) ** 2
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, width))
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, videos: Tensor) -> Tensor:
        tokens = self.patch_embed["proj"](videos).flatten(2).transpose(1, 2) + self.pos_embed
        for block in self.blocks:
            tokens = block(tokens)
        return torch.as_tensor(self.norm(tokens))


class AttentivePooler(nn.Module):
    """Tokens (N, T, width) -> (N, width), by one learned query."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.query_tokens = nn.Parameter(torch.zeros(1, 1, width))
        self.cross_attention_block = _Block(width, heads, cross=True)

    def forward(self, tokens: Tensor) -> Tensor:
        query = self.query_tokens.expand(len(tokens), -1, -1)
        return torch.as_tensor(self.cross_attention_block(tokens, query)[:, 0])


def _attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    query, key, value = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key, value))
    mixed = functional.scaled_dot_product_attention(query, key, value)
    return mixed.transpose(1, 2).flatten(2)


class VJepa1Encoder:
    """Clips to float32 (N, 1280)."""

    kind = "video"

    def __init__(
        self,
        id: str,
        backbone: VisionTransformer,
        pooler: AttentivePooler,
        preprocessing: Preprocessing,
        device: str = "cpu",
    ) -> None:
        self.id = id
        self.fingerprint = ""
        self.frames = FRAMES
        self._backbone = backbone
        self._pooler = pooler
        self._preprocessing = preprocessing
        self._device = device

    def encode_clips(self, clips: UInt8Array) -> Float32Array:
        """uint8 (N, F, H, W, 3) -> float32 (N, 1280). Works through fixed batches of 2 clips.

        Raises:
            EvalError: another shape or dtype, or fewer than 16 frames.
        """

        def features(pixels: Tensor) -> Tensor:
            dtype = self._backbone.pos_embed.dtype
            tokens = self._backbone(pixels.transpose(1, 2).to(dtype))
            return torch.as_tensor(self._pooler(tokens))

        return clip_features(
            self.id, clips, self.frames, BATCH, self._preprocessing, self._device, features
        )


def load(
    id: str, location: Location, preprocessing: Preprocessing, device: str, dtype: str
) -> VJepa1Encoder:
    """Reads ``target_encoder`` of V-JEPA's checkpoint and ``classifier`` of the probe's, strictly.

    Raises:
        EvalError: an unreadable file, or weights that do not fit.
    """
    backbone_state = _below(id, location, BACKBONE, "target_encoder")
    probe_state = _below(id, location, PROBE, "classifier")
    pooler_state = {
        name.removeprefix("pooler."): value
        for name, value in probe_state.items()
        if name.startswith("pooler.")
    }
    with torch.device("meta"):
        backbone = VisionTransformer(**SHAPE)
        pooler = AttentivePooler(SHAPE["width"], SHAPE["heads"])
    for module, state, file in (
        (backbone, backbone_state, BACKBONE),
        (pooler, pooler_state, PROBE),
    ):
        try:
            module.load_state_dict(state, strict=True, assign=True)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise EvalError(
                f"encoder {id!r}: {location.files[file]} does not fit V-JEPA ViT-H/16: {reason}"
            ) from error
        module.requires_grad_(False).to(device, getattr(torch, dtype)).eval()
    return VJepa1Encoder(id, backbone, pooler, preprocessing, device)


def _below(id: str, location: Location, file: str, key: str) -> dict[str, Tensor]:
    """The tensors below one key of a checkpoint, without the prefixes of its training."""
    path = location.files[file]
    state: Any = read_state(id, path, mmap=True).get(key)
    if not isinstance(state, Mapping):
        raise EvalError(f"encoder {id!r}: {path} has no '{key}'")
    return {  # copies: what is mapped would change with the file
        name.replace("module.", "").replace("backbone.", ""): value.clone()
        for name, value in state.items()
    }
