"""The one reader of video, against closed forms and what FFmpeg's own command line decodes.

The values stated for display matrices, edit lists and GIFs were seen with ffmpeg 5.1.9
(`ffmpeg -i FILE -fps_mode passthrough -f rawvideo -pix_fmt rgb24 -`): error 0.
"""

import io
import os
import socket
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from i2v_adapter.media.errors import MediaError
from i2v_adapter.media.geometry import square_width
from i2v_adapter.media.video import Video
from i2v_adapter.training.video_clips import UnusableVideoError, read_clip

Frames = NDArray[np.uint8]
ROWS, COLUMNS = np.mgrid[0:32, 0:48]
FRAMES = np.stack(
    [
        np.stack([COLUMNS * 5, ROWS * 7, np.full_like(ROWS, 30 * i)], axis=-1).astype(np.uint8)
        for i in range(8)
    ]
)
"""Smooth frames, 32 x 48, that the left, the right, the top and the bottom tell apart."""


def write(
    path: Path,
    frames: Sequence[Frames] = FRAMES,
    *,
    codec: str = "libx264",
    pixels: str = "yuv444p",
    prepare: Callable[[Any], None] = lambda stream: None,
    paint: Callable[[Any], None] = lambda frame: None,
    **options: str,
) -> Path:
    """A video without loss where the codec can; `prepare` gets its stream, `paint` each frame."""
    with av.open(str(path), "w", container_options=options) as file:
        settings = {"qp": "0", "preset": "ultrafast"} if codec == "libx264" else {}
        stream = file.add_stream(codec, rate=8, options=settings)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], pixels
        stream.codec_context.colorspace = 6
        prepare(stream)
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame = frame.reformat(format=pixels)
            frame.pts = number
            paint(frame)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def read(path: Path, **options: Any) -> tuple[Frames, list[str], float | None]:
    with Video(path, **options) as video:
        frames = np.stack(list(video))
        return frames, video.notes, video.fps


# Display matrices

MATRICES = {
    (0, False, False): (lambda f: f, ""),
    (0, True, False): (lambda f: f[:, ::-1], "mirrored left to right"),
    (0, False, True): (lambda f: f[::-1], "mirrored top to bottom"),
    (90, False, False): (lambda f: np.rot90(f, 1), "turned by 90 degrees"),
    (90, False, True): (lambda f: f.swapaxes(0, 1), "mirrored along the diagonal"),
    (90, True, False): (
        lambda f: f[::-1, ::-1].swapaxes(0, 1),
        "mirrored along the other diagonal",
    ),
    (180, False, False): (lambda f: f[::-1, ::-1], "turned by 180 degrees"),
    (270, False, False): (lambda f: np.rot90(f, -1), "turned by -90 degrees"),
}


@pytest.mark.parametrize(("turn", "left_right", "top_bottom"), MATRICES)
def test_display_matrix(turn: int, left_right: bool, top_bottom: bool, tmp_path: Path) -> None:
    shown, note = MATRICES[turn, left_right, top_bottom]
    stored = read(write(tmp_path / "stored.mp4"))[0]
    path = write(
        tmp_path / "a.mp4",
        prepare=lambda s: s.set_display_rotation(turn, hflip=left_right, vflip=top_bottom),
    )
    frames, notes, _ = read(path)
    assert np.array_equal(frames, np.stack([shown(frame) for frame in stored]))
    assert notes == ([f"{note}, as its display matrix says"] if note else [])
    trained = read_clip(str(path), 4, 2, lambda starts: 1)
    assert np.array_equal(trained.frames, frames[1:8:2])
    assert trained.notes == notes


def test_a_turn_that_is_no_quarter_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", prepare=lambda s: s.set_display_rotation(30))
    with pytest.raises(MediaError, match=r"a turn by 30 degrees\) is not supported"):
        read(path)


# Colours

KR_KB = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593), 7: (0.212, 0.087)}
"""Weights of red and blue in luma, by the number of the matrix in ITU-T H.273."""


def planes(rgb: Frames, matrix: int, full: bool) -> NDArray[np.uint8]:
    kr, kb = KR_KB[matrix]
    r, g, b = np.moveaxis(rgb / 255.0, -1, 0)
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))
    scaled = (255 * y, 128 + 255 * cb, 128 + 255 * cr)
    if not full:
        scaled = (16 + 219 * y, 128 + 224 * cb, 128 + 224 * cr)
    return np.clip(np.rint(np.stack(scaled)), 0, 255).astype(np.uint8)


def fill(frame: Any, values: NDArray[Any]) -> None:
    for plane, part in zip(frame.planes, values, strict=True):
        rows = np.frombuffer(plane, part.dtype).reshape(plane.height, -1).copy()
        rows[:, : part.shape[1]] = part
        plane.update(rows.tobytes())


TAGGED = [(matrix, full, True) for matrix in KR_KB for full in (False, True)]


@pytest.mark.parametrize(("matrix", "full", "tagged"), [*TAGGED, (6, False, False)])
def test_colour_matrix_and_range(matrix: int, full: bool, tagged: bool, tmp_path: Path) -> None:
    def prepare(stream: Any) -> None:
        stream.codec_context.colorspace = matrix if tagged else 2
        stream.codec_context.color_range = (2 if full else 1) if tagged else 0

    numbers = iter(range(len(FRAMES)))

    def paint(frame: Any) -> None:
        fill(frame, planes(FRAMES[next(numbers)], matrix, full))
        frame.colorspace = matrix if tagged else 2
        frame.color_range = (2 if full else 1) if tagged else 0

    frames, notes, _ = read(write(tmp_path / "a.mp4", prepare=prepare, paint=paint))
    assert np.abs(frames.astype(int) - FRAMES).max() <= 2
    assert notes == ([] if tagged else ["no colour matrix is stated; it was read as BT.601"])


def pq(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse EOTF of SMPTE ST 2084; cd/m2 -> [0, 1]."""
    power = (light / 10000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def hlg(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse EOTF of HLG on a display of 1000 cd/m2 (ITU-R BT.2100); cd/m2 -> [0, 1]."""
    luminance = light @ [0.2627, 0.6780, 0.0593]
    scene = light / 1000 * np.maximum(luminance / 1000, 1e-9)[..., None] ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    log = a * np.log(np.maximum(12 * scene - b, 1e-9)) + c
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), log)


def hdr(path: Path, encode: Callable[[Any], Any], transfer: int, primaries: int = 9) -> Path:
    """The frames on a display whose white has 203 cd/m2, as HDR video of 10 bits."""
    values = FRAMES / 255.0
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    to_2020 = np.array(
        [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
    )
    signal = encode(linear @ to_2020.T * 203)
    r, g, b = np.moveaxis(signal, -1, 0)
    y = 0.2627 * r + 0.6780 * g + 0.0593 * b
    parts = np.stack([64 + 876 * y, 512 + 896 * (b - y) / 1.8814, 512 + 896 * (r - y) / 1.4746], 1)
    pictures = iter(np.clip(np.rint(parts), 0, 1023).astype("<u2"))

    def prepare(stream: Any) -> None:
        context = stream.codec_context
        context.colorspace, context.color_range = 9, 1
        context.color_primaries, context.color_trc = primaries, transfer

    def paint(frame: Any) -> None:
        fill(frame, next(pictures))
        frame.colorspace, frame.color_range = 9, 1

    return write(path, pixels="yuv444p10le", prepare=prepare, paint=paint)


@pytest.mark.parametrize(("name", "encode", "transfer"), [("PQ", pq, 16), ("HLG", hlg, 18)])
def test_hdr_is_refused_or_tone_mapped(
    name: str, encode: Any, transfer: int, tmp_path: Path
) -> None:
    path = hdr(tmp_path / "a.mp4", encode, transfer)
    message = f"HDR video, {name} .*convert it to SDR .BT.709., or choose hdr 'tone-map'"
    with pytest.raises(MediaError, match=message):
        read(path)
    with pytest.raises(UnusableVideoError, match=message):
        read_clip(str(path), 4, 2, lambda starts: 0)
    frames, notes, _ = read(path, hdr="tone-map")
    error = np.abs(frames.astype(int) - FRAMES)
    assert error.mean() < 1.5
    assert error.max() <= 16  # in dark blue, where 10 bits of BT.2020 are coarse
    assert any(note.startswith(f"HDR, {name}") and "tone-mapped" in note for note in notes)
    trained = read_clip(str(path), 4, 2, lambda starts: 1, hdr="tone-map")
    assert np.array_equal(trained.frames, frames[1:8:2])


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"colorspace": 8}, "colour matrix .number 8 of ITU-T H.273. is not supported"),
        ({"color_trc": 8}, "its values are linear, not meant for display"),
    ],
)
def test_colours_that_cannot_be_converted(
    attributes: dict[str, int], message: str, tmp_path: Path
) -> None:
    def prepare(stream: Any) -> None:
        for key, value in attributes.items():
            setattr(stream.codec_context, key, value)

    path = write(tmp_path / "a.mp4", prepare=prepare)
    with pytest.raises(MediaError, match=message):
        read(path)


def test_wide_primaries_are_noted(tmp_path: Path) -> None:
    def prepare(stream: Any) -> None:
        stream.codec_context.color_primaries = 12

    notes = read(write(tmp_path / "a.mp4", prepare=prepare))[1]
    assert notes == ["Display P3 primaries were read as those of BT.709"]


# Pixels that are not square, fields, streams


@pytest.mark.parametrize(("aspect", "width"), [("4:3", 64), ("8:9", 42), ("1:2", 24)])
def test_pixels_become_square(aspect: str, width: int, tmp_path: Path) -> None:
    def prepare(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(*map(int, aspect.split(":")))

    path = write(tmp_path / "a.mp4", prepare=prepare)
    frames, notes, _ = read(path)
    assert frames.shape == (8, 32, width, 3)
    red = np.interp((np.arange(width) + 0.5) * 48 / width - 0.5, np.arange(48), FRAMES[0, 0, :, 0])
    inner = slice(2, -2)
    assert np.abs(frames[:, :, inner, 0] - red[inner]).max() <= 6
    assert f"48 x 32 became {width} x 32 px" in notes[0]
    assert np.array_equal(read_clip(str(path), 4, 2, lambda starts: 0).frames, frames[:7:2])


def test_pixels_far_from_square_are_an_error() -> None:
    with pytest.raises(MediaError, match="pixels 100:1 as wide as high"):
        square_width(48, Fraction(100, 1))


def test_interlacing_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg2video", rate=25, options={"flags": "+ilme+ildct"})
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        for image in FRAMES:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode(None))
    assert any(note.startswith("interlaced") for note in read(path)[1])


def test_a_second_video_stream_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as file:
        streams = [file.add_stream("ffv1", rate=8) for _ in range(2)]
        for stream in streams:
            stream.height, stream.width, stream.pix_fmt = 32, 48, "bgr0"
        for image in FRAMES:
            for stream, pixels in zip(streams, (image, 255 - image), strict=True):
                file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        for stream in streams:
            file.mux(stream.encode(None))
    frames, notes, _ = read(path)
    assert np.array_equal(frames, FRAMES)
    assert notes == ["holds 2 video streams; stream 0 was read (48 x 32 px)"]


# Edit lists, and files that are not whole


def with_edit_list(path: Path, start: int, length: int) -> None:
    """Replaces the edit list of a video of 8 frames a second: `length` frames from `start`."""
    data = bytearray(path.read_bytes())
    entry = data.index(b"elst") + 8
    scale = struct.unpack(">I", data[data.index(b"mdhd") + 16 :][:4])[0]
    movie = struct.unpack(">I", data[data.index(b"mvhd") + 16 :][:4])[0]
    delay = struct.unpack(">i", data[entry + 8 : entry + 12])[0]
    struct.pack_into(">Ii", data, entry + 4, length * movie // 8, delay + start * scale // 8)
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(("start", "length", "expected"), [(0, 8, 8), (3, 5, 5), (1, 7, 7)])
def test_an_edit_list_leaves_frames_out(
    start: int, length: int, expected: int, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.mp4", codec="mpeg4", pixels="yuv420p")
    whole, _, _ = read(path)
    with_edit_list(path, start, length)
    frames, _, fps = read(path)
    assert fps == 8
    assert np.array_equal(frames, whole[start : start + expected])
    assert np.array_equal(read_clip(str(path), 2, 2, lambda starts: 0).frames, frames[:3:2])


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    return path


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {"movflags": "faststart"}),
        ("a.mov", {}),
        ("a.mkv", {"codec": "ffv1", "pixels": "bgr0"}),
        ("a.webm", {"codec": "libvpx-vp9", "pixels": "yuv420p"}),
        ("a.avi", {"codec": "mpeg4", "pixels": "yuv420p"}),
    ],
)
def test_torn_files_are_refused(
    name: str, options: dict[str, str], share: float, tmp_path: Path
) -> None:
    path = cut(write(tmp_path / name, **options), share)
    with pytest.raises(MediaError, match=r"cut short|not a readable"):
        read(path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {"movflags": "faststart"}),
        ("b.mp4", {"movflags": "frag_keyframe+empty_moov"}),
        ("a.mkv", {"codec": "ffv1", "pixels": "bgr0"}),
        ("a.webm", {"codec": "libvpx", "pixels": "yuv420p"}),
        ("a.avi", {"codec": "mpeg4", "pixels": "yuv420p"}),
    ],
)
def test_wherever_a_file_is_cut_no_frame_is_lost_in_silence(
    name: str, options: dict[str, str], tmp_path: Path
) -> None:
    data = write(tmp_path / name, **options).read_bytes()
    counts = set()
    for end in range(len(data) - 1, 100, -max(1, len(data) // 60)):
        try:
            with Video(io.BytesIO(data[:end])) as video:
                counts.add(sum(1 for _ in video))
        except MediaError:
            counts.add(0)
    assert counts <= {0, 8}
    assert 0 in counts


def test_a_file_cut_between_b_frames_is_noted(tmp_path: Path) -> None:
    """As `ffmpeg -t 1 -c copy` leaves it: the last frame comes late."""
    path, copy = tmp_path / "a.mkv", tmp_path / "b.mkv"
    write(path, [*FRAMES, *FRAMES], codec="mpeg4", pixels="yuv420p", prepare=with_b_frames)
    with av.open(str(path)) as source, av.open(str(copy), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        stamps = [packet.pts for packet in packets]
        late = next(n for n in range(4, 16) if stamps[n] > stamps[n + 1])
        for packet in packets[: late + 1]:
            packet.stream = stream
            target.mux(packet)
    frames, notes, fps = read(copy)
    assert fps == 8
    assert len(frames) == late + 1
    assert any(note.startswith("cut between B-frames: the last 1 of") for note in notes)


def with_b_frames(stream: Any) -> None:
    stream.codec_context.max_b_frames = 2
    stream.codec_context.gop_size = 12


# GIFs

PALETTE = [
    Image.fromarray(np.roll(FRAMES[0], 3 * k, axis=1)).quantize(64).convert("RGB")
    for k in range(16)
]


def gif(path: Path, order: Sequence[int], duration: Any = 125) -> Path:
    """As Pillow and diffusers' export_to_gif write it: equal neighbours become one picture."""
    pictures = [PALETTE[k] for k in order]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=duration, loop=0)
    return path


HELD: dict[str, list[int]] = {
    "moving": list(range(16)),
    "held at the end": [*range(12), 11, 11, 11, 11],
    "held at the start": [0, 0, 0, 0, *range(12)],
    "held in the middle": [*range(8), 7, 7, 7, 7, *range(8, 12)],
    "held for long": [0, *[1] * 14, 2],
    "held everywhere but once": [0, 0, 0, 1, 1, 1, 1, 2, 3, 3, 3, 3, 3, 4, 4, 4],
    "still": [3] * 16,
}


@pytest.mark.parametrize("duration", [40, 80, 120, 125])
@pytest.mark.parametrize("case", HELD)
def test_held_gif_frames_are_repeated(case: str, duration: int, tmp_path: Path) -> None:
    order = HELD[case]
    path = gif(tmp_path / "a.gif", order, duration)
    frames, notes, fps = read(path)
    if case == "still":  # no rate is stated: 8 frames a second, over the same time
        assert (fps, len(frames)) == (8.0, round(16 * duration / 125))
        assert notes[0].startswith("holds one picture; it was repeated")
        return
    expected = np.stack([np.asarray(PALETTE[k]) for k in order])
    assert np.array_equal(frames, expected)
    assert fps == pytest.approx(100 / (duration // 10))
    assert bool(notes) == (case != "moving")
    trained = read_clip(str(path), 4, 5, lambda starts: 0)
    assert np.array_equal(trained.frames, frames[::5])


def test_gifs_without_a_delay_run_at_ten_frames_a_second(tmp_path: Path) -> None:
    assert read(gif(tmp_path / "a.gif", range(16), 0))[2] == 10
    _, notes, fps = read(gif(tmp_path / "b.gif", range(16), 10))
    assert (fps, notes) == (10, ["delays below 20 ms were taken for 100 ms, as players do"])


def test_uneven_gifs_are_refused(tmp_path: Path) -> None:
    path = gif(tmp_path / "a.gif", range(6), [100, 100, 150, 170, 100, 130])
    with pytest.raises(MediaError, match="frame durations vary from 100 to 170 ms"):
        read(path)


# What is not a video file


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "zero.mp4").symlink_to("/dev/zero")
    (tmp_path / "folder.mp4").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.mp4"))
        for name in ("pipe.mp4", "zero.mp4", "folder.mp4", "s.mp4"):
            with pytest.raises(MediaError, match="not a regular file"):
                Video(tmp_path / name)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.gif"])
@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile secret.mp4\n",
        "#EXTM3U\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n",
        "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'></MPD>",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 1 RTP/AVP 96\n",
    ],
)
def test_playlists_are_refused_whatever_their_name(name: str, text: str, tmp_path: Path) -> None:
    write(tmp_path / "secret.mp4")
    (tmp_path / name).write_text(text * 3)
    with pytest.raises(MediaError, match="not a readable mp4"):
        Video(tmp_path / name)


def test_names_that_look_like_addresses_are_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a.mp4", "data:video.mp4", "%03d.mp4", b"caf\xe9.mp4"):
        target = os.fsdecode(name)
        os.replace(write(tmp_path / "plain.mp4"), target)
        assert len(read(Path(target))[0]) == 8


def test_tags_that_are_no_utf8(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", codec="ffv1", pixels="bgr0")
    data = path.read_bytes()
    position = data.index(b"Lavf")
    path.write_bytes(data[:position] + b"\xff\xfe" + data[position + 2 :])
    assert np.array_equal(read(path)[0], FRAMES)


def test_the_pixel_limit_holds_before_anything_is_decoded(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", codec="ffv1", pixels="bgr0")
    with pytest.raises(MediaError, match="8 or more frames of 48 x 32 px are over the limit"):
        Video(path, most_pixels=8 * 32 * 48 - 1)
    assert len(read(path, most_pixels=8 * 32 * 48)[0]) == 8


def test_a_file_in_memory_gives_what_a_path_gives(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4")
    with Video(io.BytesIO(path.read_bytes())) as video:
        assert np.array_equal(np.stack(list(video)), read(path)[0])
        assert np.array_equal(np.stack(list(video)), read(path)[0])  # and once more


# Training: the same reader, some frames


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {"codec": "mpeg4", "pixels": "yuv420p", "prepare": with_b_frames}),
        ("a.avi", {"codec": "mpeg4", "pixels": "yuv420p", "prepare": with_b_frames}),
        ("h264.avi", {"pixels": "yuv420p"}),
        ("a.webm", {"codec": "libvpx-vp9", "pixels": "yuv420p"}),
        ("a.mkv", {"codec": "ffv1", "pixels": "bgr0"}),
    ],
)
def test_picked_frames_are_those_of_the_whole(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    path = write(tmp_path / name, [*FRAMES, *FRAMES[::-1]], **options)
    whole, _, fps = read(path)
    assert (len(whole), fps) == (16, 8)
    for start in range(10):
        trained = read_clip(str(path), 3, 3, lambda starts, start=start: start)
        assert np.array_equal(trained.frames, whole[start : start + 7 : 3])


def test_training_reads_the_even_part_of_an_uneven_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=8)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "bgr0"
        for image, time in zip(FRAMES, (0, 125, 250, 375, 1000, 1500, 1625, 1750), strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    with pytest.raises(MediaError, match="frame durations vary from 125 to 625 ms"):
        read(path)
    assert np.array_equal(read_clip(str(path), 4, 1, lambda starts: 0).frames, FRAMES[:4])
    with pytest.raises(UnusableVideoError, match="frame durations vary"):
        read_clip(str(path), 4, 1, lambda starts: 2)
