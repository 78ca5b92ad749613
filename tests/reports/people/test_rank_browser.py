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
    command += ["--criteria", "overall"]
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
    assert browser.find_element(By.ID, "state").text.startswith("2 of 3 questions answered.")
    first = _save(browser, ballots, "ann", "json")
    assert json.loads(first.read_text())["rankings"] == {
        "case-01": {"overall": [["C"], ["B"], ["A"]]},
        "case-03": {"overall": [["A"], ["B"], ["C"]]},
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
        "case-01": {"overall": [["B"], ["A"], ["C"]]},
        "case-02": {"overall": [["C"], ["A"], ["B"]]},
        "case-03": {"overall": [["A"], ["B"], ["C"]]},
    }
    assert not browser.find_element(By.ID, "finish").is_enabled()
    browser.refresh()
    assert (
        browser.find_element(By.ID, "state").text
        == "3 of 3 questions answered. Finished; thank you."
    )
    assert browser.get_log("browser") == []
    browser.execute_script("localStorage.clear()")


def test_four_questions_a_case_with_ties_are_resumed_saved_and_counted(
    browser: Any, own_run_folder: Path, ballots: Path
) -> None:
    command = ["rank", str(own_run_folder), "--cells", ",".join(CELLS), "--cases", "1"]
    assert CliRunner().invoke(app, command).exit_code == 0
    browser.get((own_run_folder / "rank.html").as_uri())
    asked = []
    for keys in ("a=bc", "cba", "ab"):
        shown = [q for q in browser.find_elements(By.CLASS_NAME, "question") if q.is_displayed()]
        asked += [question.text.split("?")[0] for question in shown]
        _press(browser, *keys, Keys.ARROW_RIGHT)
    _press(browser, Keys.ARROW_LEFT)
    browser.find_element(By.ID, "tie").click()
    assert browser.find_element(By.ID, "tie").get_attribute("aria-pressed") == "true"
    _press(browser, "c")
    assert browser.find_element(By.ID, "state").text.startswith("3 of 4 questions answered.")
    browser.refresh()  # goes on at the question that is open
    shown = [q for q in browser.find_elements(By.CLASS_NAME, "question") if q.is_displayed()]
    asked += [question.text.split("?")[0] for question in shown]
    assert asked == [
        "Which clip keeps the image best",
        "Which clip follows the prompt best",
        "Which clip moves best",
        "Which clip is best overall",
    ]
    _press(browser, "b", "=", "a", "=", "c")
    browser.find_element(By.ID, "rater").send_keys("dora")
    said = {
        "image": [["A", "B"], ["C"]],
        "prompt": [["C"], ["B"], ["A"]],
        "motion": [["A"], ["B", "C"]],
        "overall": [["B", "A", "C"]],
    }
    browser.find_element(By.ID, "finish").click()
    path = ballots / "ballot-dora.json"
    WebDriverWait(browser, 20).until(lambda _: path.is_file())
    assert json.loads(path.read_text())["rankings"] == {"case-01": said}
    browser.find_element(By.ID, "rater").clear()
    _save(browser, ballots, "eve", "csv")
    counted = CliRunner().invoke(app, ["rank", str(own_run_folder), "--ballots", str(ballots)])
    assert counted.exit_code == 0, counted.output
    letters = json.loads((own_run_folder / "rank-key.json").read_text())["cases"]["case-01"]
    rows = csv.DictReader((own_run_folder / "rank.csv").read_text().splitlines())
    found = {(row["criterion"], row["cell"]): float(row["mean_rank"]) for row in rows}
    expected = {"image": "1.5 1.5 3", "prompt": "3 2 1", "motion": "1 2.5 2.5", "overall": "2 2 2"}
    for criterion, ranks in expected.items():
        for letter, value in zip("ABC", ranks.split(), strict=True):
            assert found[criterion, letters[letter]] == float(value)
    assert browser.get_log("browser") == []


def test_clips_are_large_and_play(browser: Any, ballots: Path) -> None:
    film = browser.find_element(By.CSS_SELECTOR, ".tiles .film")
    assert film.rect["width"] >= 320
    assert browser.execute_script(
        "return arguments[0].getAnimations().map((a) => [a.animationName, a.playState])", film
    ) == [["film-x", "running"]]
