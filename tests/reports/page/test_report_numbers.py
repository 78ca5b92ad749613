"""The page's numbers, tables and links are those of the run."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from reports.page import report as page_module
from reports.page.report import build, render_html
from reports.page.typeset import Section, moment
from reports.run.load import load_run
from tests.reports.page.conftest import Page


def _tables(page: str) -> dict[str, list[list[str]]]:
    """Rows of body cells' texts by the label of the region around each table."""
    found: dict[str, list[list[str]]] = {}
    for label, body in re.findall(
        r'aria-label="([^"]+)">\s*<table[^>]*>.*?<tbody>(.*?)</tbody>', page, flags=re.DOTALL
    ):
        rows = re.findall(r"<tr[^>]*>(.*?)</tr>", body, flags=re.DOTALL)
        found[label] = [
            re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, flags=re.DOTALL) for row in rows
        ]
    return found


def test_numbers_in_the_page_are_those_of_the_csv(page: str, run_folder: Path) -> None:
    summary = pd.read_csv(run_folder / "summary.csv")
    rows = _tables(page)["Cells and measures, unseen"]
    columns = ("identity.dino_glyph.v1", "motion.flow_dis.v1", "fvd.videomae_glyph.v1")
    assert len(rows) == summary["cell"].nunique()
    for cell, *numbers in rows:
        name = "".join(re.findall(r'class="whole">([^<]+)<', cell))
        for metric, number in zip(columns, numbers, strict=True):
            rows_of = (
                (summary["cell"] == name)
                & (summary["metric"] == metric)
                & (summary["group"] == "unseen")
            )
            known = summary[rows_of].iloc[0]
            value, interval = number.split("<")[0], re.findall(r"([−\d.]+) to ([−\d.]+)", number)
            assert float(value) == pytest.approx(
                known["mean"], abs=0.005 if "fvd" in metric else 0.0005
            )
            ends = [float(end.replace("−", "-")) for pair in interval for end in pair]
            assert ends == pytest.approx(
                [known["low"], known["high"]] if known["low"] == known["low"] else [], abs=5e-4
            )


def test_paired_differences_in_the_page_are_those_of_the_csv(
    parsed: Page, run_folder: Path
) -> None:
    """The synthetic run's comparisons are exact means of its records, as the page's pairs must
    be."""
    data = json.loads(parsed.data[0])
    compared = pd.read_csv(run_folder / "comparisons.csv")
    checked = 0
    for row in compared.itertuples():
        at = ["identity.dino_glyph.v1", "motion.flow_dis.v1"].index(row.metric)
        first, second = sorted((data["cells"].index(row.reference), data["cells"].index(row.cell)))
        places = [
            (i, j) for i in range(len(data["cells"])) for j in range(i + 1, len(data["cells"]))
        ]
        entry = data["groups"][row.group][at][places.index((first, second))]
        sign = 1 if data["cells"][first] == row.reference else -1
        assert sign * entry[0] == pytest.approx(row.difference, abs=5e-5)
        assert entry[4:] == [row.n, row.n, False]
        checked += 1
    assert checked == 6 * 3 * 2


def test_too_small_an_n_stands_in_the_heading_once(page: str) -> None:
    table = page.split('aria-label="Cells and measures, all"')[1].split("</table>")[0]
    head, body = table.split("<tbody>")
    marked = re.findall(r'data-name="([^"]+)"(?:(?!</th>).)*n too small', head, flags=re.DOTALL)
    assert marked == ["fvd"]
    assert "n too small" not in body


def test_the_page_warns_of_many_comparisons(page: str) -> None:
    text = " ".join(page.split())
    assert "of 6 intervals in a column, 0.3 would exclude 0 by chance alone" in text
    chance = re.findall(
        r"better<abbr[^>]*>†</abbr>|worse<abbr[^>]*>†</abbr>|er<abbr[^>]*>†</abbr>", page
    )
    separated = re.findall(r"still do; the other (\d+) are marked", text)
    assert len(chance) == sum(map(int, separated)) > 0


def test_heatmap_places_lead_to_their_cells_clips(page: str, run_folder: Path) -> None:
    run = load_run(run_folder)
    links = re.findall(
        r'<a class="peek[^"]*" href="#clips-(\d+)" data-cell="(\d+)" style=[^>]*title="([^:]+): ',
        page,
    )
    assert len(links) == 3 * 3 * 4
    assert all(
        row == number and run.cells[int(row)] == html.unescape(cell) for row, number, cell in links
    )


def test_sections_can_be_added_and_left_out(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = Section("more", "More <of> it", "<p>Trusted.</p>")
    monkeypatch.setattr(page_module, "SECTIONS", [lambda report: added, lambda report: None])
    text = render_html(build(load_run(run_folder), samples=0))
    assert '<a href="#more">More &lt;of&gt; it</a>' in text
    assert "<p>Trusted.</p>" in text
    assert text.count("<section id=") == 1


def test_time_stamps_are_for_readers() -> None:
    assert moment("2026-11-25T04:38:27+01:00") == "2026-11-25 03:38 UTC"
    assert moment("2026-01-01T00:05:00Z") == "2026-01-01 00:05 UTC"
    assert moment("yesterday") == "yesterday"


def test_figures_of_judges_have_units_and_separators(own_run_folder: Path) -> None:
    run = json.loads((own_run_folder / "run.json").read_text(encoding="utf-8"))
    run["judge_cards"] = {
        "vae": {"figures": {"psnr_seen": 30.98228, "trainable_parameters": 10135112}}
    }
    (own_run_folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    (encoder,) = build(load_run(own_run_folder), samples=0).accuracies
    assert [(figure.name, figure.value) for figure in encoder.figures] == [
        ("psnr seen", "30.98 dB"),
        ("trainable parameters", "10,135,112"),
    ]
