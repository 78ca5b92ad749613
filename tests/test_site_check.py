"""The check that the built site loads nothing from another host finds what does."""

import runpy
from pathlib import Path

import pytest

OUTSIDE = runpy.run_path(str(Path(__file__).parents[1] / "docs" / "site_check.py"))["outside"]


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.html", '<script defer src="https://cdn.example/x.js"></script>', 1),
        ("a.html", "<img alt=x src=//cdn.example/x.png>", 1),
        ("a.html", '<link href="https://fonts.example/a.css" rel="stylesheet">', 1),
        (
            "a.html",
            '<script src="assets/x.js"></script><link rel="canonical" href="https://a.b">',
            0,
        ),
        ("a.html", '<a href="https://arxiv.org/abs/2312.16693">paper</a>', 0),
        ("deep/a.css", '@import url("https://fonts.example/a.css");', 1),
        ("deep/a.css", "a{background:url(//cdn.example/x.png)}b{background:url(x.png)}", 1),
    ],
)
def test_what_a_browser_would_load(tmp_path: Path, name: str, text: str, found: int) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    assert len(OUTSIDE(tmp_path)) == found
