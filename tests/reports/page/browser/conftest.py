"""The page of a run with hostile texts, open in a browser."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reports.cli import write_report
from tests.reports.conftest import two_images_suffice
from tests.reports.page.browser.browsing import set_width

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
    with two_images_suffice():
        return write_report(hostile_run)[0].as_uri()


@pytest.fixture
def page(browser: Any, address: str) -> Any:
    """The page as just opened, 1280 px wide."""
    set_width(browser, 1280, 900)
    browser.get_log("browser")
    browser.get(address)
    return browser
