"""The page in a real browser: its clips."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reports.cli import write_report
from tests.reports.page.browser.browsing import set_width, settle, visible

pytest.importorskip("selenium", reason="selenium, of the group tests, is not installed")

from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

CLOCK = """
    const films = document.getAnimations().filter((a) => a.animationName?.startsWith('film-'));
    const clocks = new Set(films.map((a) => a.startTime));
    return [films.length, clocks.size, films.every((a) => a.playState === 'running')];
"""


def test_clips_in_sight_share_one_clock_that_stops_and_steps(page: Any) -> None:
    settle(page)
    count, clocks, running = page.execute_script(CLOCK)
    assert count > 2
    assert (clocks, running) == (1, True)
    button = page.find_element(By.ID, "play")
    assert button.text == "Pause"
    button.click()
    assert (button.text, button.get_attribute("aria-pressed")) == ("Play", "false")
    place = (
        "return getComputedStyle(document.querySelector('.sheet:not([hidden]) "
        ".film:not(.still)')).backgroundPositionX.split('%')[0]"
    )
    for step in range(1, 4):
        page.find_element(By.ID, "frame").send_keys(Keys.ARROW_RIGHT)
        settle(page)
        assert float(page.execute_script(place)) == pytest.approx(100 * step / 3, abs=0.01)
    button.click()
    settle(page)
    assert page.execute_script(CLOCK) == [count, 1, True]


def test_clips_out_of_sight_are_neither_decoded_nor_moved(page: Any) -> None:
    settle(page)
    films = page.execute_script(
        "return [...document.querySelectorAll('#clip-grid tbody tr:last-child .film')]"
        ".map((f) => [f.classList.contains('live'), getComputedStyle(f).backgroundImage])"
    )
    assert films
    assert {tuple(film) for film in films} == {(False, "none")}
    row = page.find_element(By.CSS_SELECTOR, "#clip-grid tbody tr:last-child .film")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", row)
    WebDriverWait(page, 5).until(lambda _: "live" in row.get_attribute("class"))
    assert "data:image/webp" in page.execute_script(
        "return getComputedStyle(arguments[0]).backgroundImage", row
    )


def test_paper_shows_every_clip_by_its_last_frame(page: Any) -> None:
    """What is out of sight on the screen too."""
    script = """
        return [...document.querySelectorAll("#clip-grid .film:not(.still)")].map((film) => {
            const style = getComputedStyle(film);
            return [style.backgroundImage, style.backgroundPosition, style.animationName];
        });
    """
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        printed = page.execute_script(script)
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert len(printed) > 4
    for image, position, animation in printed:
        assert image.startswith('url("data:image/webp')
        assert (position, animation) == ("100% 100%", "none")


def test_heatmap_places_show_their_clips_to_mouse_and_keyboard(page: Any) -> None:
    peek = page.find_element(By.ID, "peek")
    place = next(
        link
        for link in visible(page, "#sweep a.peek")
        if link.get_attribute("title").startswith("i2v-ad")
    )
    cell = place.get_attribute("title").split(":")[0]
    ActionChains(page).move_to_element(place).perform()
    assert peek.is_displayed()
    assert page.find_element(By.ID, "peek-title").text == cell
    assert len(page.find_elements(By.CSS_SELECTOR, "#peek .film")) == 4
    ActionChains(page).move_to_element(page.find_element(By.ID, "sweep-title")).perform()
    assert not peek.is_displayed()
    first = visible(page, "#sweep a.peek")[0]
    region = page.execute_script(
        "const all = [...document.querySelectorAll('a, [tabindex], button, summary, select')]"
        ".filter((e) => e.checkVisibility() && e.tabIndex >= 0);"
        "const before = all[all.indexOf(arguments[0]) - 1]; before.focus(); return before;",
        first,
    )
    region.send_keys(Keys.TAB)
    assert page.switch_to.active_element == first
    assert peek.is_displayed()
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not peek.is_displayed()


def test_samples_can_be_put_worst_first(page: Any, hostile_run: Path) -> None:
    records = pd.read_csv(hostile_run / "records.csv")
    chosen = (records["metric"] == "identity.dino_glyph.v1") & (
        records["cell"] == "i2v-adapter[t0=1.0,p=0.5]"
    )
    expected = list(records[chosen].sort_values("value")["sample"])
    Select(page.find_element(By.ID, "clip-order")).select_by_visible_text("worst identity first")
    ids = page.find_elements(By.CSS_SELECTOR, "#clip-grid thead .prompt > span:first-child")
    assert [found.get_attribute("title") for found in ids] == expected


def test_a_clip_opens_large_and_steps_beside_its_input(page: Any) -> None:
    film = visible(page, ".answer .sheet .film:not(.still)")[-1]
    page.execute_script("arguments[0].focus()", film)
    page.switch_to.active_element.send_keys(Keys.ENTER)
    viewer = page.find_element(By.ID, "viewer")
    assert viewer.is_displayed()
    captions = [c.text for c in viewer.find_elements(By.TAG_NAME, "figcaption")]
    assert captions == ["input", film.get_attribute("data-cell")]
    assert viewer.find_elements(By.CSS_SELECTOR, ".film")[0].rect["width"] >= 256
    viewer.send_keys(Keys.ARROW_RIGHT)
    assert viewer.find_element(By.TAG_NAME, "output").text == "frame 0 of 3"
    viewer.send_keys(Keys.ARROW_RIGHT)
    assert viewer.find_element(By.TAG_NAME, "output").text == "frame 1 of 3"
    viewer.find_element(By.CSS_SELECTOR, "input[type=checkbox]").click()
    layers = viewer.find_elements(By.CSS_SELECTOR, "figure:last-child .layers > .film")
    assert len(layers) == 2
    blend = "return getComputedStyle(arguments[0]).mixBlendMode"
    assert page.execute_script(blend, layers[1]) == "difference"
    viewer.send_keys(Keys.ESCAPE)
    assert not viewer.is_displayed()
    assert page.switch_to.active_element == film
    assert page.get_log("browser") == []


def test_pictures_beside_the_page_play(
    browser: Any, run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reports.page.report.MEDIA_BUDGET", 1000)
    folder = Path(shutil.copytree(run_folder, tmp_path / "run"))
    set_width(browser, 1280, 900)
    browser.get_log("browser")
    browser.get(write_report(folder)[0].as_uri())
    loaded = """
        const done = arguments[0];
        const film = document.querySelector('.sheet .film.live:not(.still)');
        const image = new Image();
        image.onload = () => done([image.naturalWidth, image.naturalHeight]);
        image.onerror = () => done("refused");
        image.src = getComputedStyle(film).backgroundImage.slice(5, -2);
    """
    settle(browser)
    assert browser.execute_async_script(loaded) == [64, 16]
    assert browser.get_log("browser") == []
