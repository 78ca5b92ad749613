"""`python -m benchmarks.ordinary_videos FOLDER`: three videos of moving textures (MPEG-4), of
sizes that users bring, to time `i2v-eval clips FOLDER` on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

VIDEOS = {"large": (132, 720, 1280), "middle": (96, 360, 640), "small": (64, 480, 854)}
"""Name -> frames, height, width."""
FPS = 24


def texture(generator: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Smooth colours at three scales, float32 (height, width, 3) around 118."""
    total = np.full((height, width, 3), 118, np.float32)
    for cells, strength in ((6, 45.0), (24, 22.0), (90, 12.0)):
        coarse = generator.normal(size=(cells, cells * 16 // 9, 3)).astype(np.float32)
        total += strength * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return total


def frame(
    back: NDArray[np.float32], front: NDArray[np.float32], number: int, height: int, width: int
) -> NDArray[np.uint8]:
    """A disc of one texture that moves by 4 px a frame over another that pans by 1 px."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    radius, middle = height / 4, width / 4 + 4 * number % (width / 2)
    disc = np.clip(radius + 0.5 - np.hypot(columns - middle, rows - height / 2), 0, 1)[..., None]
    shift = 4 * number % 64
    shown = back[:height, number % 64 : number % 64 + width] * (1 - disc)
    shown = shown + front[:height, 64 - shift : 64 - shift + width] * disc
    return np.asarray(np.clip(np.rint(shown), 0, 255), np.uint8)


def write(path: Path, frames: int, height: int, width: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    back, front = (texture(generator, height, width + 64) for _ in range(2))
    codec = cv2.VideoWriter.fourcc(*"mp4v")
    video = cv2.VideoWriter(str(path), codec, FPS, (width, height))
    for number in range(frames):
        video.write(frame(back, front, number, height, width))
    video.release()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ordinary_videos")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, (frames, height, width)) in enumerate(VIDEOS.items()):
        write(folder / f"{name}.mp4", frames, height, width, seed)


if __name__ == "__main__":
    main()
