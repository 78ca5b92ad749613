"""The paper's seven claims as tests between cells, named as `suites/claims.yaml` labels them. Data
only.

Margins are the smallest differences taken to matter, in each metric's unit, chosen before the suite
was first run.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from eval.claims.decision import Kind, Test

NAMED = ("unseen", "seen")
"""Groups of samples drawn plainly."""

T0 = (1.0, 0.9, 0.8, 0.7, 0.6)
P = (0.9, 0.7, 0.5, 0.3, 0.1)

IDENTITY, CLIP_TEMP, AGREEMENT, DIRECTION = 0.02, 0.005, 0.5, 0.05  # cosine
FLOW, PLACE, WARP, STYLE, TEXT = 0.01, 0.5, 0.2, 0.05, 0.5
"""Margins: px/frame, px, 1000 x squared difference, share of frames, 100 x cosine."""

FAMILIES = ("full", "without-content", "content-adapter", "concatenation")
"""Cells of claim 6, each with and without the style LoRA (``<cell>+style``)."""


@dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    Attributes:
        number: 1 to 7.
        title: the claim in one sentence.
        tests: what has to be true for it.
        facts: kinds of facts about the weights that must hold as well, see
            `eval.claims.weight_facts`.
    """

    number: int
    title: str
    tests: tuple[Test, ...]
    facts: tuple[str, ...] = ()


def t0_cell(t0: float) -> str:
    """Cell of the sweep over t0 at p = 1."""
    return f"prior[t0={t0}]"


def p_cell(p: float) -> str:
    """Cell of the sweep over p at t0 = 1."""
    return f"mask[p={p}]"


_ENDS = {
    "t0": ("t0 from 0.6 to 1.0 at p = 1", t0_cell(1.0), t0_cell(0.6)),
    "p": ("p from 0.1 to 0.9 at t0 = 1", p_cell(0.9), p_cell(0.1)),
}
_MEASURES = {
    "flow": ("motion rises with", "paper.flow_score", FLOW),
    "warp": ("warping error rises with", "paper.warping_error", WARP),
}
_TABLE_2 = {
    ("flow", "t0"): "Table 2: .1428 to .8395",
    ("warp", "t0"): "Table 2: 7.63 to 11.74",
    ("flow", "p"): "Table 2: .6918 to .9895",
    ("warp", "p"): "Table 2: 11.30 to 12.09",
}
_PROSE = {
    ("warp", "t0"): "Its prose says the warping error falls as t0 rises.",
    ("warp", "p"): "Its prose says the warping error falls as p rises.",
}


def _prior() -> tuple[Test, ...]:
    tests = [
        Test(
            f"{_MEASURES[measure][0]} {_ENDS[axis][0]}",
            _MEASURES[measure][1],
            *_ENDS[axis][1:],
            margin=_MEASURES[measure][2],
            paper=_TABLE_2[measure, axis],
            prose=_PROSE.get((measure, axis), ""),
        )
        for measure, axis in product(_MEASURES, _ENDS)
    ]
    keeps = (
        "Equation 7: a larger p keeps more of the image's detail; its prose says a smaller p "
        "keeps more of it."
    )
    words, high, low = _ENDS["p"]
    return (
        *tests,
        Test(f"identity, {words}", "identity", high, low, "report", prose=keeps),
        Test(f"identity, {_ENDS['t0'][0]}", "identity", *_ENDS["t0"][1:], "report"),
    )


def _parts() -> tuple[Test, ...]:
    rows = {
        "without-i2v": ("without I2V-Adapter", "Table 3, CLIPTemp: .9389 and .8841"),
        "without-content": ("without content adapter", "Table 3, CLIPTemp: .9389 and .9158"),
        "neither": ("neither", "Table 3, CLIPTemp: .9389 and .7013"),
    }
    found = []
    for cell, (words, paper) in rows.items():
        minus = f"full - {words}"
        found += [
            Test(f"identity, {minus}", "identity", "full", cell, "more", IDENTITY, NAMED),
            Test(
                f"CLIPTemp, {minus}",
                "paper.clip_temp",
                "full",
                cell,
                "more",
                CLIP_TEMP,
                NAMED,
                paper=paper,
            ),
            Test(
                f"warping error, {minus}",
                "paper.warping_error",
                "full",
                cell,
                "report",
                groups=NAMED,
            ),
        ]
    return tuple(found)


def _personalised() -> tuple[Test, ...]:
    styled = ("styled",)
    asked: dict[str, tuple[Kind, float]] = {
        "style": ("more", STYLE),
        "identity": ("no less", IDENTITY),
        "text": ("no less", TEXT),
    }
    tests = []
    for cell, metric in product(FAMILIES, asked):
        kind, margin = asked[metric] if cell == "full" else ("report", 0.0)
        title = f"{metric} of {cell}, with - without the LoRA"
        tests.append(Test(title, metric, f"{cell}+style", cell, kind, margin, styled))
    for metric in asked:
        title = f"{metric} under the LoRA, full - concatenation"
        tests.append(
            Test(title, metric, "full+style", "concatenation+style", "report", groups=styled)
        )
    return tuple(tests)


def _control() -> tuple[Test, ...]:
    with_, without = "full+control", "without-control"
    along, against = "flow along a map that contradicts the prompt", ("controlled",)
    return (
        Test(f"{along}, under control", "exact.direction", with_, "", "more", AGREEMENT, against),
        Test(
            f"{along}, with - without control",
            "exact.direction",
            with_,
            without,
            "more",
            DIRECTION,
            against,
        ),
        Test(
            "error of place, without - with control",
            "exact.position",
            without,
            with_,
            "more",
            PLACE,
            against,
        ),
        Test(
            "identity, with - without control", "identity", with_, without, "report", groups=against
        ),
    )


def _base() -> tuple[Test, ...]:
    words, cells = (
        "as text-to-video, concatenation's base - base",
        ("concatenation-text", "text-to-video"),
    )
    return (
        Test(f"FVD {words}", "fvd", *cells, "report", groups=NAMED),
        Test(f"text score {words}", "text", *cells, "report", groups=NAMED),
        Test(
            f"glyph named rightly, seen, {words}", "exact.glyph", *cells, "report", groups=("seen",)
        ),
    )


def _identity() -> tuple[Test, ...]:
    unseen, named = ("unseen",), "glyph named rightly, unseen"
    minus = {"content-adapter": "full - content adapter", "concatenation": "full - concatenation"}
    content, concat = minus
    return (
        Test(
            f"identity, unseen, {minus[content]}",
            "identity",
            "full",
            content,
            "more",
            IDENTITY,
            unseen,
        ),
        Test(f"{named}, {minus[content]}", "exact.glyph", "full", content, "report", groups=unseen),
        Test(
            f"identity, unseen, {minus[concat]}",
            "identity",
            "full",
            concat,
            "report",
            groups=unseen,
        ),
        Test(f"{named}, {minus[concat]}", "exact.glyph", "full", concat, "report", groups=unseen),
    )


CLAIMS = (
    Claim(1, "The base model is untouched.", _base(), ("untouched", "moved")),
    Claim(
        2,
        "The image's identity is kept better than by image embeddings in cross-attention.",
        _identity(),
    ),
    Claim(3, "Each part of the system matters (Table 3).", _parts()),
    Claim(4, "The frame similarity prior trades motion for stability (Table 2).", _prior()),
    Claim(5, "Few parameters are trained.", (), ("share", "cost")),
    Claim(6, "It works with personalised models.", _personalised()),
    Claim(7, "It works with control.", _control()),
)
"""All claims, in the order of the report."""
