"""Sources and the sequence of clips: layouts, order, shares, and what happens to unusable
videos."""

import io
import json
import random
import tarfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from i2v_adapter.training.config import Data, Dropout, TrainingError
from i2v_adapter.training.dataset import ClipBatches, Clips, TrainingClip
from i2v_adapter.training.sources import Shards, Source, VideoFolder
from i2v_adapter.training.video_clips import UnusableVideoError

NONE = Dropout(text=0, image=0, both=0)


def add(shard: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    shard.addfile(member, io.BytesIO(content))


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory, write_video: Callable[..., None]) -> Path:
    """Six videos, as a folder and as shards: number 1 is short, 3 damaged, 4 missing (empty in the
    shard).
    """
    root = tmp_path_factory.mktemp("collection")
    for number in range(6):
        page = "" if number == 0 else f"page{number % 2}"
        write_video(
            root / "videos" / page / f"{number}.mp4",
            frames=3 if number == 1 else 9,
            base=20 * number,
        )
    (root / "videos/page1/3.mp4").write_bytes(b"no video")
    (root / "videos/page0/4.mp4").write_bytes(b"")
    rows = [
        f'{n},http://x/{n},PT9S,{"" if n == 0 else f"page{n % 2}"},"video {n}, shown"'
        for n in range(6)
    ]
    (root / "captions.csv").write_text(
        "\n".join(["videoid,contentUrl,duration,page_dir,name", *rows]) + "\n"
    )
    for part in range(2):
        with tarfile.open(root / f"part-{part}.tar", "w") as shard:
            for n in range(3 * part, 3 * part + 3):
                video = root / "videos" / ("" if n == 0 else f"page{n % 2}") / f"{n}.mp4"
                caption = f"video {n}, shown"
                if n % 2:
                    add(shard, f"{n:04}.json", json.dumps({"caption": caption, "fps": 25}).encode())
                else:
                    add(shard, f"{n:04}.txt", f"{caption}\n".encode())
                add(shard, f"{n:04}.mp4", video.read_bytes())
                add(shard, f"{n:04}.jpg", b"an image, of no interest")
    return root


@pytest.fixture
def folder(collection: Path) -> Source:
    return VideoFolder(collection / "videos", collection / "captions.csv")


@pytest.fixture
def shards(collection: Path) -> Source:
    return Shards(str(collection / "part-*.tar"))


def clips_of(source: Source, dropout: Dropout = NONE, seed: int = 0) -> Clips:
    data = Data(shards="unused", height=16, width=16, frames=3, stride=2)
    return Clips(source, data, dropout, seed)


def same(first: TrainingClip, second: TrainingClip) -> bool:
    return np.array_equal(first.frames, second.frames) and first[1:] == second[1:]


def number_of(clip: TrainingClip) -> int:
    return int(clip.text.split()[1].rstrip(","))


def test_shards_give_the_samples_of_the_folder(folder: Source, shards: Source) -> None:
    first, second = clips_of(folder, Dropout(text=0.3)), clips_of(shards, Dropout(text=0.3))
    assert all(same(first[number], second[number]) for number in range(8))
    assert list(first.skipped.values()) == list(second.skipped.values())


def test_clips_show_their_videos_from_changing_starts(folder: Source) -> None:
    clips = clips_of(folder)
    starts = set()
    for number in range(24):
        clip = clips[number]
        levels = clip.frames.mean(axis=(1, 2, 3)) - 20 * number_of(clip)
        index = np.round(levels / 8).astype(int).tolist()
        assert index == [index[0], index[0] + 2, index[0] + 4]
        starts.add(index[0])
    assert starts == {0, 1, 2, 3, 4}


def test_unusable_videos_are_skipped_and_named(folder: Source) -> None:
    clips = clips_of(folder)
    shown = Counter(number_of(clips[number]) for number in range(12))
    assert set(shown) == {0, 2, 5}
    assert set(clips.skipped) == {"page1/1.mp4", "page1/3.mp4", "page0/4.mp4"}
    assert (
        clips.skipped["page1/1.mp4"] == "has 3 frames with a time stamp, but 3 at stride 2 need 5"
    )
    assert clips.skipped["page1/3.mp4"].startswith("cannot be decoded")


def test_a_clip_does_not_depend_on_what_was_read_before(folder: Source) -> None:
    one_by_one = clips_of(folder)
    expected = [one_by_one[number] for number in range(10)]
    assert same(clips_of(folder)[7], expected[7])
    assert not all(
        same(clip, other)
        for clip, other in zip(
            expected, map(clips_of(folder, seed=1).__getitem__, range(10)), strict=True
        )
    )


def test_processes_share_the_clips_of_one(folder: Source) -> None:
    def numbers(
        size: int, process: int, processes: int, workers: int, start: int = 0
    ) -> list[list[int]]:
        with ClipBatches(clips_of(folder), size, 3, process, processes, workers) as batches:
            return [[clip.seed for clip in batches(number)] for number in range(start, 3)]

    whole = numbers(4, 0, 1, workers=3)
    halves = [numbers(2, process, 2, workers=1) for process in range(2)]
    assert whole == [first + second for first, second in zip(*halves, strict=True)]
    assert numbers(4, 0, 1, workers=2, start=2) == whole[2:]


def test_every_epoch_has_every_video_once_and_its_own_order(
    tmp_path: Path, write_video: Callable[..., None]
) -> None:
    for number in range(7):
        write_video(tmp_path / f"{number}.mp4", frames=5, size=(16, 16))
    (tmp_path / "captions.csv").write_text(
        "videoid,name\n" + "".join(f"{n},video {n}\n" for n in range(7))
    )
    clips = clips_of(VideoFolder(tmp_path, tmp_path / "captions.csv"))
    first, second = (
        [number_of(clips[7 * epoch + place]) for place in range(7)] for epoch in range(2)
    )
    assert sorted(first) == sorted(second) == list(range(7))
    assert first != second


def test_dropout_shares(shards: Source) -> None:
    clips = clips_of(shards, Dropout(text=0.1, image=0.2, both=0.3))
    drawn = [clips[number] for number in range(120)]
    counts = Counter((not clip.text, clip.image_dropped) for clip in drawn)
    for kind, share in {
        (True, False): 0.1,
        (False, True): 0.2,
        (True, True): 0.3,
        (False, False): 0.4,
    }.items():
        assert abs(counts[kind] / 120 - share) < 4 * (share * (1 - share) / 120) ** 0.5


def test_nothing_usable(tmp_path: Path) -> None:
    (tmp_path / "captions.csv").write_text("videoid,name\nabsent,a cat\nsilent,\n")
    with pytest.raises(
        TrainingError, match=r"none of the 2 videos can be used: absent\.mp4 .* is not in "
    ):
        clips_of(VideoFolder(tmp_path, tmp_path / "captions.csv"))[0]


def test_sources_that_cannot_be_read(tmp_path: Path) -> None:
    table = tmp_path / "captions.csv"
    table.write_text("id,text\n")
    with pytest.raises(
        TrainingError,
        match=r"captions\.csv: no column 'clip'; the header has 'id', 'text'",
    ):
        VideoFolder(tmp_path, table)
    table.write_text("videoid,name\n")
    with pytest.raises(TrainingError, match="no rows"):
        VideoFolder(tmp_path, table)
    with pytest.raises(TrainingError, match=r"data\.videos: .*nowhere: no such folder"):
        VideoFolder(tmp_path / "nowhere", table)
    with pytest.raises(TrainingError, match="no file matches"):
        Shards(str(tmp_path / "*.tar"))
    with tarfile.open(tmp_path / "images.tar", "w") as shard:
        add(shard, "0.jpg", b"image")
    with pytest.raises(TrainingError, match="hold no video"):
        Shards(str(tmp_path / "images.tar"))
    whole = (tmp_path / "images.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:514])
    with pytest.raises(TrainingError, match=r"cut\.tar: not a whole, uncompressed tar file"):
        Shards(str(tmp_path / "*.tar"))


@pytest.fixture
def small_shard(tmp_path: Path) -> Path:
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w") as shard:
        for number in range(3):
            add(shard, f"{number}.txt", b"a caption")
            add(shard, f"{number}.mp4", bytes(900))
    return path


def test_any_damage_to_a_shard_is_named_or_skips_its_video(small_shard: Path) -> None:
    """Checksums of the damaged headers are set right, so that the damage is read."""
    whole, draw, kinds = small_shard.read_bytes(), random.Random(0), {0: 0, 1: 0}
    for _ in range(400):
        content = bytearray(whole)
        for _ in range(draw.choice((1, 2, 4))):
            if draw.random() < 0.7:
                place = 512 * draw.randrange(len(content) // 512) + draw.randrange(330)
                content[place] = draw.choice((0, 48, 55, 76, 83, 103, 120, 128, 255))
            else:
                start = draw.randrange(len(content))
                del content[start : start + draw.choice((1, 512, 700))]
        for start in range(0, len(content) - 511, 512):
            if content[start + 257 : start + 262] == b"ustar":
                content[start + 148 : start + 156] = b" " * 8
                total = sum(content[start : start + 512])
                content[start + 148 : start + 156] = b"%06o\0 " % total
        small_shard.write_bytes(bytes(content))
        try:
            found = Shards(str(small_shard))
        except TrainingError as error:
            assert str(small_shard) in str(error)  # noqa: PT017
            kinds[0] += 1
            continue
        for index in range(len(found)):
            with suppress(UnusableVideoError):
                entry = found.read(index)
                assert entry.caption.strip()
                assert len(entry.file.read()) <= len(content)  # type: ignore[union-attr]
        kinds[1] += 1
    assert min(kinds.values()) > 0


def test_a_shard_that_goes_away_or_is_cut_later_skips_its_videos(small_shard: Path) -> None:
    found = Shards(str(small_shard))
    small_shard.write_bytes(small_shard.read_bytes()[:100])
    with pytest.raises(UnusableVideoError, match="has no caption"):
        found.read(2)
    small_shard.unlink()
    with pytest.raises(UnusableVideoError, match=r"cannot be read \(No such file"):
        found.read(0)


def test_sparse_members_are_no_videos(small_shard: Path) -> None:
    """Their size is what they unpack to, which may be anything."""
    content = bytearray(small_shard.read_bytes())
    for start in range(0, len(content) - 511, 512):
        if content[start : start + 5] in (b"0.mp4", b"1.mp4", b"2.mp4"):
            content[start + 156] = ord("S")
            content[start + 386 : start + 410] = b"%011o\0%011o\0" % (0, 900)
            content[start + 482 : start + 495] = b"\0%011o\0" % (8**11 - 1)
            content[start + 148 : start + 156] = b" " * 8
            content[start + 148 : start + 156] = b"%06o\0 " % sum(content[start : start + 512])
    small_shard.write_bytes(bytes(content))
    with pytest.raises(TrainingError, match=r"hold no video|not a whole"):
        Shards(str(small_shard))
