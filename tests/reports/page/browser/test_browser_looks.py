"""The page in a real browser: contrast, widths, what the first screen shows, accessibility."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import pytest

from tests.reports.page.browser.browsing import OVERFLOW, set_width, settle, visible

pytest.importorskip("selenium", reason="selenium, of the group tests, is not installed")

from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_in_both_schemes(page: Any, theme: str) -> None:
    """WCAG 2.2 AA: 4.5 : 1, of every text that is shown, on the nearest ground behind it."""
    Select(page.find_element(By.ID, "theme")).select_by_value(theme)
    grounds = page.execute_script(CONTRAST)
    assert len(grounds) > 200
    assert {tuple(ground[:3]) for ground in grounds if ground[3] < 4.5} == set()
    assert (page.execute_script(LUMINANCE) < 0.5) == (theme == "dark")


RGB = """
    const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
    const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, w, i) => {
      const v = c[i] / 255;
      return sum + w * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    }, 0);
"""


LUMINANCE = RGB + "return light(rgb(getComputedStyle(document.body).backgroundColor));"


CONTRAST = (
    RGB
    + """
    const ground = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const c = rgb(getComputedStyle(at).backgroundColor);
        if (c.length < 4 || c[3] > 0.99) return c;
      }
      return [255, 255, 255];
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      if (!walker.currentNode.data.trim() || element.closest('svg, script, option')) continue;
      if (!element.checkVisibility()) continue;
      const [a, b] = [light(rgb(getComputedStyle(element).color)), light(ground(element))];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      found.push([element.tagName, element.className, walker.currentNode.data.slice(0, 30), ratio]);
    }
    return found;
"""
)


def test_fits_a_phone(page: Any) -> None:
    set_width(page, 390, 844)
    for group in ("all", "unseen"):
        page.execute_script(
            "document.querySelector(`#groups input[value=${arguments[0]}]`).click()", group
        )
        scroll, width = page.execute_script(OVERFLOW)
        assert (scroll, width) == (390, 390)
    page.execute_script(
        "[...document.querySelectorAll('#sweep a.peek')].find((a) => a.offsetParent).click()"
    )
    box = page.find_element(By.ID, "peek").rect
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert page.execute_script(OVERFLOW)[0] == 390


def test_wide_heatmaps_neither_overlap_nor_widen_the_page(page: Any) -> None:
    grow = (
        "for (const row of document.querySelectorAll('.heat tr')) for (let i = 0; i < "
        "arguments[0]; i++)"
    )
    page.execute_script(grow + " row.append(row.lastElementChild.cloneNode(true));", 4)
    boxes = [part.rect for part in visible(page, "#sweep .heat")]
    assert len(boxes) == 3
    for one, other in itertools.combinations(boxes, 2):
        beside = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
        assert (
            beside
            or one["y"] + one["height"] <= other["y"]
            or other["y"] + other["height"] <= one["y"]
        )
    page.execute_script(grow + " row.append(row.lastElementChild.cloneNode(true));", 20)
    scroll, width = page.execute_script(OVERFLOW)
    assert scroll == width


@pytest.mark.parametrize("width", [390, 1280])
def test_the_bar_covers_no_heading_that_the_menu_leads_to(page: Any, width: int) -> None:
    set_width(page, width, 844)
    for link in page.find_elements(By.CSS_SELECTOR, "nav a"):
        page.execute_script("location.hash = arguments[0].hash", link)
        settle(page)
        bottom, top = page.execute_script(
            "return [document.getElementById('bar').getBoundingClientRect().bottom,"
            " document.querySelector(location.hash + '-title').getBoundingClientRect().top]"
        )
        assert top >= bottom


@pytest.mark.parametrize(("width", "height"), [(1400, 900), (390, 844)])
def test_the_first_screen_answers(page: Any, width: int, height: int) -> None:
    """Verdict and playing clips without scrolling; on a desktop also the table and the plot."""
    set_width(page, width, height)
    settle(page)
    parts = [".answer .says", ".answer .sheet:not([hidden]) .film:not(.still)"]
    if width > 1000:
        parts += [".answer table.short", ".answer figure.wide svg"]
    for part in parts:
        box = visible(page, part)[0].rect
        assert 0 <= box["y"] < height - 100, part
        assert box["x"] + box["width"] <= width, part
    words = visible(page, ".answer .says")[0].text
    assert words.startswith("Take i2v-adapter[t0=0.6,p=0.5]: of the 5 cells that move")


def test_the_first_screen_names_the_other_groups_verdicts(page: Any) -> None:
    set_width(page, 1400, 900)
    (line,) = visible(page, ".answer .elsewhere")
    assert line.rect["y"] < 300
    value = "the same (identity 0.905, 0.895 to 0.915)."
    assert line.text == f"Only seen: {value} Only unseen: {value}"


def test_intervals_of_a_pair_have_a_scale_that_holds_them(page: Any) -> None:
    rows = page.find_elements(By.CSS_SELECTOR, "#pair-table tbody tr")
    assert rows
    for row in rows:
        low, zero, high = (
            float(str(text.get_attribute("textContent")).replace("−", "-"))
            for text in row.find_elements(By.CSS_SELECTOR, ".bar-of-interval text")
        )
        assert (low, zero) == (-high, 0)
        ends = row.find_element(By.CSS_SELECTOR, "td:nth-child(4) .interval").text
        for end in ends.replace("−", "-").split(" to "):
            assert low <= float(end) <= high


def test_clips_of_the_grid_are_256_px_wide(page: Any) -> None:
    set_width(page, 1400, 900)
    film = page.find_element(By.CSS_SELECTOR, "#clip-grid tbody .film")
    assert film.rect["width"] == 256


AXE = next(
    filter(
        Path.is_file,
        (
            Path(os.environ.get("AXE_CORE", "missing")),
            Path("node_modules/axe-core/axe.min.js"),
        ),
    ),
    None,
)


@pytest.mark.skipif(
    AXE is None, reason="needs axe-core: npm install axe-core, or AXE_CORE=path/to/axe.min.js"
)
@pytest.mark.parametrize(("width", "theme"), [(1400, "light"), (1400, "dark"), (390, "light")])
def test_axe_finds_no_violation(page: Any, width: int, theme: str) -> None:
    assert AXE is not None
    set_width(page, width, 900)
    Select(page.find_element(By.ID, "theme")).select_by_value(theme)
    page.execute_script("for (const fold of document.querySelectorAll('details')) fold.open = true")
    page.execute_script(AXE.read_text(encoding="utf-8"))
    page.set_script_timeout(120)
    found = page.execute_async_script(
        "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then((r) =>"
        " done(r.violations.map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 120))])));"
    )
    assert found == []
