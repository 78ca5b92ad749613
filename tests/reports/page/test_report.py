"""The page as a parser sees it: self-contained, inert, accessible, complete."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reports.cli import write_report
from reports.page import report as page_module
from reports.page.clips import Gallery, choose_samples, shown_samples
from reports.page.report import build, render_html
from reports.run.load import load_run
from tests.reports.page.conftest import Page

HOSTILE = (
    '<script>window.hostile=1</script><img src=x onerror="window.hostile=1"> & "quoted" </style>'
)


def test_page_depends_on_the_run_alone(page: str, run_folder: Path) -> None:
    """The fixtures' runs are equal and lie in different folders."""
    assert render_html(build(load_run(run_folder))) == page


def test_every_tag_is_closed_and_ids_are_unique(parsed: Page) -> None:
    assert parsed.open == []
    ids = Counter(attributes["id"] for _, attributes in parsed.elements if "id" in attributes)
    assert [name for name, count in ids.items() if count > 1] == []
    for tag, attributes in parsed.elements:
        for name in ("href", "xlink:href", "aria-labelledby"):
            target = attributes.get(name)
            if target and not target.startswith("data:"):
                assert target.removeprefix("#") in ids, (tag, target)


def test_nothing_is_fetched(parsed: Page, page: str) -> None:
    for tag, attributes in parsed.elements:
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href", "poster", "action", "data", "srcset"):
                assert value is not None
                assert value.startswith(("data:", "#")), (tag, name, value[:80])
    assert set(re.findall(r"url\((#|data:image/webp;|.)", page)) <= {"#", "data:image/webp;"}
    assert "@import" not in page
    assert {url for url in re.findall(r"https?://[^\"'\s<)]+", page)} <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


def test_only_the_own_script_may_run(parsed: Page) -> None:
    assert len(parsed.scripts) == 1
    digest = base64.b64encode(hashlib.sha256(parsed.scripts[0].encode()).digest()).decode()
    policy = next(
        m["content"] for m in parsed.all("meta") if m.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy
    assert not [
        name for _, attributes in parsed.elements for name in attributes if name.startswith("on")
    ]


def test_hostile_prompt_is_text(parsed: Page, page: str) -> None:
    assert HOSTILE not in page
    assert "window.hostile" not in "".join(parsed.scripts)
    assert HOSTILE in parsed.texts


def test_hostile_names_are_text_everywhere(own_run_folder: Path) -> None:
    """Cells, groups, units, notes, warnings, cards and the suite come from outside as well."""
    bad = "<b onclick=hostile()>x</b>"
    quoted = bad.replace(",", "")
    for name in ("summary.csv", "records.csv", "comparisons.csv"):
        path = own_run_folder / name
        text = (
            path.read_text(encoding="utf-8")
            .replace("content-adapter,", f"{quoted},")
            .replace(",unseen,", f",{quoted},")
        )
        path.write_text(
            text.replace("cosine", quoted).replace("mostly_bias", quoted), encoding="utf-8"
        )
    run = json.loads((own_run_folder / "run.json").read_text(encoding="utf-8"))
    run["suite"]["name"] = run["machine"]["platform"] = run["finished"] = bad
    run["warnings"] = [bad]
    run["judge_cards"] = {
        bad: {"figures": {bad: {"value": 1.0, "bar": bad, "unit": bad, "n": bad}}}
    }
    (own_run_folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    text = render_html(build(load_run(own_run_folder)))
    assert "<b " not in text
    assert text.count("&lt;b onclick=hostile()&gt;") > 20
    Page(text)


def _films(parsed: Page) -> list[dict[str, str | None]]:
    return [a for _, a in parsed.elements if "film" in (a.get("class") or "").split()]


def test_tables_pictures_and_drawings_say_what_they_are(parsed: Page) -> None:
    assert len(parsed.all("table")) == len(parsed.all("caption")) > 8
    assert all(th.get("scope") in ("col", "row") for th in parsed.all("th"))
    assert all(film.get("aria-label") for film in _films(parsed))
    drawings = [a for _, a in parsed.elements if a.get("role") == "img" and not a.get("class")]
    # a Pareto plot, two of speed and the curves in each of three groups
    assert len(drawings) == len(parsed.all("svg")) == 3 * 4
    assert all(drawing.get("aria-label") for drawing in drawings)
    assert all(e.get("aria-label") for _, e in parsed.elements if e.get("role") == "region")
    assert parsed.all("html") == [{"lang": "en"}]


def test_every_picture_is_in_the_page_once(page: str, parsed: Page) -> None:
    keys = re.findall(r"\.f-([0-9a-f]{16})\{background-image:url\(data:image/webp;base64,", page)
    shown = {
        name.removeprefix("f-")
        for film in _films(parsed)
        for name in (film["class"] or "").split()
        if name.startswith("f-")
    }
    assert len(keys) == len(set(keys))
    assert set(keys) == shown
    assert len(_films(parsed)) > 2 * len(keys) - 20  # the sheet shows what the grid has


def test_every_cell_has_its_row_of_clips(parsed: Page, run_folder: Path) -> None:
    run = load_run(run_folder)
    alts = Counter(film["aria-label"] for film in _films(parsed))
    clips = [
        f"Clip of {cell} for sample {sample}" for cell in run.cells for sample in run.samples["id"]
    ]
    inputs = {f"Input image of sample {sample}" for sample in run.samples["id"]}
    truths = {"True clip of sample seen-0", "True clip of sample seen-1"}
    ends = {f"{end} clip {i} by Identity" for end in ("Worst", "Best") for i in range(1, 5)}
    sheet = {alt for alt in alts if alt and alt.endswith(" on the sheet")}
    assert {alt: n for alt, n in alts.items() if alt in clips} == Counter(clips)
    assert {alt.split(":")[0] for alt in alts if alt} - sheet == {*clips, *inputs, *truths, *ends}
    assert sheet <= {f"{clip} on the sheet" for clip in clips}
    rows = [row["id"] for row in parsed.all("tr") if row.get("id")]
    links = {anchor["href"] for anchor in parsed.all("a")}
    assert len(rows) == len(run.cells)
    assert {f"#{row}" for row in rows} <= links
    films = [f for f in _films(parsed) if (f["aria-label"] or "").startswith("Clip of")]
    assert all("--columns:4;--rows:1;--loop:0.5s" in (film["style"] or "") for film in films)


def test_the_page_says_it_all(parsed: Page) -> None:
    text = " ".join(" ".join(parsed.texts).split())
    for phrase in (
        "Measured in the glyph world",
        "does not predict what full-size models do",
        "FVD (all): n = 4 is not above the 64 feature dimensions",
        "1 of 4 samples carry the flag prompt_truncated.",
        "n = 4 clips in every cell",
        "0.895 to 0.915",
        "±0.010",
        "no interval",
        "Take i2v-adapter[",
        "caption top1 of 64",
        "0.9375",
        "identity.dino_glyph.v1",
        "Caron et al.",
        "a" * 64,
        "cpu_count",
    ):
        assert phrase in text, phrase


def test_sections_go_from_the_answer_to_what_it_rests_on(page: str) -> None:
    answer = page.index('class="answer"')
    assert answer < page.index('aria-label="Sections"')
    assert re.findall(r'<section id="(\w+)"', page) == [
        *("clips", "pairs", "sweep", "tradeoffs", "measures"),
        *("accuracy", "definitions", "provenance", "warnings"),
    ]


def test_script_free_readers_see_every_group(parsed: Page) -> None:
    groups = Counter(
        attributes["data-group"] for _, attributes in parsed.elements if "data-group" in attributes
    )
    assert set(groups) == {"all", "seen", "unseen"}
    assert len(set(groups.values())) == 1
    hidden = {a.get("id") or a.get("class") for _, a in parsed.elements if "hidden" in a}
    # what needs the script, which shows it
    assert hidden == {"bar", "turn", "filter", "pair-form", "peek", "value"}


def test_samples_shown_mix_the_groups(run_folder: Path) -> None:
    chosen = choose_samples(load_run(run_folder))
    assert {sample.split("-")[0] for sample in chosen[:2]} == {"seen", "unseen"}
    assert sorted(chosen) == ["seen-0", "seen-1", "unseen-0", "unseen-1"]


def test_number_of_samples_shown(run_folder: Path) -> None:
    gallery = Gallery(load_run(run_folder))
    shown = [sample.id for sample in shown_samples(gallery, [], 3)]
    assert shown == ["seen-0", "seen-1", "unseen-0"]
    assert shown_samples(gallery, [], 0) == []


def test_a_page_of_many_cells_shows_fewer_samples_unless_told() -> None:
    cells = {1: 8, 100: 8, 101: 7, 200: 4, 500: 2, 5000: 2}
    for count, samples in cells.items():
        run: Any = SimpleNamespace(cells=["cell"] * count)
        assert Gallery(run).usual_samples == samples


def test_heavy_pictures_lie_beside_the_page(
    own_run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "MEDIA_BUDGET", 10_000)
    page, *_ = written = write_report(own_run_folder)
    text = page.read_text(encoding="utf-8")
    keys = re.findall(r"\.f-([0-9a-f]{16})\{background-image:url\(report/\1\.webp\)", text)
    files = {path.name for path in written if path.parent.name == "report"}
    assert files == {f"{key}.webp" for key in keys}
    assert len(keys) > 30
    assert "data:image" not in text
    assert "img-src data: 'self' file:;" in text


def test_other_worlds_are_not_called_glyph_world(own_run_folder: Path) -> None:
    path = own_run_folder / "run.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace("glyph-world", "manifest"), encoding="utf-8"
    )
    assert build(load_run(own_run_folder)).where == "Measured on the samples of suite synthetic."
