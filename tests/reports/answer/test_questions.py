"""What a run does not measure is said in its first lines, with what to do about it."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from eval.encoders.published import PUBLISHED
from eval.measure.catalogue import parse_metric
from reports.answer.questions import answers, deciding, unmeasured
from reports.cli import write_report
from reports.run.load import load_run
from reports.run.measures import Measure, measures_of
from tests.reports.conftest import FEW, IDENTITY, METRICS, MOTION, write_run

FLICKER = ("flicker.pixels.v1", "share of range", "false")
TEXT = ("text.clip_glyph.v1", "cosine", "true")


def _said(folder: Path) -> str | None:
    run = load_run(folder)
    found = unmeasured(run, measures_of(run))
    return None if found is None else "".join(found)


def test_photographs_get_the_weights_and_the_metrics_to_add(tmp_path: Path) -> None:
    said = _said(write_run(tmp_path / "run", metrics=[METRICS[1], FLICKER], source="images"))
    assert said is not None
    assert said.startswith(
        "Not measured: whether the clips keep the image (identity) and follow the prompt (text). "
    )
    weights = re.findall(r"weights get ([a-z0-9_ ]+),", said)[0].split()
    added = [parse_metric(id) for id in re.findall(r"add (.*) to the suite", said)[0].split(", ")]
    assert [metric.family for metric in added] == ["identity", "text"]
    assert [metric.encoder for metric in added] == weights
    assert set(weights) <= set(PUBLISHED)


def test_the_glyph_world_needs_no_weights(tmp_path: Path) -> None:
    said = _said(write_run(tmp_path / "run", metrics=METRICS))
    assert said == (
        "Not measured: whether the clips follow the prompt (text). To measure it: add "
        "text.clip_glyph.v1 to the suite."
    )
    assert _said(write_run(tmp_path / "all", metrics=[*METRICS, TEXT])) is None


def test_finished_clips_are_measured_again(tmp_path: Path) -> None:
    said = _said(write_run(tmp_path / "run", metrics=[METRICS[1]], source="finished-clips"))
    assert said is not None
    assert "run i2v-eval clips again with --encoders dino_vits16,clip_vitb32_openai" in said
    assert "--samples" in said


def _measure(id: str, better: bool | None) -> Measure:
    return Measure(id, id, "", better, 3, "", "")


@pytest.mark.parametrize(
    ("ids", "chosen"),
    [
        (["flicker.pixels.v1", "lpips.lpips_alex.v1", IDENTITY], IDENTITY),
        (["flicker.pixels.v1", "lpips.lpips_alex.v1"], "lpips.lpips_alex.v1"),
        (["flicker.pixels.v1", "smoothness.flow_dis.v1"], "flicker.pixels.v1"),
    ],
)
def test_cells_are_ranked_by_what_tells_most_of_the_image(ids: list[str], chosen: str) -> None:
    found = deciding([_measure(MOTION, None), *(_measure(id, False) for id in ids)])
    assert found is not None
    assert found.id == chosen
    assert answers(found, "identity") == (chosen != "flicker.pixels.v1")
    assert deciding([_measure(MOTION, None)]) is None


@pytest.mark.usefixtures("ten_images")
def test_a_run_of_motion_and_flicker_recommends_nothing(tmp_path: Path) -> None:
    """Page and report.md of four images: no winner, no bold value, what lacks is said first."""
    folder = write_run(tmp_path / "run", metrics=[METRICS[1], FLICKER], source="images")
    compared = pd.read_csv(folder / "comparisons.csv", dtype=str, keep_default_na=False)
    compared.assign(cautions=FEW).to_csv(folder / "comparisons.csv", index=False)
    write_report(folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    text = (folder / "report.md").read_text(encoding="utf-8")
    for said in (page, text):
        assert "Take " not in said
        assert "first to try" not in said
        assert (
            said.index("Undecided: whether the clips keep the image was not measured")
            < (said.index("Not measured: "))
            < min(
                said.index(name) for name in ("In words", "Every cell and measure") if name in said
            )
        )
    short = page.split('<table class="numbers short">')[1].split("</table>")[0]
    heads = re.findall(r'<th scope="col">(\w+)', short)
    assert heads == ["Cell", "Motion", "Flicker", "Seconds"]
    assert "n too small" not in short or short.index("n too small") < short.index("<tbody>")
    assert 'class="best"' not in page
    paired = text.split("## Paired comparisons")[1].split("\n## ")[0]
    lines = [line for line in paired.splitlines() if "n too small" in line]
    assert lines
    assert "by chance alone. n too small for any verdict." in paired
    assert not re.search(r"n too small\)\*?\*?, (better|worse|higher|lower)", text)
