"""Whatever a file from elsewhere holds, it is read, or refused with one line that can be printed.

FUZZ_EXAMPLES: inputs of each test; `nox -s torture` takes 20,000 of each, 100,000 in all.
"""

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eval.errors import EvalError, one_line
from eval.samples import load_samples
from eval.samples.clip_manifest import read_entries
from eval.store.received import read_run
from eval.summary.ballots import FORMAT, read_ballots
from i2v_adapter.training.config import TrainingError
from i2v_adapter.training.sources import VideoFolder

patient = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "25")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

WORDS = st.sampled_from(
    [
        *("id", "image", "prompt", "clip", "method", "seed", "group", "name", "videoid", "page"),
        *("rater", "case", "rank", "0.png", "../x", "/dev/zero", "a" * 300, "\x00", "\u2028", "é"),
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


def refused_in_one_line(read: Callable[[], Any]) -> None:
    try:
        read()
    except (EvalError, TrainingError) as error:
        line = one_line(str(error))
        assert line.isprintable()
        assert 0 < len(line) < 3000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@given(content=TABLES | LINES, kind=st.sampled_from(["csv", "jsonl"]))
@patient
def test_manifests(content: bytes, kind: str, folder: Path) -> None:
    path = folder / f"m.{kind}"
    path.write_bytes(content)
    refused_in_one_line(lambda: read_entries(path, folder))
    settings = {"source": "manifest", "path": path.name}
    refused_in_one_line(lambda: load_samples(settings, folder=folder))


@given(content=TABLES | LINES, kind=st.sampled_from(["csv", "jsonl"]))
@patient
def test_captions(content: bytes, kind: str, folder: Path) -> None:
    path = folder / f"c.{kind}"
    path.write_bytes(content)
    refused_in_one_line(lambda: VideoFolder(folder, path))


@given(content=TABLES | LINES, kind=st.sampled_from(["csv", "jsonl", "txt"]))
@patient
def test_prompts_of_images(content: bytes, kind: str, folder: Path) -> None:
    path = folder / f"p.{kind}"
    path.write_bytes(content)
    settings = {"source": "images", "folder": ".", "prompts": path.name}
    refused_in_one_line(lambda: load_samples(settings, folder=folder))


@given(content=TABLES | damaged(BALLOT.map(json.dumps)), kind=st.sampled_from(["csv", "json"]))
@patient
def test_ballots(content: bytes, kind: str, folder: Path) -> None:
    ballots = folder / "ballots"
    ballots.mkdir(exist_ok=True)
    for left in ballots.iterdir():
        left.unlink()
    (ballots / f"b.{kind}").write_bytes(content)
    refused_in_one_line(lambda: read_ballots(ballots, "p1", {"case-01": {"A": "x", "B": "y"}}))


@given(content=damaged(RUN.map(json.dumps)))
@patient
def test_run_documents(content: bytes, folder: Path) -> None:
    (folder / "run.json").write_bytes(content)
    refused_in_one_line(lambda: read_run(folder))


@pytest.mark.parametrize("content", [b"[" * 200_000, b'{"a":' * 100_000, b"9" * 10_000, b"\xff"])
def test_depth_and_digits_without_end(content: bytes, folder: Path) -> None:
    ballots = folder / "deep"
    ballots.mkdir(exist_ok=True)
    (ballots / "b.json").write_bytes(content)
    (ballots / "run.json").write_bytes(content)
    for read in (lambda: read_ballots(ballots, "p1", {}), lambda: read_run(ballots)):
        with pytest.raises(EvalError):
            read()
