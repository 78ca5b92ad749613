"""Optical flow by RAFT, the network of the published motion scores."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from eval.device import to_device
from eval.encoders.flow import check_pairs
from eval.encoders.weights import Location
from eval.errors import EvalError
from eval.io.arrays import Float32Array, Frames

SMALLEST = 128
"""Shorter side, px, that RAFT needs; smaller frames are enlarged by a whole factor."""

UPDATES = 20
"""Recurrent updates, as EvalCrafter and VBench use."""

BATCH = 4
"""Pairs that go together on a CPU."""
GPU_BATCH = 15
"""Pairs that go together on a GPU: those of a clip of 16 frames."""


def protocol() -> str:
    """What the flow is, apart from the weights."""
    return (
        f"raft 2: rgb/127.5-1, {UPDATES} updates, bicubic enlargement by a whole factor to "
        f"{SMALLEST} px, "
        "edges repeated on both sides to a multiple of 8, flow averaged down"
    )


class RaftEncoder:
    """torchvision `raft_large` or `raft_small`; float32 flow in px of the given frames.

    Nearly static pairs carry network noise of some hundredths of a pixel; compare with a still clip
    before reading small values.

    Source: Teed and Deng 2020, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow".
    """

    kind = "flow"

    def __init__(self, id: str, model: Any, device: str = "cpu") -> None:
        self.id = id
        self.fingerprint = ""
        self._model = model
        self._device = device
        self.pairs_at_once = BATCH if device == "cpu" else GPU_BATCH

    def encode_pairs(self, first: Frames, second: Frames) -> Float32Array:
        """(N, H, W, 3) RGB twice -> float32 (N, H, W, 2): (dx, dy) in px. Works through batches of
        `pairs_at_once` pairs.

        Args:
            first: uint8; or float32 in [0, 1], which the network is shown as values of 0 to 1 out
                of 255, as EvalCrafter does for its warping error.
            second: as `first`.

        Raises:
            EvalError: another shape or dtype, or frames of two shapes.
        """
        check_pairs(first, second)
        size = self.pairs_at_once
        return np.concatenate(
            [
                self._batch(first[start : start + size], second[start : start + size])
                for start in range(0, len(first), size)
            ]
        )

    def _batch(self, first: Frames, second: Frames) -> Float32Array:
        import torch
        from torch.nn import functional

        height, width = first.shape[1:3]
        factor = -(-SMALLEST // min(height, width))
        size = (height * factor, width * factor)
        top, left = (-side % 8 // 2 for side in size)
        padding = (left, -size[1] % 8 - left, top, -size[0] % 8 - top)

        def prepare(frames: Frames) -> torch.Tensor:
            pixels = to_device(frames, self._device).permute(0, 3, 1, 2).float() / 127.5 - 1
            if factor > 1:
                pixels = functional.interpolate(
                    pixels, size, mode="bicubic", align_corners=False
                ).clamp(-1, 1)
            return functional.pad(pixels, padding, mode="replicate")

        with torch.inference_mode():
            flow = self._model(prepare(first), prepare(second), num_flow_updates=UPDATES)[-1]
            flow = flow[:, :, top : top + size[0], left : left + size[1]]
            flow = functional.avg_pool2d(flow, factor) / factor
        return np.asarray(flow.permute(0, 2, 3, 1).cpu().numpy(), dtype=np.float32)


def load(id: str, location: Location, preprocessing: None, device: str, dtype: str) -> RaftEncoder:
    """Builds `raft_small` for the id of that name, else `raft_large`, and loads a state dict
    strictly.

    Raises:
        EvalError: an unreadable file, or weights that do not fit.
    """
    from torchvision.models import optical_flow

    name = "raft_small" if id == "raft_small" else "raft_large"
    [path] = location.files.values()
    model = getattr(optical_flow, name)(weights=None)
    load_state(model, id, path, name)
    return RaftEncoder(id, model.to(device).eval(), device)


def load_state(model: Any, id: str, path: Path, name: str, *, prefix: str = "") -> None:
    """Loads a state dict (``.pth`` or ``.safetensors``), or its entries below `prefix`, into a
    torch module, strictly.

    Raises:
        EvalError: an unreadable file, or weights that do not fit; `name` names the network.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, "cpu", weights_only=True)
        )
        state = {
            key.removeprefix(prefix): value
            for key, value in state.items()
            if key.startswith(prefix)
        }
        model.load_state_dict(state, strict=True)
    except (
        RuntimeError,
        SafetensorError,
        pickle.UnpicklingError,
        TypeError,
        AttributeError,
        EOFError,
    ) as error:
        reason = " ".join(str(error).split())[:200]
        raise EvalError(
            f"encoder {id!r}: {path} does not hold the weights of {name}: {reason}"
        ) from error
