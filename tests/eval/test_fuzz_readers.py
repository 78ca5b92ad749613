"""Whatever a file from elsewhere holds, it is read, or refused with one line that can be printed,
within 10 s and 256 MiB.

FUZZ_EXAMPLES: examples of each of the six tests, each read in eight variants; `nox -s fuzz` takes
2,100: 100,800 inputs.
"""

import csv
import io
import json
import os
import random
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from eval.errors import EvalError, one_line
from eval.samples import load_samples
from eval.samples.clip_manifest import read_entries
from eval.store.received import read_run
from eval.summary.ballot_files import FORMAT, read_ballots
from i2v_adapter.training.config import TrainingError
from i2v_adapter.training.sources import VideoFolder
from i2v_adapter.training.video_clips import UnusableVideoError

patient = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "25")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

WORDS = st.sampled_from(
    [
        *("id", "image", "prompt", "clip", "method", "seed", "group", "name", "videoid", "page"),
        *(
            "rater",
            "case",
            "rank",
            "0.png",
            "0.npy",
            "1",
            "2",
            "0",
            "0.mp4",
            "../x",
            "/dev/zero",
            "a" * 300,
            "\x00",
            "\u2028",
            "é",
        ),
        *("=1+1", "\x1b[2J", "-1", "1e999", "9" * 5000, "A", "B", "case-01", FORMAT, "p1", ""),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=6)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
ROWS = st.lists(st.dictionaries(WORDS, VALUES, max_size=6), max_size=4)
CELLS = st.lists(st.lists(WORDS | st.text(max_size=6), max_size=7), max_size=5)


@st.composite
def damaged(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> bytes:
    """A text as bytes, here and there cut, doubled or broken."""
    content = draw(texts).encode("utf-8", "surrogatepass")
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(content)))
        end = draw(st.integers(start, min(len(content), start + 12)))
        content = content[:start] + draw(st.binary(max_size=6)) + content[end:]
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe"])) * draw(
        st.booleans()
    ) + content * draw(st.sampled_from([1, 1, 1, 2]))


def table(rows: list[list[str]]) -> str:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue()


HEADERS = st.sampled_from(
    [
        ["id", "image", "prompt", "clip", "seed"],
        ["videoid", "name", "page_dir"],
        ["page", "rater", "case", "clip", "rank"],
        ["image", "prompt", "group"],
    ]
)
TABLES = damaged(st.tuples(HEADERS, CELLS).map(lambda pair: table([pair[0], *pair[1]])))
LINES = damaged(ROWS.map(lambda rows: "\n".join(json.dumps(row) for row in rows)))
BALLOT = st.fixed_dictionaries(
    {"format": st.just(FORMAT) | VALUES, "page": st.just("p1") | VALUES},
    optional={"rater": VALUES, "rankings": VALUES | st.dictionaries(WORDS, VALUES, max_size=3)},
)
RUN = st.dictionaries(
    st.sampled_from(
        [
            "suite",
            "cells",
            "seeds",
            "storage",
            "machine",
            "judge_cards",
            "warnings",
            "encoders",
            "finished",
            "counts",
        ]
    ),
    VALUES | st.lists(st.fixed_dictionaries({"id": VALUES, "method": VALUES}), max_size=2),
    max_size=5,
)


SECONDS, MEGABYTES = 10.0, 256
VARIANTS = 8


def variants(content: bytes) -> Iterator[bytes]:
    """An input, and seven in which bytes are flipped, cut out or doubled: the same each time."""
    yield content
    draw = random.Random(content)
    for _ in range(VARIANTS - 1):
        changed = bytearray(content or b"\0")
        for _ in range(draw.choice((1, 1, 2, 5))):
            start = draw.randrange(len(changed) + 1)
            part = changed[start : start + draw.randrange(1, 30)]
            if part and draw.random() < 0.5:
                changed[start] ^= 1 << draw.randrange(8)
            else:
                changed[start : start + len(part)] = part * draw.choice((0, 2))
        yield bytes(changed)


def read_or_refused(read: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What a reader gives; None where it refuses, in one line. Either within bounds of processor
    time and memory. Other exceptions pass, and fail the test.
    """
    start, peak = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        found = read(*arguments, **options)
    except (EvalError, TrainingError, UnusableVideoError) as error:
        line = one_line(str(error))
        assert line.isprintable()
        assert 0 < len(line) < 3000
        found = None
    assert time.process_time() - start < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < MEGABYTES * 1024
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With an image, an array and a file named as a video, so that some rows can be used."""
    path = tmp_path_factory.mktemp("fuzz")
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path / "0.png")
    np.save(path / "0.npy", np.zeros((2, 8, 8, 3), np.uint8))
    (path / "0.mp4").write_bytes(b"no video")
    return path


def is_text(value: object) -> bool:
    """A text that any file can hold."""
    return isinstance(value, str) and bool(value.encode()) and value.strip() != ""


@given(content=TABLES | LINES, kind=st.sampled_from(["csv", "jsonl"]))
@example(content=b"id,image,prompt,clip,seed\na,0.png,x,0.npy,0\n", kind="csv")
@example(content=b'{"id":"a","image":"0.png","prompt":"x","clip":"/dev/zero"}', kind="jsonl")
@patient
def test_manifests_of_clips(content: bytes, kind: str, folder: Path) -> None:
    path = folder / f"m.{kind}"
    for variant in variants(content):
        path.write_bytes(variant)
        found = read_or_refused(read_entries, path, folder)
        for entry in found.entries if found else ():
            assert is_text(entry.id)
            assert is_text(entry.method)
            assert is_text(entry.group)
            assert is_text(entry.prompt) or "prompt" in found.unknown
            assert 0 <= entry.seed < 2**63
            assert entry.clip.resolve().is_relative_to(folder.resolve())
        for failure in found.failures if found else ():
            assert failure.reason
            assert failure.line > 0


@given(content=TABLES | LINES, kind=st.sampled_from(["csv", "jsonl"]))
@example(content=b"id,image,prompt\na,0.png,x\n", kind="csv")
@example(content=b"id,image,prompt,clip,seed\na,0.png,x,0.npy,0\n", kind="csv")
@patient
def test_manifests_of_samples(content: bytes, kind: str, folder: Path) -> None:
    path = folder / f"s.{kind}"
    for variant in variants(content):
        path.write_bytes(variant)
        settings = {"source": "manifest", "path": path.name}
        found = read_or_refused(load_samples, settings, folder=folder)
        assert found is None or len({sample.id for sample in found}) == len(found) > 0
        for sample in found or ():
            assert is_text(sample.prompt)
            assert is_text(sample.group)
            assert sample.image.shape == (8, 8, 3)
            assert sample.clip is None


@given(content=TABLES | LINES, kind=st.sampled_from(["csv", "jsonl"]))
@example(content=b"videoid,name,page_dir\n0,x,\n", kind="csv")
@patient
def test_captions(content: bytes, kind: str, folder: Path) -> None:
    path = folder / f"c.{kind}"
    for variant in variants(content):
        path.write_bytes(variant)
        found = read_or_refused(VideoFolder, folder, path)
        for index in range(len(found) if found else 0):
            assert is_text(found.name(index))
            entry = read_or_refused(found.read, index)
            assert entry is None or (is_text(entry.caption) and Path(entry.file).exists())


@given(content=TABLES | LINES, kind=st.sampled_from(["csv", "jsonl", "txt"]))
@example(content=b"image,prompt\n0.png,x\n", kind="csv")
@patient
def test_prompts_of_images(content: bytes, kind: str, folder: Path) -> None:
    path = folder / f"p.{kind}"
    for variant in variants(content):
        path.write_bytes(variant)
        settings = {"source": "images", "folder": ".", "prompts": path.name}
        found = read_or_refused(load_samples, settings, folder=folder)
        assert found is None or [sample.image.shape for sample in found] == [(8, 8, 3)]
        assert all(is_text(sample.prompt) for sample in found or ())


KEY = {"case-01": {"A": "x", "B": "y"}}
GOOD_BALLOT = {"format": FORMAT, "page": "p1", "rater": "r", "rankings": {"case-01": ["B", "A"]}}


@given(content=TABLES | damaged(BALLOT.map(json.dumps)), kind=st.sampled_from(["csv", "json"]))
@example(content=json.dumps(GOOD_BALLOT).encode(), kind="json")
@example(content=b"page,case,clip,rank\np1,case-01,A,1\np1,case-01,B,2\n", kind="csv")
@patient
def test_ballots(content: bytes, kind: str, folder: Path) -> None:
    ballots = folder / "ballots"
    ballots.mkdir(exist_ok=True)
    for variant in variants(content):
        for left in ballots.iterdir():
            left.unlink()
        (ballots / f"b.{kind}").write_bytes(variant)
        found = read_or_refused(read_ballots, ballots, "p1", KEY)
        assert found is None or len({(each.rater, each.case) for each in found}) == len(found) > 0
        for ranking in found or ():
            assert is_text(ranking.rater)
            assert ranking.case == "case-01"
            assert sorted(ranking.order) == ["x", "y"]


@given(content=damaged(RUN.map(json.dumps)))
@example(content=b'{"suite": {"name": "s"}, "cells": [{"id": "a", "method": "m"}], "seeds": [0]}')
@patient
def test_run_documents(content: bytes, folder: Path) -> None:
    for variant in variants(content):
        (folder / "run.json").write_bytes(variant)
        found = read_or_refused(read_run, folder)
        assert found is None or json.loads(json.dumps(found, allow_nan=False)) == found
        for cell in found.get("cells", []) if found else ():
            assert isinstance(cell["id"], str)
            assert isinstance(cell.get("method", ""), str)


@pytest.mark.parametrize("content", [b"[" * 200_000, b'{"a":' * 100_000, b"9" * 10_000, b"\xff"])
def test_depth_and_digits_without_end(content: bytes, folder: Path) -> None:
    ballots = folder / "deep"
    ballots.mkdir(exist_ok=True)
    (ballots / "b.json").write_bytes(content)
    (ballots / "run.json").write_bytes(content)
    for read in (lambda: read_ballots(ballots, "p1", {}), lambda: read_run(ballots)):
        with pytest.raises(EvalError):
            read()
