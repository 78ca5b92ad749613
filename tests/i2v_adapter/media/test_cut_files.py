"""Videos with an edit list, and files that are not whole."""

import io
import struct
from pathlib import Path

import av
import numpy as np
import pytest

from i2v_adapter.media.errors import MediaError
from i2v_adapter.media.video import Video
from i2v_adapter.training.video_clips import read_clip
from tests.i2v_adapter.media.written_videos import FRAMES, read, with_b_frames, write


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
