"""The one reader of video, against closed forms and what FFmpeg's own command line decodes.

The values stated for display matrices, edit lists and GIFs were seen with ffmpeg 5.1.9
(`ffmpeg -i FILE -fps_mode passthrough -f rawvideo -pix_fmt rgb24 -`): error 0.
"""

import io
import os
import socket
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from i2v_adapter.media.errors import MediaError
from i2v_adapter.media.geometry import square_width
from i2v_adapter.media.video import Video
from i2v_adapter.training.video_clips import UnusableVideoError, read_clip
from tests.i2v_adapter.media.written_videos import FRAMES, read, with_b_frames, write

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
