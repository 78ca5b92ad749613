"""A folder with a good clip, the evaluator of the tests, and clips of two methods."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.eval.execute.finished.clip_files import FRAMES, manifest, video


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder with one good clip, ``good.mkv``, and its input image."""
    folder = tmp_path / "clips"
    folder.mkdir()
    video(folder / "good.mkv", codec="ffv1", pixels="bgr0")
    Image.fromarray(FRAMES[0]).save(folder / "image.png")
    return folder


@pytest.fixture
def measured(toy_evaluator: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(
        "eval.execute.prepared.default_evaluator", lambda metrics, folder: toy_evaluator(metrics)
    )
    return toy_evaluator


@pytest.fixture
def two_methods(clips: Path) -> Path:
    """Rows of two methods over three images and two seeds; the second method lacks one clip."""
    rows = []
    for number in range(3):
        image = np.roll(FRAMES[0], 5 * number, axis=1)
        Image.fromarray(image).save(clips / f"{number}.png")
        for method, step in (("slow", 1), ("fast", 4)):
            for seed in (0, 1):
                if (number, method, seed) == (2, "fast", 1):
                    continue
                name = f"{method}-{number}-{seed}.npy"
                np.save(
                    clips / name,
                    np.stack([np.roll(image, (step + seed) * i, axis=1) for i in range(4)]),
                )
                rows.append(
                    {
                        "id": f"{method}{number}{seed}",
                        "clip": name,
                        "prompt": "x",
                        "image": f"{number}.png",
                        "method": method,
                        "seed": seed,
                    }
                )
    return manifest(clips, rows)
