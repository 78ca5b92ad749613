"""MUSIQ: technical quality of a frame, seen at three sizes by one transformer."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from eval.device import to_device
from eval.encoders.frame_scores import FrameScoreEncoder
from eval.encoders.i3d_port import same_padding
from eval.encoders.raft import load_state
from eval.encoders.weights import Location
from eval.io.arrays import Float32Array, UInt8Array

LONGEST = 512
"""Longer side, px, to which VBench shrinks larger frames first."""
SIDES = (224, 384)
"""Longer sides of the first two views; the third is the frame itself."""
PATCH = 32
GRID = 10
"""Positions along each axis."""


def protocol() -> str:
    """What the scores are, apart from the weights."""
    return (
        f"musiq 1: longer side at most {LONGEST}, bilinear no antialias, both sides rounded down; "
        f"rgb/127.5-1; views of longer side {', '.join(map(str, SIDES))} (bicubic, no antialias, "
        f"rounded) and as it is; patches of {PATCH} px; one frame at a time"
    )


class _Convolution(nn.Conv2d):
    """Without bias, with standardised weights, zeros around as TensorFlow's SAME."""

    def __init__(self, inward: int, outward: int, size: int, stride: int = 1) -> None:
        super().__init__(inward, outward, size, stride, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)
        weight = weight / (weight.std(dim=(1, 2, 3), keepdim=True) + 1e-5)
        padded = same_padding(hidden, self.kernel_size, self.stride)
        return functional.conv2d(padded, weight, stride=self.stride)


class _Bottleneck(nn.Module):
    def __init__(self, inward: int, outward: int) -> None:
        super().__init__()
        self.conv1 = _Convolution(inward, inward, 1)
        self.gn1 = nn.GroupNorm(32, inward, eps=1e-4)
        self.conv2 = _Convolution(inward, inward, 3)
        self.gn2 = nn.GroupNorm(32, inward, eps=1e-4)
        self.conv3 = _Convolution(inward, outward, 1)
        self.gn3 = nn.GroupNorm(32, outward, eps=1e-4)
        self.conv_proj = _Convolution(inward, outward, 1)
        self.gn_proj = nn.GroupNorm(32, outward, eps=1e-4)

    def forward(self, hidden: Tensor) -> Tensor:
        inner = functional.relu(self.gn1(self.conv1(hidden)))
        inner = functional.relu(self.gn2(self.conv2(inner)))
        return functional.relu(self.gn3(self.conv3(inner)) + self.gn_proj(self.conv_proj(hidden)))


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        for name in ("query", "key", "value", "out"):
            self.add_module(name, nn.Linear(width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = (
            self.get_submodule(name)(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return torch.as_tensor(self.get_submodule("out")(mixed.transpose(1, 2).flatten(2)))


class _Block(nn.Module):
    def __init__(self, width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attention = _Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, inner), "fc2": nn.Linear(inner, width)})

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attention(self.norm1(tokens))
        inner = functional.gelu(self.mlp["fc1"](self.norm2(tokens)))
        return torch.as_tensor(tokens + self.mlp["fc2"](inner))


class _Encoder(nn.Module):
    def __init__(self, width: int, inner: int, heads: int, layers: int) -> None:
        super().__init__()
        self.posembed_input = nn.ParameterDict(
            {"position_emb": nn.Parameter(torch.zeros(1, GRID * GRID, width))}
        )
        self.scaleembed_input = nn.ParameterDict(
            {"scale_emb": nn.Parameter(torch.zeros(len(SIDES) + 1, width))}
        )
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.encoder_norm = nn.LayerNorm(width, eps=1e-6)
        self.transformer = nn.ModuleDict(
            {f"encoderblock_{i}": _Block(width, inner, heads) for i in range(layers)}
        )

    def forward(self, tokens: Tensor, positions: Tensor, scales: Tensor) -> Tensor:
        """(1, T, width), (T,), (T,) -> the class token (1, width)."""
        tokens = tokens + self.posembed_input["position_emb"][0, positions]
        tokens = tokens + self.scaleembed_input["scale_emb"][scales]
        tokens = torch.cat([self.cls, tokens], dim=1)
        for block in self.transformer.values():
            tokens = block(tokens)
        return torch.as_tensor(self.encoder_norm(tokens)[:, 0])


class Musiq(nn.Module):
    """The network of the published weights; names of parameters are those of their PyTorch form.

    Published batches pad the smaller views with tokens that are masked out everywhere; one frame
    at a time needs none.

    Source: Ke et al. 2021, "MUSIQ: Multi-scale Image Quality Transformer".
    """

    def __init__(
        self, width: int = 384, inner: int = 1152, heads: int = 6, layers: int = 14
    ) -> None:
        super().__init__()
        self.conv_root = _Convolution(3, 64, 7, 2)
        self.gn_root = nn.GroupNorm(32, 64, eps=1e-6)
        self.block1 = _Bottleneck(64, 256)
        self.embedding = nn.Linear(256 * (PATCH // 4) ** 2, width)
        self.transformer_encoder = _Encoder(width, inner, heads, layers)
        self.head = nn.Linear(width, 1)

    def forward(self, frame: Tensor) -> Tensor:
        """float32 (1, 3, H, W) in [-1, 1] -> (1,)."""
        sizes = [_longer_side(frame, side) for side in SIDES]
        views = [
            functional.interpolate(frame, size, mode="bicubic", align_corners=False)
            for size in sizes
        ]
        patches, positions, scales = [], [], []
        for scale, view in enumerate([*views, frame]):
            padded = same_padding(view, (PATCH, PATCH), (PATCH, PATCH))
            rows, columns = (side // PATCH for side in padded.shape[2:])
            cut = padded.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)
            patches.append(cut.permute(0, 2, 3, 1, 4, 5).flatten(0, 2))
            places = _places(rows)[:, None] * GRID + _places(columns)
            positions.append(places.flatten().to(frame.device))
            scales.append(torch.full((rows * columns,), scale, device=frame.device))
        tokens = self.embedding(self._features(torch.cat(patches)))[None]
        found = self.transformer_encoder(tokens, torch.cat(positions), torch.cat(scales))
        return torch.as_tensor(self.head(found)[:, 0])

    def _features(self, patches: Tensor) -> Tensor:
        """(T, 3, 32, 32) -> (T, 16384), the channels of a place side by side."""
        hidden = functional.relu(self.gn_root(self.conv_root(patches)))
        hidden = functional.max_pool2d(same_padding(hidden, (3, 3), (2, 2)), 3, 2)
        return torch.as_tensor(self.block1(hidden).permute(0, 2, 3, 1).flatten(1))


def _longer_side(frame: Tensor, length: int) -> tuple[int, int]:
    height, width = frame.shape[2:]
    ratio = length / max(height, width)
    return max(1, round(height * ratio)), max(1, round(width * ratio))


def _places(count: int) -> Tensor:
    """The position of each of `count` patches along an axis, by nearest neighbour."""
    grid = torch.arange(GRID).float()[None, None]
    return functional.interpolate(grid, count, mode="nearest")[0, 0].long()


def load(
    id: str, location: Location, preprocessing: None, device: str, dtype: str
) -> FrameScoreEncoder:
    """Reads the state dict of the published weights, strictly.

    Raises:
        EvalError: an unreadable file, or weights that do not fit.
    """
    [path] = location.files.values()
    model = Musiq()
    load_state(model, id, path, "MUSIQ")
    model.to(device).eval()

    def score(frames: UInt8Array) -> Float32Array:
        with torch.inference_mode():
            found: Float32Array = model(prepared(frames, device)).float().cpu().numpy()
        return found

    return FrameScoreEncoder(id, score, 1)


def prepared(frames: UInt8Array, device: str = "cpu") -> Tensor:
    """uint8 (N, H, W, 3) RGB -> float32 (N, 3, h, w) in [-1, 1], shrunk as VBench does."""
    pixels = to_device(frames, device).permute(0, 3, 1, 2).float()
    height, width = pixels.shape[2:]
    if max(height, width) > LONGEST:
        scale = LONGEST / max(height, width)
        size = (max(1, math.floor(scale * height)), max(1, math.floor(scale * width)))
        pixels = functional.interpolate(pixels, size, mode="bilinear", align_corners=False)
    return (pixels / 255 - 0.5) * 2
