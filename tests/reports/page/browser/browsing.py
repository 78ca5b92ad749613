"""What tests do with a page that is open in a browser."""

from __future__ import annotations

from typing import Any

OVERFLOW = """
    return [document.documentElement.scrollWidth, document.documentElement.clientWidth];
"""
"""The width that the page's content takes, and the width that there is."""


def set_width(browser: Any, width: int, height: int) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def visible(page: Any, selector: str) -> list[Any]:
    script = (
        "return [...document.querySelectorAll(arguments[0])].filter((element) => "
        "element.checkVisibility())"
    )
    return page.execute_script(script, selector)


def column(page: Any, at: int) -> list[str]:
    script = """
        const table = [...document.querySelectorAll('#measures table')].find((t) => t.offsetParent);
        const rows = [...table.tBodies[0].rows].filter((r) => !r.hidden);
        return rows.map((r) => r.cells[arguments[0]].dataset.value);
    """
    return page.execute_script(script, at)


def settle(page: Any) -> None:
    """Waits until the browser has drawn twice."""
    page.execute_async_script(
        "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done));"
    )
