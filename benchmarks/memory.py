"""Peak memory of a call: CUDA's own counters, or live tensor bytes counted where there are none."""

from __future__ import annotations

import resource
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of storages that operations make and that are alive, and their peak.

    Tensors that were there before do not count, nor does scratch space inside an operation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        before = {
            _key(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)
        }
        result = func(*args, **kwargs)
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor) and _key(leaf) not in before:
                self._add(leaf.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def _key(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata


def peak_memory(run: Callable[[], Any], device: torch.device) -> dict[str, int | None]:
    """Runs once. Bytes: `working` (peak beyond what was allocated before), and the peaks
    `allocated`, `reserved` (CUDA's, else None) and `process` (CUDA: device memory in use after the
    call; CPU: the process's peak so far).
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        torch.cuda.synchronize(device)
        allocated = torch.cuda.max_memory_allocated(device)
        free, total = torch.cuda.mem_get_info(device)
        reserved = torch.cuda.max_memory_reserved(device)
        return {
            "working": allocated - before,
            "allocated": allocated,
            "reserved": reserved,
            "process": total - free,
        }
    with LiveBytes() as live:
        run()
    process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"working": live.peak, "allocated": None, "reserved": None, "process": process}


def parameter_bytes(*modules: torch.nn.Module) -> int:
    """Bytes of all distinct parameters."""
    parameters = {id(p): p for module in modules for p in module.parameters()}
    return sum(p.numel() * p.element_size() for p in parameters.values())
