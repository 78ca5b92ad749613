"""The other port of the Kinetics-400 I3D network: plain PyTorch, as VideoGPT and cd-fvd use it."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from eval.encoders.i3d import FRAMES, LOGITS, I3DEncoder
from eval.encoders.preprocessing import Preprocessing
from eval.encoders.raft import load_state
from eval.encoders.weights import Location

_MIXED = {
    "3b": (192, (64, 96, 128, 16, 32, 32)),
    "3c": (256, (128, 128, 192, 32, 96, 64)),
    "4b": (480, (192, 96, 208, 16, 48, 64)),
    "4c": (512, (160, 112, 224, 24, 64, 64)),
    "4d": (512, (128, 128, 256, 24, 64, 64)),
    "4e": (512, (112, 144, 288, 32, 64, 64)),
    "4f": (528, (256, 160, 320, 32, 128, 128)),
    "5b": (832, (256, 160, 320, 32, 128, 128)),
    "5c": (832, (384, 192, 384, 48, 128, 128)),
}
"""Block -> channels in, and out of its six convolutions."""


def protocol() -> str:
    """What the features are, apart from the preprocessing."""
    return f"i3d port 1: first {FRAMES} consecutive frames, {LOGITS} logits before the softmax"


class I3D(nn.Module):
    """Two-stream inflated Inception-v1, its RGB half; parameter names are those of the port.

    Source: Carreira and Zisserman 2017, "Quo Vadis, Action Recognition?", figure 3; padding as
    TensorFlow's SAME.
    """

    def __init__(self, classes: int = LOGITS) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = _Convolution(3, 64, 7, 2)
        self.Conv3d_2b_1x1 = _Convolution(64, 64, 1)
        self.Conv3d_2c_3x3 = _Convolution(64, 192, 3)
        for name, (inward, outward) in _MIXED.items():
            self.add_module(f"Mixed_{name}", _Mixed(inward, outward))
        self.logits = _Convolution(1024, classes, 1, plain=True)

    def forward(
        self,
        videos: Tensor,
        rescale: bool = False,
        resize: bool = False,
        return_features: bool = True,
    ) -> Tensor:
        """float32 (N, 3, F, 224, 224) in [-1, 1] -> (N, classes) logits; the flags are those of the
        TorchScript port and have no effect."""
        hidden = _pool(self.Conv3d_1a_7x7(videos), (1, 3, 3), (1, 2, 2))
        hidden = self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(hidden))
        hidden = _pool(hidden, (1, 3, 3), (1, 2, 2))
        for name in _MIXED:
            hidden = self.get_submodule(f"Mixed_{name}")(hidden)
            if name == "3c":
                hidden = _pool(hidden, (3, 3, 3), (2, 2, 2))
            if name == "4f":
                hidden = _pool(hidden, (2, 2, 2), (2, 2, 2))
        hidden = functional.avg_pool3d(hidden, (2, 7, 7), stride=1)
        return torch.as_tensor(self.logits(hidden)[..., 0, 0].mean(dim=2))


class _Convolution(nn.Module):
    def __init__(
        self, inward: int, outward: int, size: int, stride: int = 1, *, plain: bool = False
    ) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(inward, outward, size, stride, bias=plain)
        self.bn = None if plain else nn.BatchNorm3d(outward, eps=1e-3)

    def forward(self, hidden: Tensor) -> Tensor:
        size, stride = self.conv3d.kernel_size, self.conv3d.stride
        hidden = self.conv3d(same_padding(hidden, size, stride))
        return hidden if self.bn is None else functional.relu(self.bn(hidden))


class _Mixed(nn.Module):
    def __init__(self, inward: int, outward: tuple[int, ...]) -> None:
        super().__init__()
        self.b0 = _Convolution(inward, outward[0], 1)
        self.b1a = _Convolution(inward, outward[1], 1)
        self.b1b = _Convolution(outward[1], outward[2], 3)
        self.b2a = _Convolution(inward, outward[3], 1)
        self.b2b = _Convolution(outward[3], outward[4], 3)
        self.b3b = _Convolution(inward, outward[5], 1)

    def forward(self, hidden: Tensor) -> Tensor:
        pooled = _pool(hidden, (3, 3, 3), (1, 1, 1))
        branches = (
            self.b0(hidden),
            self.b1b(self.b1a(hidden)),
            self.b2b(self.b2a(hidden)),
            self.b3b(pooled),
        )
        return torch.cat(branches, dim=1)


def same_padding(hidden: Tensor, size: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Zeros around the last three axes, so that a kernel of this size and stride gives
    ceil(length / stride) places along each; of an odd number the larger half goes behind."""
    padding: list[int] = []
    for length, kernel, step in zip(hidden.shape[2:], size, stride, strict=True):
        missing = max(0, (math.ceil(length / step) - 1) * step + kernel - length)
        padding = [missing // 2, missing - missing // 2, *padding]
    return functional.pad(hidden, padding)


def _pool(hidden: Tensor, size: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    return functional.max_pool3d(same_padding(hidden, size, stride), size, stride)


def load(
    id: str, location: Location, preprocessing: Preprocessing, device: str, dtype: str
) -> I3DEncoder:
    """Reads the port's state dict, strictly.

    Raises:
        EvalError: an unreadable file, or weights that do not fit.
    """
    [path] = location.files.values()
    model = I3D()
    load_state(model, id, path, "I3D")
    return I3DEncoder(id, model.to(device).eval(), preprocessing, device)
