"""Foreign images, arrays and clips: whatever is wrong with one is a line that names it."""

import io
import os
import random
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from eval.clips.border import named
from eval.clips.images import read_image
from eval.clips.lossless import Clip, read_clip, write_clip
from eval.clips.media import first_frame, read_media
from eval.errors import ClipTimeoutError, EvalError
from eval.samples import load_samples

FRAMES = np.random.default_rng(0).integers(0, 256, (4, 24, 32, 3), dtype=np.uint8)
IMAGE = Image.fromarray(FRAMES[0])


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*more: bytes, header: bytes | None = None, pixels: bytes = b"") -> bytes:
    usual = struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0)
    body = zlib.compress(pixels or (b"\0" + bytes(12)) * 4)
    head = chunk(b"IHDR", usual if header is None else header)
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


BOMB = zlib.compress(bytes(80_000_000), 9)
WIDE = struct.pack(">IIBBBBB", 13_000, 13_000, 1, 0, 0, 0, 0)


def encoded(format: str, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    IMAGE.convert(mode).save(buffer, format)
    return buffer.getvalue()


IMAGES: dict[str, tuple[bytes, str]] = {
    "compressed text": (png(chunk(b"zTXt", b"a\0\0" + BOMB)), "is not a readable image"),
    "international text": (
        png(chunk(b"iTXt", b"a\0\1\0\0\0" + BOMB)),
        "is not a readable image",
    ),
    "short header": (png(header=b"\0\0\0\4"), "a.png'"),
    "no palette": (png(header=struct.pack(">IIBBBBB", 4, 4, 8, 3, 0, 0, 0)), "a.png'"),
    "169 million pixels in a small file": (
        png(header=WIDE, pixels=bytes(13_000 * (1 + 13_000 // 8))),
        "has 13000 x 13000 pixels, over the limit of 67,108,864; reduce it",
    ),
    "PostScript": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n%%EOF\n",
        "is not a readable image",
    ),
    "half a JPEG": (encoded("JPEG")[:300], "is not a readable image"),
    "16-bit grey": (encoded("PNG", "I;16"), "values; convert it to 8 bits a channel"),
    "nothing": (b"", "is empty"),
    "text": (b"hello", "is not a readable image"),
}


@pytest.mark.parametrize("case", IMAGES)
def test_an_image_is_read_or_named(case: str, tmp_path: Path) -> None:
    data, message = IMAGES[case]
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(EvalError) as raised:
            read_image(path, where="x.csv:2: image")
    assert str(raised.value).startswith(f"x.csv:2: image: '{path}'")
    assert message in str(raised.value)


def test_a_profile_that_unpacks_to_80_mb_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(chunk(b"iCCP", b"a\0\0" + BOMB)))
    assert "a.png" in failure(read_image, tmp_path / "a.png", default="a.png is read")


def header(shape: str, descr: str = "'|u1'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (117 - len(text)) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode()


ARRAYS: dict[str, tuple[bytes, str]] = {
    "negative shape": (
        header("(-4, 24, 32, 3)") + bytes(9999),
        "an array of shape (-4, 24, 32, 3)",
    ),
    "huge": (header("(4, 99999, 99999, 3)") + bytes(99), "over the limit of 512,000,000 pixels"),
    "beyond 64 bits": (header("(99999999999, 99999999999, 9, 3)") + bytes(99), "over the limit"),
    "cut": (header("(4, 24, 32, 3)") + bytes(99), "too few bytes); is the file cut short?"),
    "no tuple": (header("7") + bytes(99), "not a readable .npy array"),
    "objects": (header("(4, 24, 32, 3)", "'|O'") + bytes(9999), "Python objects"),
    "code": (header("__import__('os').getcwd()") + bytes(99), "not a readable .npy array"),
    "records": (header("(4, 2, 2, 3)", "[('a', '<f4')]") + bytes(999), "values of type"),
    "strings": (header("(4, 2, 2, 3)", "'<U4'") + bytes(9999), "values of type <U4"),
    "no axes": (header("()") + bytes(99), "an array of shape ()"),
    "no header": (b"\x93NUMPY\1\0", "not a readable .npy array"),
    "version 9": (b"\x93NUMPY\x09\0" + bytes(99), "not a readable .npy array"),
    "zip": (b"PK\3\4" + bytes(99), "not a readable .npy array"),
    "nothing": (b"", "the file is empty (0 bytes)"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_an_array_is_read_or_named(case: str, tmp_path: Path) -> None:
    data, message = ARRAYS[case]
    path = tmp_path / "a.npy"
    path.write_bytes(data)
    for read in (lambda: read_media(path, fps=8), lambda: first_frame(path)):
        with pytest.raises(EvalError) as raised:
            read()
        assert str(raised.value).startswith(f"{path}: ")
        assert message in str(raised.value)


@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.float64, np.dtype(">f4"), np.longdouble]
)
def test_arrays_of_any_floating_point_type(dtype: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", (FRAMES / 255).astype(dtype))
    assert np.array_equal(read_media(tmp_path / "a.npy", fps=8).clip.frames, FRAMES)


def test_arrays_in_fortran_order(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.asfortranarray(FRAMES))
    assert np.array_equal(read_media(tmp_path / "a.npy", fps=8).clip.frames, FRAMES)


# The suite's own clip files


def test_only_own_files_within_the_limit_are_own_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mkv"
    write_clip(path, Clip(FRAMES, 8))
    with av.open(str(tmp_path / "x264.mkv"), "w") as file:
        stream = file.add_stream("libx264", rate=8)
        stream.height, stream.width, stream.pix_fmt = 24, 32, "yuv420p"
        for image in FRAMES:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode(None))
    with pytest.raises(EvalError, match=r"x264\.mkv: not a clip file of this suite"):
        read_clip(tmp_path / "x264.mkv")
    (tmp_path / "list.mkv").write_text(f"ffconcat version 1.0\nfile '{path}'\n" * 9)
    with pytest.raises(EvalError, match=r"list\.mkv: not a readable video"):
        read_clip(tmp_path / "list.mkv")
    data = path.read_bytes()
    for share in (0.3, 0.6, 0.9):
        (tmp_path / "cut.mkv").write_bytes(data[: int(share * len(data))])
        with pytest.raises(EvalError, match=r"cut\.mkv: "):
            read_clip(tmp_path / "cut.mkv")
    monkeypatch.setattr("eval.clips.lossless.MAX_PIXELS", FRAMES[..., 0].size - 1)
    with pytest.raises(EvalError, match=r"a\.mkv: 4 frames of 32 x 24 px are over the limit"):
        read_clip(path)


# One clip of a suite


def gif(path: Path, durations: Any) -> None:
    pictures = [Image.fromarray(frame) for frame in FRAMES]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations)


def half(path: Path) -> None:
    write_clip(path, Clip(FRAMES, 8))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


TRUE_CLIPS: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "torn": ("c.mkv", half, "cut short"),
    "uneven": ("c.gif", lambda p: gif(p, [100, 150, 100, 170]), "frame durations vary"),
    "no video": ("c.mp4", lambda p: p.write_text("hello"), "not a readable mp4"),
    "no rate": ("c.npy", lambda p: np.save(p, FRAMES), "have no frame rate"),
    "pipe": ("c.mp4", os.mkfifo, "not a regular file"),
}


def suite(folder: Path, name: str, **options: Any) -> Any:
    IMAGE.save(folder / "i.png")
    (folder / "s.csv").write_text(f"id,image,prompt,clip\na,i.png,x,{name}\n")
    return load_samples({"source": "manifest", "path": "s.csv"} | options, folder=folder)


@pytest.mark.parametrize("case", TRUE_CLIPS)
def test_a_true_clip_is_refused_as_finished_clips_are(case: str, tmp_path: Path) -> None:
    name, make, message = TRUE_CLIPS[case]
    make(tmp_path / name)
    with pytest.raises(EvalError) as raised:
        suite(tmp_path, name)
    assert "s.csv:2: " in str(raised.value)
    assert message in str(raised.value)


def test_true_clips_keep_their_rate_and_bring_their_notes(tmp_path: Path) -> None:
    write_clip(tmp_path / "c.mkv", Clip(FRAMES, 24000 / 1001))
    [sample] = suite(tmp_path, "c.mkv")
    assert sample.clip.fps == 24000 / 1001
    assert np.array_equal(sample.clip.frames, FRAMES)
    np.save(tmp_path / "c.npy", FRAMES)
    assert suite(tmp_path, "c.npy", fps=12)[0].clip.fps == 12
    gif(tmp_path / "c.gif", [100, 100, 300, 100])
    samples = suite(tmp_path, "c.gif")
    assert len(samples[0].clip.frames) == 6
    assert any("true clip of sample 'a': pictures held for longer" in n for n in samples.notes)


# The wrapper


def test_every_exception_is_named_and_a_timeout_passes() -> None:
    for error in (KeyError("x"), MemoryError(), RecursionError("deep\nmore"), struct.error("s")):
        name = type(error).__name__
        pattern = rf"^a\.png: cannot be read .{name}"
        with pytest.raises(EvalError, match=pattern), named("a.png"):
            raise error
    with pytest.raises(ClipTimeoutError), named("a.png"):
        raise ClipTimeoutError("took longer than 1 s")


def test_names_that_are_no_utf8_can_be_printed(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    with pytest.raises(EvalError) as raised:
        read_media(path)
    assert str(raised.value).encode("utf-8").endswith(b"caf\\udce9.mp4: no such file")


# Whatever the bytes


def damaged(data: bytes, random: random.Random) -> bytes:
    broken = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        place = random.randrange(len(broken)) if random.random() < 0.5 else random.randrange(99)
        place = min(place, len(broken) - 1)
        kind = random.randrange(4)
        if kind == 0:
            broken[place] ^= 1 << random.randrange(8)
        elif kind == 1:
            word = random.choice((0, 2**31 - 1, 2**32 - 1, random.getrandbits(32)))
            broken[place : place + 4] = struct.pack(random.choice("<>") + "I", word)
        elif kind == 2:
            del broken[place : place + random.randrange(1, 40)]
        else:
            broken[place:place] = random.randbytes(random.randrange(1, 20))
        if not broken:
            break
    return bytes(broken)


def material(folder: Path) -> Iterator[tuple[str, bytes]]:
    for format in ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM"):
        yield "a.png", encoded(format)
    info = PngInfo()
    info.add_text("a", "b" * 999, zip=True)
    buffer = io.BytesIO()
    IMAGE.quantize(16).save(buffer, "PNG", pnginfo=info, icc_profile=b"x" * 99)
    yield "a.png", buffer.getvalue()
    np.save(folder / "a.npy", FRAMES)
    yield "a.npy", (folder / "a.npy").read_bytes()
    gif(folder / "a.gif", 100)
    yield "a.mkv", (folder / "a.gif").read_bytes()
    for suffix, codec, pixels in (
        ("mp4", "libx264", "yuv420p"),
        ("webm", "libvpx-vp9", "yuv420p"),
        ("avi", "mpeg4", "yuv420p"),
        ("mkv", "ffv1", "bgr0"),
    ):
        with av.open(str(folder / f"a.{suffix}"), "w") as file:
            stream = file.add_stream(codec, rate=8)
            stream.height, stream.width, stream.pix_fmt = 24, 32, pixels
            for image in FRAMES:
                file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            file.mux(stream.encode(None))
        yield "a.mkv", (folder / f"a.{suffix}").read_bytes()


def failure(read: Callable[..., Any], path: Path, default: str = "", **options: Any) -> str:
    """The message of the EvalError that reading raises, or the default; no other error passes."""
    try:
        read(path, **options)
    except EvalError as error:
        return str(error)
    return default


def test_a_rate_that_no_clip_can_have_is_named_with_its_file(tmp_path: Path) -> None:
    """The limits are Clip's, which knows no file."""
    path = tmp_path / "slow.mkv"
    write_clip(path, Clip(FRAMES, 0.0125))
    data = path.read_bytes()
    assert data.count(b"0.0125") == 1
    path.write_bytes(data.replace(b"0.0125", b"0.0025"))
    with pytest.raises(EvalError, match=r"slow\.mkv: clip fps must be between 0.01 and 1000 "):
        read_clip(path)
    np.save(tmp_path / "fast.npy", FRAMES)
    with pytest.raises(EvalError, match=r"fast\.npy: clip fps must be between 0.01 and 1000 "):
        read_media(tmp_path / "fast.npy", fps=9000.0)


@pytest.mark.filterwarnings("ignore")  # Pillow's, on odd metadata
def test_any_damage_is_a_clip_or_one_line(tmp_path: Path) -> None:
    examples = 40 * int(os.environ.get("TORTURE_KILLS", "3"))
    for number, (name, data) in enumerate(material(tmp_path)):
        for example in range(examples):
            path = tmp_path / name
            path.write_bytes(damaged(data, random.Random(f"{number} {example}")))
            if name == "a.png":
                messages = [failure(read_image, path, default=name)]
            else:
                messages = [failure(read_media, path, default=name, fps=8.0)]
            if name == "a.mkv":
                messages.append(failure(read_clip, path, default=name))
            assert all(name in message and "\n" not in message for message in messages)
