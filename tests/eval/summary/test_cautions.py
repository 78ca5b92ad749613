"""Codes with fields survive their trip through a table; sentences are made of them alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.errors import EvalError
from eval.summary.cautions import (
    FEW,
    SENTENCES,
    Caution,
    documents,
    few_images,
    from_documents,
    from_json,
    to_json,
)

FIELDS: dict[str, int | float | str] = {
    "clusters": 4,
    "n": 7,
    "dimension": 20,
    "enough": 256,
    "lost": 1,
    "wanted": 9,
    "comparisons": 6,
    "expected": 0.3,
    "flag": "prompt_truncated",
    "samples": 2,
    "text": "{old} words",
    "references": 1,
}


@pytest.mark.parametrize("code", SENTENCES)
def test_every_code_has_a_sentence_without_holes(code: str) -> None:
    text = Caution(code, FIELDS).text
    assert "{" not in text.replace("{old}", "")
    assert code not in text
    assert (code in FEW) == ("image" in text or "reference clip" in text or text.startswith("n ="))


@given(st.integers(0, 30))
def test_few_images_below_ten(clusters: int) -> None:
    found = few_images(clusters)
    assert bool(found) == (clusters < 10)
    assert all(caution.few for caution in found)


def test_plural_and_metric() -> None:
    assert str(Caution("no_interval", {"clusters": 1})) == "1 input image: no interval"
    assert str(Caution("no_interval", {"clusters": 2}, "fvd.x.v1")) == (
        "fvd.x.v1: 2 input images: no interval"
    )


def test_a_code_of_a_later_version_is_shown_as_it_is() -> None:
    assert Caution("moon", {"phase": "full"}).text == "moon, phase = full"


@given(st.text(), st.text(), st.integers())
def test_a_table_gives_back_what_it_was_given(text: str, metric: str, n: int) -> None:
    cautions = [Caution("note", {"text": text}, metric), Caution("few_images", {"clusters": n})]
    assert from_json(to_json(cautions), "here") == cautions
    assert from_documents(documents(cautions), "here") == cautions
    assert to_json([]) == ""
    assert from_json("", "here") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "here: not readable as JSON"),
        ("[" * 100_000, "here: not readable as JSON"),
        ("7", "here: cautions must be a list"),
        ('["few"]', "here: a caution needs a code"),
        ('[{"code": "few_images"}]', "here: caution few_images lacks 'clusters'"),
        ('[{"code": "may_be_chance", "comparisons": 1, "expected": "x"}]', "here: caution"),
    ],
)
def test_damage_is_one_line(text: str, message: str) -> None:
    with pytest.raises(EvalError, match=message) as caught:
        from_json(text, "here")
    assert "\n" not in str(caught.value)
