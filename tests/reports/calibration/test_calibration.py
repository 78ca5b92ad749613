"""The calibration page says what the numbers say, in HTML and in Markdown."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eval.cli import app
from eval.errors import EvalError
from reports.calibration.content import blind_spots, failures, load_calibration, number

HOSTILE = "<script>window.hostile=1</script>|x"


def response(
    verdict: str, means: list[float], spearman: float, seen_from: float | None
) -> dict[str, Any]:
    change = means[-1] - means[0]
    return {
        "strengths": [0.0, 1.0, 2.0],
        "means": means,
        "lows": [mean - 0.01 for mean in means],
        "highs": [None, *(mean + 0.01 for mean in means[1:])],
        "change": change,
        "change_low": change - 0.01,
        "change_high": change + 0.01,
        "share": abs(change),
        "spearman": spearman,
        "seen_from": seen_from,
        "expected": -1,
        "verdict": verdict,
    }


def entry(metric: str, group: str, **responses: dict[str, Any]) -> dict[str, Any]:
    return {
        "metric": metric,
        "group": group,
        "scope": "clip",
        "unit": "cosine",
        "higher_is_better": True,
        "n": 24,
        "undisturbed": 0.9,
        "undisturbed_low": 0.88,
        "undisturbed_high": 0.92,
        "unrelated": -0.1,
        "noise_floor": 0.02,
        "ceiling": 1.0,
        "responses": responses,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    seen, unseen = (
        response("responds", [0.9, 0.6, 0.3], -1.0, 1.0),
        response("FAILS", [0.9, 0.9, 0.9], 0.0, None),
    )
    blind = response("cannot see", [0.9, 0.9, 0.9], 0.0, None)
    content = {
        "protocol": "corruptions.v1",
        "clips": {"glyph": 24, "camera": 12},
        "least_share": 0.05,
        "steady": 0.9,
        "verdicts": {"responds": "must see it, and does", "FAILS": "must see it, and does not"},
        "corruptions": {name: {"unit": HOSTILE, "strengths": [1, 2]} for name in ("blur", "noise")},
        "metrics": [
            entry("identity.x.v1", "glyph", blur=seen, noise=blind),
            entry("identity.x.v1", "camera", blur=unseen),
            entry("fvd.y.v1", "glyph", blur=seen, noise=seen),
            entry("fvd.y.v1", "camera", blur=seen),
        ],
        "known_motion": [
            {
                "metric": "motion.z.v1",
                "group": "glyph",
                "clips": 8,
                "spearman": 0.97,
                "slope": 1.4,
                "still_highest": 0,
            }
        ],
        "commit": "abc",
        "encoders": {"x": "0123456789abcdef" * 4},
        "versions": {"torch": "2.15"},
    }
    (tmp_path / "calibration.json").write_text(json.dumps(content))
    return tmp_path


def test_what_fails_and_what_is_blind(folder: Path) -> None:
    calibration = load_calibration(folder)
    assert failures(calibration) == ["identity.x.v1, still pictures under a moving camera: blur"]
    assert blind_spots(calibration) == ["blur: every metric sees it", "noise: identity.x.v1"]


def test_page_and_markdown(folder: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(folder)])
    assert result.exit_code == 0, result.output
    page, text = (folder / "calibration.html").read_text(), (folder / "calibration.md").read_text()
    assert "| identity.x.v1 | responds −60 %, ρ −1.00 | cannot see |" in text
    assert "| identity.x.v1 | cosine | 0.9 (0.88 to 0.92) | −0.1 | 0.02 | 1 | 24 |" in text
    assert "| motion.z.v1 | True glyph clips | 0.97 | 1.4 | 0 | 8 |" in text
    assert len(re.findall(r"<svg", page)) == 2
    assert page.count(">FAILS<") >= 3  # the key, the table, the curve
    assert "<script" not in page
    assert "<script" not in text
    assert not re.search(r"(?:src|href)=\"(?!#)", page.replace('xlink:href="#', ""))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "calibration.json: not readable as JSON"),
        ("{}", "calibration.json: not a calibration, or one without"),
    ],
)
def test_a_broken_file_is_named(text: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="no such file; make it with `i2v-eval calibrate"):
        load_calibration(tmp_path)
    (tmp_path / "calibration.json").write_text(text)
    with pytest.raises(EvalError, match=expected):
        load_calibration(tmp_path)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "–"),
        (0.0, "0"),
        (0.12345, "0.123"),
        (-2.5, "−2.5"),
        (3.6e-15, "3.6e−15"),
        (123456.0, "1.2e+05"),
    ],
)
def test_numbers(value: float | None, written: str) -> None:
    assert number(value) == written
