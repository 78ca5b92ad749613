"""Two clips share a key exactly if they share everything that decides their pixels."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.clips.lossless import Clip
from eval.plan.cells import Cell
from eval.samples import Sample
from eval.samples.seeds import derive_seed
from eval.summary.tables import true_key


class Named:
    """A method that is nothing but its fingerprint."""

    def __init__(self, fingerprint: str) -> None:
        self._fingerprint = fingerprint

    def fingerprint(self) -> str:
        return self._fingerprint


class Parts(NamedTuple):
    """All that could go into a key. The last four decide nothing."""

    method: str
    settings: dict[str, Any]
    fingerprint: str
    image: tuple[int, int, bytes]
    prompt: str
    clip: bytes | None
    sample: str
    seed: int
    label: str
    cell: str
    group: str
    truth: dict[str, str]


IDS = st.text("ab1", min_size=1, max_size=2)
TEXTS = st.text(min_size=1, max_size=3).filter(str.strip)
VALUES = st.one_of(st.integers(0, 3), st.floats(0, 1), st.text(max_size=2), st.booleans())
IMAGES = st.sampled_from([(1, 2), (2, 1)]).flatmap(
    lambda s: st.tuples(st.just(s[0]), st.just(s[1]), st.binary(min_size=6, max_size=6))
)
FIELDS = {
    "method": TEXTS,
    "settings": st.dictionaries(st.text(max_size=2), VALUES, max_size=2),
    "fingerprint": TEXTS,
    "image": IMAGES,
    "prompt": TEXTS,
    "clip": st.none() | st.binary(min_size=6, max_size=6),
    "sample": IDS,
    "seed": st.integers(0, 2**63 - 1),
    "label": TEXTS,
    "cell": TEXTS,
    "group": TEXTS,
    "truth": st.dictionaries(IDS, IDS, max_size=1),
}
PARTS = st.builds(Parts, **FIELDS)
DECIDE_NOTHING = ("label", "cell", "group", "truth")


def key(parts: Parts) -> str:
    height, width, pixels = parts.image
    image = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
    clip = (
        None
        if parts.clip is None
        else Clip(np.frombuffer(parts.clip, np.uint8).reshape(1, 1, 2, 3), 8.0)
    )
    sample = Sample(parts.sample, image, parts.prompt, parts.group, clip, parts.truth)
    method: Any = Named(parts.fingerprint)
    return Cell(parts.cell, parts.label, parts.method, parts.settings, method).clip_key(
        sample, parts.seed
    )


@given(PARTS, st.sampled_from(Parts._fields), st.data())
@settings(max_examples=150, deadline=None)
def test_a_key_changes_with_what_decides_the_pixels_and_with_nothing_else(
    parts: Parts, name: str, data: Any
) -> None:
    other = parts._replace(**{name: data.draw(FIELDS[name])})
    same = name in DECIDE_NOTHING or repr(getattr(parts, name)) == repr(getattr(other, name))
    if name == "settings":  # the order of settings decides nothing; the type of a value does
        same = sorted(map(repr, parts.settings.items())) == sorted(
            map(repr, other.settings.items())
        )
    assert (key(parts) == key(other)) == same


@given(PARTS, PARTS)
@settings(max_examples=50, deadline=None)
def test_no_two_different_clips_share_a_key(one: Parts, other: Parts) -> None:
    decisive = [
        parts._replace(settings={}, **dict.fromkeys(DECIDE_NOTHING)) for parts in (one, other)
    ]
    if repr(decisive[0]) != repr(decisive[1]):
        assert key(one) != key(other)


def test_samples_that_differ_in_name_alone_have_clips_of_their_own() -> None:
    """Their generators' seeds differ, so their pixels do."""
    image = np.zeros((1, 1, 3), np.uint8)
    one, other = Sample("a", image, "x"), Sample("b", image, "x")
    method: Any = Named("f")
    cell = Cell("c", "c", "m", {}, method)
    assert derive_seed("a", 0) != derive_seed("b", 0)
    assert cell.clip_key(one, 0) != cell.clip_key(other, 0)
    assert dataclasses.replace(cell, id="d", label="e").clip_key(one, 0) == cell.clip_key(one, 0)


def test_features_of_equal_true_clips_are_shared() -> None:
    frames = np.arange(6, dtype=np.uint8).reshape(1, 1, 2, 3)
    samples = [Sample(name, frames[0], name, clip=Clip(frames.copy(), 8.0)) for name in "ab"]
    assert true_key(samples[0]) == true_key(samples[1])
    assert true_key(samples[0]) != true_key(dataclasses.replace(samples[0], clip=Clip(frames, 9.0)))
    assert (
        true_key(samples[0]) != samples[0].clip.fingerprint
    )  # a true clip is told from a generated one
