"""The ranking page in a real browser: keyboard and mouse make ballots, and the command counts
them."""

from __future__ import annotations

import csv
import json
import statistics
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eval.cli import app

webdriver = pytest.importorskip(
    "selenium.webdriver", reason="selenium, of the group tests, is not installed"
)

from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

CELLS = ("content-adapter", "i2v-adapter[t0=0.6,p=0.1]", "still-image")


@pytest.fixture
def ballots(browser: Any, own_run_folder: Path, tmp_path: Path) -> Path:
    """The opened page of three cells and three cases, and the folder that it saves into."""
    command = ["rank", str(own_run_folder), "--cells", ",".join(CELLS), "--cases", "3"]
    assert CliRunner().invoke(app, command).exit_code == 0
    folder = tmp_path / "ballots"
    folder.mkdir()
    browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)}
    )
    browser.get_log("browser")
    browser.get((own_run_folder / "rank.html").as_uri())
    browser.execute_script("localStorage.clear()")  # of other tests' pages
    browser.refresh()
    return folder


def _shown(browser: Any) -> list[Any]:
    return [
        button
        for button in browser.find_elements(By.CSS_SELECTOR, ".tiles button")
        if button.is_displayed()
    ]


def _press(browser: Any, *keys: str) -> None:
    webdriver.ActionChains(browser).send_keys(*keys).perform()


def _save(browser: Any, ballots: Path, rater: str, form: str) -> Path:
    browser.find_element(By.ID, "rater").send_keys(rater)
    browser.find_element(By.ID, form).click()
    path = ballots / f"ballot-{rater}.{form}"
    WebDriverWait(browser, 20).until(lambda _: path.is_file())
    return path


def test_two_raters_rank_and_are_counted(browser: Any, own_run_folder: Path, ballots: Path) -> None:
    _press(browser, "c", "a", "a", "b", Keys.BACKSPACE, Keys.BACKSPACE, "b", "a")  # C, B, A
    assert [button.find_element(By.CLASS_NAME, "place").text for button in _shown(browser)] == [
        "place 3",
        "place 2",
        "place 1",
    ]
    _press(browser, Keys.ARROW_RIGHT, "b", "a")  # not ranked to the end
    _press(browser, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, "a", "b", "c")
    assert browser.find_element(By.ID, "state").text.startswith("2 of 3 cases ranked.")
    first = _save(browser, ballots, "ann", "json")
    assert json.loads(first.read_text())["rankings"] == {
        "case-01": list("CBA"),
        "case-03": list("ABC"),
    }

    browser.execute_script("localStorage.clear()")  # another person's browser
    browser.refresh()
    for order in ("BAC", "CAB", "ABC"):
        buttons = {button.get_attribute("data-letter"): button for button in _shown(browser)}
        for letter in order:
            buttons[letter].click()
        browser.find_element(By.ID, "next").click()
    _save(browser, ballots, "bob", "csv")
    assert browser.get_log("browser") == []

    counted = CliRunner().invoke(app, ["rank", str(own_run_folder), "--ballots", str(ballots)])
    assert counted.exit_code == 0, counted.output
    key = json.loads((own_run_folder / "rank-key.json").read_text())["cases"]
    given = [
        ("case-01", "CBA"),
        ("case-03", "ABC"),
        ("case-01", "BAC"),
        ("case-02", "CAB"),
        ("case-03", "ABC"),
    ]
    rows = {
        row["cell"]: row
        for row in csv.DictReader((own_run_folder / "rank.csv").read_text().splitlines())
    }
    assert set(rows) == set(CELLS)
    for cell, row in rows.items():
        places = [1 + [key[case][letter] for letter in order].index(cell) for case, order in given]
        assert float(row["mean_rank"]) == pytest.approx(statistics.mean(places), abs=1e-12)
        assert (row["rankings"], row["raters"], row["cases"]) == ("5", "2", "3")


def test_typing_a_name_ranks_nothing_and_a_phone_shows_it_all(browser: Any, ballots: Path) -> None:
    browser.find_element(By.ID, "rater").send_keys("abc", Keys.BACKSPACE, Keys.ARROW_RIGHT)
    assert [button.get_attribute("aria-pressed") for button in _shown(browser)] == ["false"] * 3
    assert browser.find_element(By.ID, "case-01").is_displayed()
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert browser.execute_script("return document.documentElement.scrollWidth") == 390
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_page_that_is_closed_goes_on_and_is_finished_once(browser: Any, ballots: Path) -> None:
    browser.find_element(By.ID, "rater").send_keys("cleo")
    browser.find_element(By.ID, "case-01").click()
    for order in ("BAC", "CAB"):
        buttons = {button.get_attribute("data-letter"): button for button in _shown(browser)}
        for letter in order:
            buttons[letter].click()
        browser.find_element(By.ID, "next").click()
    assert not browser.find_element(By.ID, "finish").is_enabled()
    browser.refresh()
    assert browser.find_element(By.ID, "rater").get_attribute("value") == "cleo"
    assert browser.find_element(By.ID, "case-03").is_displayed()  # the first that is not ranked
    buttons = {button.get_attribute("data-letter"): button for button in _shown(browser)}
    for letter in "ABC":
        buttons[letter].click()
    browser.find_element(By.ID, "finish").click()
    path = ballots / "ballot-cleo.json"
    WebDriverWait(browser, 20).until(lambda _: path.is_file())
    assert json.loads(path.read_text())["rankings"] == {
        "case-01": list("BAC"),
        "case-02": list("CAB"),
        "case-03": list("ABC"),
    }
    assert not browser.find_element(By.ID, "finish").is_enabled()
    browser.refresh()
    assert browser.find_element(By.ID, "state").text == "3 of 3 cases ranked. Finished; thank you."
    assert browser.get_log("browser") == []
    browser.execute_script("localStorage.clear()")


def test_clips_are_large_and_play(browser: Any, ballots: Path) -> None:
    film = browser.find_element(By.CSS_SELECTOR, ".tiles .film")
    assert film.rect["width"] >= 320
    assert browser.execute_script(
        "return arguments[0].getAnimations().map((a) => [a.animationName, a.playState])", film
    ) == [["film-x", "running"]]
