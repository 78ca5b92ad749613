"""run.json: what was asked, by which code and weights, on which machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eval.errors import EvalError
from eval.io.documents import read_json, write_json
from eval.io.files import file_sha256
from eval.measure.selection import GLYPH, of_the_glyph_world
from eval.methods import first_frame
from eval.plan.cells import Plan
from eval.store.received import read_run
from eval.summary.cautions import Caution, documents
from eval.world.models import WEIGHTS

PACKAGES = (
    "i2v-adapter",
    "torch",
    "diffusers",
    "transformers",
    "open_clip_torch",
    "torchvision",
    "accelerate",
    "safetensors",
    "numpy",
    "scipy",
    "opencv-python-headless",
    "av",
    "pillow",
    "pydantic",
)

_METRIC_FIELDS = ("id", "family", "encoder", "unit", "higher_is_better", "description", "source")
"""What is recorded of each metric: a report needs neither the code of one's own metrics nor this
version of the suite."""


class RunDocument:
    """The run folder's ``run.json``, written whole at the start and at the end.

    Code, versions and machine are those of the last run that made something: a run that finds
    nothing to do keeps them.

    Args:
        folder: the run folder.
        plan: what will be done.
        encoders: encoder id -> fingerprint.
        stale: whether clips or records have to be made.
        storage: where clips and features lie, if not in the run folder.
    """

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        encoders: Mapping[str, str],
        *,
        stale: bool,
        storage: str | None = None,
    ) -> None:
        self.path = folder / "run.json"
        previous = read_run(folder)
        self._fresh = stale or not previous.get("finished")
        machine = _machine()
        machine["torch_threads"] = machine["torch_threads"] or previous.get("machine", {}).get(
            "torch_threads"
        )
        commit, dirty = _commit()
        origin = {"commit": commit, "dirty": dirty, "versions": _versions(), "machine": machine}
        kept = {key: previous[key] for key in (*origin, "finished") if key in previous}
        self._content: dict[str, Any] = {
            "suite": plan.suite.model_dump(mode="json"),
            "cells": [
                {
                    "id": cell.id,
                    "method": cell.method,
                    "settings": cell.settings,
                    **({"base": dict(cell.base)} if cell.base else {}),
                    "fingerprint": cell.fingerprint,
                    "first_frame": first_frame(cell.instance),
                    "clips": len(plan.pairs(cell)),
                }
                for cell in plan.cells
            ],
            "metrics": [
                {name: getattr(metric, name) for name in _METRIC_FIELDS} for metric in plan.metrics
            ],
            "seeds": plan.suite.seeds,
            "encoders": dict(sorted(encoders.items())),
            "created": previous.get("created") or _now(),
            **(origin | {"finished": None} if self._fresh else kept),
            **({"storage": storage} if storage else {}),
            **_world(plan),
            "counts": previous.get("counts", {}),
            "warnings": previous.get("warnings", []),
            "cautions": previous.get("cautions", []),
        }

    def started(self) -> None:
        """Writes the document with ``finished`` null, if there is something to do."""
        if self._fresh:
            self._write()

    def finished(
        self,
        counts: Mapping[str, int],
        warnings: Sequence[str | Caution],
        seconds: Mapping[str, float] | None = None,
        devices: Mapping[str, Mapping[str, int]] | None = None,
    ) -> None:
        """Writes the document as final; `seconds` holds each cell's median wall time to make a
        clip, `devices` how many clips were made and measured on which.
        """
        if self._fresh:
            self._content["machine"]["torch_threads"] = (
                _torch_threads() or self._content["machine"]["torch_threads"]
            )
            self._content["finished"] = _now()
        cautions = [one for one in warnings if isinstance(one, Caution)]
        self._content |= {
            "counts": dict(counts),
            "warnings": list(map(str, warnings)),
            "cautions": documents(cautions),
        }
        if seconds is not None:
            self._content["seconds_per_clip"] = dict(seconds)
        if devices is not None:
            self._content["devices"] = {stage: dict(each) for stage, each in devices.items()}
        self._write()

    def _write(self) -> None:
        write_json(self.path, self._content, indent=2)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _torch_threads() -> int | None:
    torch = sys.modules.get("torch")
    return int(torch.get_num_threads()) if torch else None


def _machine() -> dict[str, Any]:
    return {
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cpu_count": os.cpu_count(),
        "torch_threads": _torch_threads(),
    }


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _commit() -> tuple[str, bool | None]:
    """Commit of the working copy this package lies in and is tracked by, and whether that differs
    from it; "unknown" and None without git or outside a working copy.
    """
    package = Path(__file__).parents[1]

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(package), *arguments],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        return done.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return "unknown", None


_JUDGES = {
    "clip": "clip_glyph",
    "dino": "dino_glyph",
    "flow": "flow_dis",
    "style": "style_glyph",
    "videomae": "videomae_glyph",
}
"""Folder of a card that says how good an encoder is on the glyph world -> the encoder."""


def _world(plan: Plan) -> dict[str, Any]:
    """sha256 of the glyph world's weights, and the cards that state how good its encoders are,
    if the plan uses any.
    """
    from eval.methods.glyph_world import GlyphWorldMethod

    used = {metric.encoder for metric in plan.metrics}
    encoders = any(encoder.endswith(GLYPH) for encoder in used)
    methods = any(isinstance(cell.instance, GlyphWorldMethod) for cell in plan.cells)
    foreign = plan.foreign_encoders
    here = {"foreign_encoders": list(foreign)} if foreign else {}
    glyphs = of_the_glyph_world(plan.samples)
    if not (encoders or methods):
        return {"weights": {}, "judge_cards": {}}
    files = sorted(WEIGHTS.glob("*/*.safetensors"))
    return here | {
        "weights": {f"{path.parent.name}/{path.name}": _sha256(path) for path in files},
        "judge_cards": {
            path.parent.name: read_json(path)
            for path in sorted(WEIGHTS.glob("*/card.json"))
            if (
                methods
                if path.parent.name not in _JUDGES
                else glyphs and _JUDGES[path.parent.name] in used
            )
        },
    }


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise EvalError(f"{path}: the weights file cannot be read ({error.strerror})") from error
