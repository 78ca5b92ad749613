"""The page in a real browser: it opens in silence, does what its controls say, and runs nothing
that a run brings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reports.cli import write_comparison
from tests.reports.page.browser.browsing import OVERFLOW, column, set_width, settle, visible
from tests.reports.page.browser.conftest import METHOD, PAYLOADS

pytest.importorskip("selenium", reason="selenium, of the group tests, is not installed")

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select


def test_opens_in_silence_and_runs_nothing_hostile(page: Any) -> None:
    assert page.get_log("browser") == []
    assert page.execute_script("return window.hostile") is None
    assert (
        page.find_elements(
            By.CSS_SELECTOR, "img[onerror], svg[onload], iframe, main script:not([type])"
        )
        == []
    )
    prompts = page.find_elements(By.CSS_SELECTOR, "#clip-grid thead .prompt > span:first-child")
    assert [prompt.get_property("textContent") for prompt in prompts] == list(PAYLOADS)
    assert PAYLOADS[0] in page.title


def test_hostile_names_stay_text_where_the_script_writes_them(page: Any) -> None:
    Select(page.find_element(By.ID, "pair-second")).select_by_visible_text(METHOD)
    heads = page.find_elements(By.CSS_SELECTOR, "#pair-clips th")
    assert METHOD in [head.get_property("textContent") for head in heads]
    link = next(
        link
        for link in visible(page, "#measures a.peek")
        if METHOD in link.get_property("textContent")
    )
    link.click()
    assert page.find_element(By.ID, "peek-title").text == METHOD
    assert page.execute_script("return window.hostile") is None
    assert page.get_log("browser") == []


def test_headings_sort_by_number(page: Any, hostile_run: Path) -> None:
    summary = pd.read_csv(hostile_run / "summary.csv")
    means = summary[(summary["metric"] == "motion.flow_dis.v1") & (summary["group"] == "all")][
        "mean"
    ]
    head = next(head for head in visible(page, "#measures th") if head.text.startswith("Motion"))
    for order in ("descending", "ascending"):
        head.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
        assert head.get_attribute("aria-sort") == order
        assert list(map(float, column(page, 2))) == sorted(means, reverse=order == "descending")


def test_filter_by_words_and_conditions(page: Any) -> None:
    field = page.find_element(By.ID, "cell-filter")
    field.send_keys("t0=1 identity>0.81")
    assert column(page, 0) == ["i2v-adapter[t0=1.0,p=0.5]"]
    assert page.find_element(By.ID, "filter-count").text == "1 of 7 cells"
    field.clear()
    field.send_keys("motion<0.301")
    assert column(page, 0) == ["still-image", "true-clip"]
    field.clear()
    field.send_keys("onload")
    assert column(page, 0) == [METHOD]


def test_any_two_cells_are_compared_on_their_records(page: Any, hostile_run: Path) -> None:
    records = pd.read_csv(hostile_run / "records.csv")
    values = records[records["metric"] == "identity.dino_glyph.v1"].pivot(
        index="sample", columns="cell", values="value"
    )
    first, second = "still-image", "i2v-adapter[t0=0.6,p=0.1]"
    Select(page.find_element(By.ID, "pair-first")).select_by_visible_text(first)
    Select(page.find_element(By.ID, "pair-second")).select_by_visible_text(second)
    difference = "#pair-table tbody tr:first-child td:nth-child(4) span:first-child"
    expected = (values[first] - values[second]).mean()
    assert page.find_element(By.CSS_SELECTOR, difference).text == f"{expected:+.3f}"
    assert (
        page.find_element(By.CSS_SELECTOR, "#pair-table tbody tr:first-child td:last-child").text
        == "first better"
    )
    page.find_element(By.ID, "pair-swap").click()
    assert page.find_element(By.CSS_SELECTOR, difference).text == f"{-expected:+.3f}".replace(
        "-", "−"
    )
    alts = [
        film.get_attribute("aria-label")
        for film in page.find_elements(By.CSS_SELECTOR, "#pair-clips tr:last-child .film")
    ]
    assert len(alts) == 4
    assert all(alt.startswith(f"Clip of {first} for sample") for alt in alts)


def test_choosing_a_group_hides_the_others(page: Any) -> None:
    page.find_element(By.CSS_SELECTOR, "#groups input[value=unseen]").click()
    groups = {part.get_attribute("data-group") for part in visible(page, "[data-group]")}
    assert groups == {"unseen"}
    assert len(visible(page, "#clip-grid thead .prompt")) == 2
    assert page.find_element(By.ID, "pair-summary").text.startswith(
        "2 pairs of clips of 2 input images"
    )


def test_comparison_of_runs(
    browser: Any, hostile_run: Path, run_folder: Path, tmp_path: Path
) -> None:
    out = write_comparison([run_folder, hostile_run], tmp_path)[0]
    browser.get_log("browser")
    browser.get(out.as_uri())
    assert browser.get_log("browser") == []
    assert browser.execute_script("return window.hostile") is None
    set_width(browser, 390, 844)
    assert browser.execute_script(OVERFLOW) == [390, 390]


def test_one_selector_governs_the_page_and_the_verdict(page: Any) -> None:
    page.find_element(By.CSS_SELECTOR, "#groups input[value=seen]").click()
    shown = visible(page, ".answer")
    assert [part.get_attribute("data-group") for part in shown] == ["seen"]
    films = visible(page, ".answer .sheet .film")
    assert {film.get_attribute("data-sample") for film in films} <= {"seen-0", "seen-1"}


def test_every_measure_can_be_shown(page: Any) -> None:
    assert len(visible(page, "#measures td.more")) == 0
    assert visible(page, "#measures .everything .interval") == []
    page.find_element(By.ID, "every-measure").click()
    assert visible(page, "#measures .everything .interval")
    assert visible(page, "#measures .everything .pm") == []


def test_a_link_opens_the_fold_that_it_leads_to(page: Any) -> None:
    details = page.find_element(By.CSS_SELECTOR, "#warnings > details")
    assert details.get_attribute("open") is None
    page.execute_script("location.hash = '#warnings'")
    settle(page)
    assert details.get_attribute("open") is not None
