"""Clips of other tools, and their manifests, as files."""

import csv
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from eval.cli import app

Frames = NDArray[np.uint8]
ROWS, COLUMNS = np.mgrid[0:32, 0:48]
FRAMES = np.stack(
    [
        np.stack([COLUMNS * 5, ROWS * 7, np.full_like(ROWS, 30 * i)], axis=-1).astype(np.uint8)
        for i in range(4)
    ]
)
"""Four smooth frames, 32 x 48, that the left, the right, the top and the bottom tell apart."""


def video(
    path: Path,
    frames: Frames = FRAMES,
    *,
    codec: str = "libx264",
    pixels: str = "yuv444p",
    times: Any = None,
    container: str | None = None,
    **options: str,
) -> None:
    with av.open(str(path), "w", format=container, container_options=options) as file:
        stream = file.add_stream(codec, rate=8, options={"crf": "4"} if codec == "libx264" else {})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], pixels
        stream.codec_context.colorspace = 6  # BT.601, which is what from_ndarray is encoded as
        for index, pixel in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixel), format="rgb24")
            if times:
                frame.pts, frame.time_base = times[index], Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def transparent(path: Path) -> None:
    alpha = np.where(COLUMNS < 9, 0, 255).astype(np.uint8)
    images = [Image.fromarray(np.dstack([frame, alpha])) for frame in FRAMES]
    images[0].save(path, save_all=True, append_images=images[1:], duration=120, disposal=2)


def alpha_webm(path: Path) -> None:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libvpx-vp9", rate=8)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuva420p"
        for pixel in FRAMES:
            rgba = np.dstack([pixel, np.full(pixel.shape[:2], 99, np.uint8)])
            file.mux(stream.encode(av.VideoFrame.from_ndarray(rgba, format="rgba")))
        file.mux(stream.encode(None))


def gif(path: Path) -> None:
    images = [Image.fromarray(frame) for frame in FRAMES]
    images[0].save(path, save_all=True, append_images=images[1:], duration=120)


def cut(path: Path, share: float, **options: Any) -> None:
    whole = path.with_name(f"whole{path.suffix}")
    gif(whole) if path.suffix == ".gif" else video(whole, **options)
    data = whole.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    whole.unlink()


def rotated(path: Path) -> None:
    """A quarter turn clockwise in the track header's display matrix, as phones write it."""
    video(path)
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 44
    data[start : start + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    path.write_bytes(bytes(data))


def frame_folder(path: Path, frames: list[Frames] | None = None) -> None:
    path.mkdir()
    for index, frame in enumerate(frames or list(FRAMES)):
        Image.fromarray(frame).save(path / f"f{9 + index}.png")  # f9 comes before f10


def clear_folder(path: Path) -> None:
    frame_folder(
        path, [np.dstack([frame, np.full(frame.shape[:2], 7, np.uint8)]) for frame in FRAMES]
    )


def misnamed_webm(path: Path) -> None:
    video(path, codec="libvpx-vp9", pixels="yuv420p", container="webm")


def image_named_mp4(path: Path) -> None:
    Image.fromarray(FRAMES[0]).save(path, format="PNG")


def manifest(folder: Path, rows: list[dict[str, Any]], name: str = "m.csv") -> Path:
    keys = list(dict.fromkeys(key for row in rows for key in row))
    with (folder / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, keys, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return folder / name


def invoke(folder: Path, samples: Path, *options: str) -> Any:
    out = folder.parent / "out"
    arguments = ["clips", str(folder), "--samples", str(samples), "--out", str(out), *options]
    return CliRunner().invoke(app, arguments)
