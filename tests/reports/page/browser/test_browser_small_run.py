"""A small run at the width of a desk: nothing is cut, letters have one size, names stay whole."""

from __future__ import annotations

from typing import Any

import pytest
from selenium.webdriver.common.by import By

from reports.cli import write_report
from tests.reports.conftest import METRICS, Cell, two_images_suffice, write_run
from tests.reports.page.browser.browsing import OVERFLOW, set_width, settle, visible

SWEEP = [
    Cell(f"i2v-adapter-alone[t0={t0},p={p}]", "i2v-adapter-alone", 0.9, t0, {"t0": t0, "p": p})
    for t0 in (0.6, 0.8, 1.0)
    for p in (0.5, 1.0)
]
CELLS = [
    *SWEEP,
    Cell("text-to-video", "text-to-video", 0.5, 0.9),
    Cell("still-image", "still-image", 1.0, 0.0),
]
PROMPTS = {f"photo-{i}": ("photo", f"photograph {i}") for i in range(5)}


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = write_run(
        tmp_path_factory.mktemp("small") / "run",
        cells=CELLS,
        metrics=[METRICS[1]],
        prompts=PROMPTS,
        reference=SWEEP[4].id,
        source="images",
    )
    with two_images_suffice():
        return write_report(folder)[0].as_uri()


@pytest.fixture
def opened(browser: Any, small_run: str) -> Any:
    set_width(browser, 1280, 900)
    browser.get(small_run)
    settle(browser)
    return browser


def test_letters_of_drawings_have_one_size(opened: Any) -> None:
    """One panel alone is not stretched over the page."""
    heights = opened.execute_script(
        "return [...document.querySelectorAll('figure.wide svg text')]"
        ".filter((text) => text.checkVisibility() && text.textContent.trim())"
        ".map((text) => text.getBBox().height * text.getScreenCTM().d)"
        ".filter((height) => height > 0)"
    )
    assert len(heights) > 10
    assert min(heights) > 9
    assert max(heights) < 26


def test_the_grids_are_not_cut(opened: Any) -> None:
    for grid in (".grid", ".pair-clips"):
        cut = opened.execute_script(
            "const e = document.querySelector(arguments[0]);"
            "return [e.scrollWidth - e.clientWidth, e.scrollHeight - e.clientHeight]",
            grid,
        )
        assert max(cut) <= 1, grid
    taken, given = opened.execute_script(OVERFLOW)
    assert taken <= given


@pytest.mark.parametrize("width", [1280, 390])
def test_settings_in_cell_names_stay_whole(opened: Any, width: int) -> None:
    """A line may end after the label and between settings, but not inside `p=1.0`."""
    set_width(opened, width, 900)
    settle(opened)
    names = visible(opened, ".grid tbody th code, .pair-clips th code")
    assert {name.text.replace("\n", "") for name in names} >= {cell.id for cell in SWEEP}
    lines = opened.execute_script(
        "return arguments[0].flatMap((code) => [...code.querySelectorAll('.whole')]"
        ".map((part) => part.getClientRects().length))",
        names,
    )
    assert len(lines) > 3 * len(SWEEP)
    assert set(lines) == {1}


def test_every_method_is_on_the_first_screen(opened: Any) -> None:
    names = {name.text for name in visible(opened, ".sheet figcaption code")}
    assert "text-to-video" in names
    rows = [row.text.split("\n")[0] for row in visible(opened, "table.short tbody th code")]
    assert rows == [cell.id for cell in CELLS]
    table = opened.find_element(By.CSS_SELECTOR, "table.short")
    assert table.rect["width"] > 400
