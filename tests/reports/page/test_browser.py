"""The page in a real browser: it opens in silence, does what its controls say, and runs nothing
that a run brings.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reports.cli import write_comparison, write_report

webdriver = pytest.importorskip(
    "selenium.webdriver", reason="selenium, of the group tests, is not installed"
)

from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.select import Select  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

PAYLOADS = (
    '<script>window.hostile="script"</script></script>',
    '<img src=x onerror="window.hostile=1">',
    "<svg/onload=window.hostile=2>",
    "\"><iframe srcdoc='<script>parent.hostile=3</script>'>",
)
METHOD = f"{PAYLOADS[1]}[{PAYLOADS[2]}]"


@pytest.fixture(scope="session")
def hostile_run(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic run with payloads as prompts, a sample's id, a method, a unit, a note and the
    suite's name.
    """
    folder = Path(shutil.copytree(run_folder, tmp_path_factory.mktemp("hostile") / "run"))
    for name in ("summary", "records", "comparisons", "samples"):
        frame = pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)
        frame = frame.replace({"content-adapter": METHOD, "cosine": PAYLOADS[2]})
        if name == "samples":
            frame["prompt"] = list(PAYLOADS)
        for column in {"sample", "id"} & set(frame):
            frame[column] = frame[column].replace({"unseen-1": PAYLOADS[0]})
        if name == "summary":
            frame["cautions"] = [
                text.replace("mostly_bias", json.dumps(PAYLOADS[1])[1:-1])
                for text in frame["cautions"]
            ]
        frame.to_csv(folder / f"{name}.csv", index=False)
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    run["suite"]["name"] = run["machine"]["platform"] = PAYLOADS[0]
    for cell in run["cells"]:
        cell["id"] = METHOD if cell["id"] == "content-adapter" else cell["id"]
    run["warnings"] = list(PAYLOADS)
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def address(hostile_run: Path) -> str:
    """The page of the hostile run."""
    return write_report(hostile_run)[0].as_uri()


@pytest.fixture
def page(browser: Any, address: str) -> Any:
    """The page as just opened, 1280 px wide."""
    _width(browser, 1280, 900)
    browser.get_log("browser")
    browser.get(address)
    return browser


def _width(browser: Any, width: int, height: int) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def _shown(page: Any, selector: str) -> list[Any]:
    script = (
        "return [...document.querySelectorAll(arguments[0])].filter((element) => "
        "element.checkVisibility())"
    )
    return page.execute_script(script, selector)


def _column(page: Any, at: int) -> list[str]:
    script = """
        const table = [...document.querySelectorAll('#measures table')].find((t) => t.offsetParent);
        const rows = [...table.tBodies[0].rows].filter((r) => !r.hidden);
        return rows.map((r) => r.cells[arguments[0]].dataset.value);
    """
    return page.execute_script(script, at)


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
        for link in _shown(page, "#measures a.peek")
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
    head = next(head for head in _shown(page, "#measures th") if head.text.startswith("Motion"))
    for order in ("descending", "ascending"):
        head.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
        assert head.get_attribute("aria-sort") == order
        assert list(map(float, _column(page, 2))) == sorted(means, reverse=order == "descending")


def test_filter_by_words_and_conditions(page: Any) -> None:
    field = page.find_element(By.ID, "cell-filter")
    field.send_keys("t0=1 identity>0.81")
    assert _column(page, 0) == ["i2v-adapter[t0=1.0,p=0.5]"]
    assert page.find_element(By.ID, "filter-count").text == "1 of 7 cells"
    field.clear()
    field.send_keys("motion<0.301")
    assert _column(page, 0) == ["still-image", "true-clip"]
    field.clear()
    field.send_keys("onload")
    assert _column(page, 0) == [METHOD]


CLOCK = """
    const films = document.getAnimations().filter((a) => a.animationName?.startsWith('film-'));
    const clocks = new Set(films.map((a) => a.startTime));
    return [films.length, clocks.size, films.every((a) => a.playState === 'running')];
"""


def test_clips_in_sight_share_one_clock_that_stops_and_steps(page: Any) -> None:
    _settle(page)
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
        _settle(page)
        assert float(page.execute_script(place)) == pytest.approx(100 * step / 3, abs=0.01)
    button.click()
    _settle(page)
    assert page.execute_script(CLOCK) == [count, 1, True]


def test_clips_out_of_sight_are_neither_decoded_nor_moved(page: Any) -> None:
    _settle(page)
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


def _settle(page: Any) -> None:
    """Waits until the browser has drawn twice."""
    page.execute_async_script(
        "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done));"
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


def test_heatmap_places_show_their_clips_to_mouse_and_keyboard(page: Any) -> None:
    peek = page.find_element(By.ID, "peek")
    place = next(
        link
        for link in _shown(page, "#sweep a.peek")
        if link.get_attribute("title").startswith("i2v-ad")
    )
    cell = place.get_attribute("title").split(":")[0]
    webdriver.ActionChains(page).move_to_element(place).perform()
    assert peek.is_displayed()
    assert page.find_element(By.ID, "peek-title").text == cell
    assert len(page.find_elements(By.CSS_SELECTOR, "#peek .film")) == 4
    webdriver.ActionChains(page).move_to_element(page.find_element(By.ID, "sweep-title")).perform()
    assert not peek.is_displayed()
    first = _shown(page, "#sweep a.peek")[0]
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


def test_choosing_a_group_hides_the_others(page: Any) -> None:
    page.find_element(By.CSS_SELECTOR, "#groups input[value=unseen]").click()
    groups = {part.get_attribute("data-group") for part in _shown(page, "[data-group]")}
    assert groups == {"unseen"}
    assert len(_shown(page, "#clip-grid thead .prompt")) == 2
    assert page.find_element(By.ID, "pair-summary").text.startswith(
        "2 pairs of clips of 2 input images"
    )


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
OVERFLOW = """
    return [document.documentElement.scrollWidth, document.documentElement.clientWidth];
"""


def test_fits_a_phone(page: Any) -> None:
    _width(page, 390, 844)
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
    boxes = [part.rect for part in _shown(page, "#sweep .heat")]
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
    _width(page, width, 844)
    for link in page.find_elements(By.CSS_SELECTOR, "nav a"):
        page.execute_script("location.hash = arguments[0].hash", link)
        _settle(page)
        bottom, top = page.execute_script(
            "return [document.getElementById('bar').getBoundingClientRect().bottom,"
            " document.querySelector(location.hash + '-title').getBoundingClientRect().top]"
        )
        assert top >= bottom


def test_comparison_of_runs(
    browser: Any, hostile_run: Path, run_folder: Path, tmp_path: Path
) -> None:
    out = write_comparison([run_folder, hostile_run], tmp_path)[0]
    browser.get_log("browser")
    browser.get(out.as_uri())
    assert browser.get_log("browser") == []
    assert browser.execute_script("return window.hostile") is None
    _width(browser, 390, 844)
    assert browser.execute_script(OVERFLOW) == [390, 390]


@pytest.mark.parametrize(("width", "height"), [(1400, 900), (390, 844)])
def test_the_first_screen_answers(page: Any, width: int, height: int) -> None:
    """Verdict and playing clips without scrolling; on a desktop also the table and the plot."""
    _width(page, width, height)
    _settle(page)
    parts = [".answer .says", ".answer .sheet:not([hidden]) .film:not(.still)"]
    if width > 1000:
        parts += [".answer table.short", ".answer figure.wide svg"]
    for part in parts:
        box = _shown(page, part)[0].rect
        assert 0 <= box["y"] < height - 100, part
        assert box["x"] + box["width"] <= width, part
    words = _shown(page, ".answer .says")[0].text
    assert words.startswith("Take i2v-adapter[t0=0.6,p=0.5]: of the 5 cells that move")


def test_the_first_screen_names_the_other_groups_verdicts(page: Any) -> None:
    _width(page, 1400, 900)
    (line,) = _shown(page, ".answer .elsewhere")
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
    _width(page, 1400, 900)
    film = page.find_element(By.CSS_SELECTOR, "#clip-grid tbody .film")
    assert film.rect["width"] == 256


def test_one_selector_governs_the_page_and_the_verdict(page: Any) -> None:
    page.find_element(By.CSS_SELECTOR, "#groups input[value=seen]").click()
    shown = _shown(page, ".answer")
    assert [part.get_attribute("data-group") for part in shown] == ["seen"]
    films = _shown(page, ".answer .sheet .film")
    assert {film.get_attribute("data-sample") for film in films} <= {"seen-0", "seen-1"}


def test_a_clip_opens_large_and_steps_beside_its_input(page: Any) -> None:
    film = _shown(page, ".answer .sheet .film:not(.still)")[-1]
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


def test_every_measure_can_be_shown(page: Any) -> None:
    assert len(_shown(page, "#measures td.more")) == 0
    assert _shown(page, "#measures .everything .interval") == []
    page.find_element(By.ID, "every-measure").click()
    assert _shown(page, "#measures .everything .interval")
    assert _shown(page, "#measures .everything .pm") == []


def test_a_link_opens_the_fold_that_it_leads_to(page: Any) -> None:
    details = page.find_element(By.CSS_SELECTOR, "#warnings > details")
    assert details.get_attribute("open") is None
    page.execute_script("location.hash = '#warnings'")
    _settle(page)
    assert details.get_attribute("open") is not None


def test_pictures_beside_the_page_play(
    browser: Any, run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reports.page.report.MEDIA_BUDGET", 1000)
    folder = Path(shutil.copytree(run_folder, tmp_path / "run"))
    _width(browser, 1280, 900)
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
    _settle(browser)
    assert browser.execute_async_script(loaded) == [64, 16]
    assert browser.get_log("browser") == []


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
    _width(page, width, 900)
    Select(page.find_element(By.ID, "theme")).select_by_value(theme)
    page.execute_script("for (const fold of document.querySelectorAll('details')) fold.open = true")
    page.execute_script(AXE.read_text(encoding="utf-8"))
    page.set_script_timeout(120)
    found = page.execute_async_script(
        "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then((r) =>"
        " done(r.violations.map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 120))])));"
    )
    assert found == []
