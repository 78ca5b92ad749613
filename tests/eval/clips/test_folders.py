"""Frame folders: one whole sequence of numbered pictures, or the file that does not belong."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.clips.folders import frame_files
from eval.clips.media import digest, first_frame, read_media
from eval.errors import EvalError


def picture(number: int) -> Image.Image:
    return Image.fromarray(np.full((8, 12, 3), 10 * (number % 25), np.uint8))


def folder(path: Path, names: list[str]) -> Path:
    """A folder whose files show their place in `names`."""
    path.mkdir()
    for number, name in enumerate(names):
        target = path / name
        if target.suffix.lower() in (".png", ".jpg", ".bmp"):
            picture(number).save(target)
        else:
            target.write_bytes(b"\0\5\x16\7" + bytes(80))
    return path


WHOLE: dict[str, list[str]] = {
    "plain": [f"frame_{k}.png" for k in range(12)],
    "padded": [f"{k:04d}.png" for k in range(12)],
    "padded and grown": [f"f{k:02d}.png" for k in range(98, 102)],
    "from another start": [f"f{k}.png" for k in range(9, 13)],
    "a number in the name": [f"take2_{k}.png" for k in range(4)],
    "text after the number": [f"{k} of clip.png" for k in range(4)],
    "spaces, umlauts, upper case": [f"f ünï {k}.PNG" for k in range(4)],
    "superscript digits are letters": [f"\u00b2{k}.png" for k in range(12)],
    "no suffix in common with a note": [*[f"{k}.png" for k in range(4)], "settings.json"],
    "an AppleDouble file": [*[f"{k}.png" for k in range(4)], "._0.png", ".DS_Store", ".4.png"],
}


@pytest.mark.parametrize("case", WHOLE)
def test_whole_sequences_are_read_in_order(case: str, tmp_path: Path) -> None:
    names = WHOLE[case]
    frames = [name for name in names if name[0] != "." and name.lower().endswith(".png")]
    path = folder(tmp_path / "clip", names)
    clip = read_media(path, fps=8).clip
    assert clip.frames[:, 0, 0, 0].tolist() == [10 * number for number in range(len(frames))]
    assert [file.name for file in frame_files(path)] == frames
    assert np.array_equal(first_frame(path), clip.frames[0])


SIXTEEN = [f"frame_{k}.png" for k in range(16)]
BROKEN: dict[str, tuple[list[str], str]] = {
    "a gap": (
        [name for name in SIXTEEN if name != "frame_5.png"],
        "frame 5 is missing between 'frame_4.png' and 'frame_6.png'",
    ),
    "a wide gap": (
        [f"{k}.png" for k in (0, 1, 2, 6, 7)],
        "frame 3 to 5 is missing between '2.png' and '6.png'",
    ),
    "two formats": (
        [*SIXTEEN, *[f"frame_{k}.jpg" for k in range(16)]],
        "'frame_0.jpg' and 'frame_0.png' are both frame 0; remove one",
    ),
    "one frame of another format": (
        ["0.png", "1.png", "2.jpg", "3.png"],
        "'2.jpg' is no .png file as the others are",
    ),
    "padded and not": (
        [*SIXTEEN, *[f"frame_{k:03d}.png" for k in range(16)]],
        "'frame_0.png' and 'frame_000.png' are both frame 0; remove one",
    ),
    "padded in part": (
        ["f_000.png", "f_001.png", "f_2.png", "f_3.png"],
        "'f_2.png' and 'f_001.png' are numbered in two ways",
    ),
    "a left-over contact sheet": ([*SIXTEEN, "grid.png"], "'grid.png' has no frame number"),
    "a copy": (
        [*SIXTEEN, "frame_3 (1).png"],
        "'frame_3 (1).png' is not named like 'frame_0.png'; a folder holds one sequence",
    ),
    "two sequences": (
        [f"{letter}_{k}.png" for letter in "ab" for k in range(8)],
        "'b_0.png' is not named like 'a_0.png'; a folder holds one sequence",
    ),
    "a stray that comes first": (
        ["a_0.png", *SIXTEEN],
        "'a_0.png' is not named like 'frame_0.png'",
    ),
    "only superscripts": (["\u00b2.png", "\u00b3.png"], "'\u00b2.png' has no frame number"),
    "other digits": (["\u0663.png", "\u0664.png"], "'\u0663.png' has no frame number"),
    "nothing": (["notes.txt", "._0.png"], "the folder holds no frames"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_does_not_belong_is_named(case: str, tmp_path: Path) -> None:
    names, message = BROKEN[case]
    path = folder(tmp_path / "clip", names)
    for read in (lambda: read_media(path, fps=8), lambda: first_frame(path)):
        with pytest.raises(EvalError) as raised:
            read()
        assert message in str(raised.value)
        assert str(raised.value).startswith(f"{path}: ")


def test_only_regular_files_inside_the_root(tmp_path: Path) -> None:
    path = folder(tmp_path / "clip", SIXTEEN[:4])
    shared = folder(tmp_path / "shared", SIXTEEN[:5])
    (path / "frame_4.png").symlink_to(shared / "frame_4.png")
    with pytest.raises(EvalError, match=r"'frame_4.png' leaves the folder .*clip; copy it there"):
        read_media(path, fps=8)
    assert len(read_media(path, fps=8, root=tmp_path).clip.frames) == 5
    for name, target in (("zero", "/dev/zero"), ("loop", str(path / "frame_5.png"))):
        (path / "frame_5.png").symlink_to(target)
        for call in (lambda: read_media(path, fps=8), lambda: digest(path, 8)):
            with pytest.raises(EvalError, match=r"leaves the folder|cannot be read|frame_5"):
                call()
        (path / "frame_5.png").unlink()
        assert name
    os.mkfifo(path / "frame_5.png")
    with pytest.raises(EvalError, match=r"'frame_5.png': not a regular file"):
        digest(path, 8, root=tmp_path)


def test_the_digest_changes_with_what_is_read(tmp_path: Path) -> None:
    path = folder(tmp_path / "clip", SIXTEEN[:4])
    first = digest(path, 8)
    assert digest(path, 8) == first
    assert digest(path, 9) != first
    assert digest(path, 8, hdr="tone-map") != first
    (path / ".hidden.png").write_bytes(b"x")
    assert digest(path, 8) == first
    picture(9).save(path / "frame_2.png")
    assert digest(path, 8) != first
