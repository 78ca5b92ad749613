"""The raw results: one JSON file a device, in it one entry a family with the machine's state and
the code's.
"""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from eval.io.documents import read_json, write_json

RESULTS = Path(__file__).parent / "results"


def device_name(device: torch.device) -> str:
    """The GPU's name, or the processor's with its number of cores."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"{_processor()}, {os.cpu_count()} cores"


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        found = re.search(r"^model name\s*:\s*(.+)$", information.read_text(), re.MULTILINE)
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()


def environment(device: torch.device, commit: dict[str, Any], load: float) -> dict[str, Any]:
    """What a family's numbers depend on besides the code: versions, threads, `load` before the
    session.
    """
    import diffusers
    import scipy

    return {
        "commit": commit.get("id", "unknown"),
        "dirty": commit.get("dirty"),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "scipy": scipy.__version__,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "load": round(load, 2),
        "driver": _driver() if device.type == "cuda" else None,
    }


def _driver() -> str:
    import subprocess

    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip().splitlines()[0]


def busy(state: dict[str, Any]) -> bool:
    """Whether other work had more than a quarter of the cores when the session began."""
    return bool(state["load"] > state["cores"] / 4)


def save(folder: Path, name: str, device_type: str, families: dict[str, dict[str, Any]]) -> Path:
    """Writes the families into the device's file; families already there that were not run again
    stay.

    Args:
        folder: of the results.
        name: of the device.
        device_type: `cpu` or `cuda`.
        families: name -> environment and `rows`.
    """
    path = folder / f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.json"
    kept = read_json(path).get("families", {})
    content = {
        "device": name,
        "type": device_type,
        "families": dict(sorted((kept | families).items())),
    }
    write_json(path, content)
    return path
