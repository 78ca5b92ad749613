"""Tables in LaTeX: for a plain article with booktabs and longtable, by any engine, no wider than
its lines.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.tables.plain import PlainTable

PACKAGES = r"\usepackage{booktabs,longtable}"
"""What a document needs for the tables."""

_LINE, _GAP = 345.0, 6.0  # pt: a line of the article class, the space between two columns
_SMALL = rf"\footnotesize\setlength{{\tabcolsep}}{{{_GAP / 2:g}pt}}"
_LETTER, _BOLD_LETTER = 4.3, 4.9  # pt: a letter of \footnotesize
_PAGE = 45
"""Lines of a table that stands on one page."""
_BREAK = "\N{ZERO WIDTH SPACE}"
_INSIDE_IDS = re.compile(r"(?<=[^\W\d][._+,\[=])(?=\w)")
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': "''",
    "−": "$-$",
    "–": "--",
    "—": "---",
    "×": r"$\times$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "ρ": r"$\rho$",
    "²": "$^2$",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "«": "``",
    "»": "''",
    "…": r"\ldots{}",
    "·": r"$\cdot$",
    "±": r"$\pm$",
    "\N{NO-BREAK SPACE}": "~",
    _BREAK: r"\allowbreak{}",
}
_LATIN = set(map(chr, range(0xA1, 0x17F))) - set("ÐÞðþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲų")
"""Letters beyond ASCII that LaTeX's first font encoding has."""


def latex_text(text: str) -> str:
    """Escapes what LaTeX would interpret; line breaks and control characters become spaces.

    A character that the standard fonts lack is named by its number, as U+4E2D.
    """
    return _SPACES.sub(" ", text).translate(_ESCAPES)


class _Escapes(dict[int, str]):
    """Character number -> what is written for it; what has no entry is worked out once."""

    def __missing__(self, number: int) -> str:
        char = chr(number)
        known = char.isascii() or char in _LATIN
        self[number] = char if known else f"U+{number:04X}"
        return self[number]


_ESCAPES = _Escapes({ord(char): written for char, written in _LATEX.items()})
_SPACES = re.compile(r"(?:[^\S\xa0]|[\x00-\x1f\x7f])+")


def latex_table(table: PlainTable) -> str:
    """A ``table`` where it stands on one page, else one ``longtable`` for each few columns, the
    first ones repeated.

    Columns of numbers keep their width; in a table of texts those that are too wide wrap.
    """
    widths = [
        max(map(len, column)) * _LETTER for column in zip(table.header, *table.rows, strict=True)
    ]
    for _, at in table.strong:
        widths[at] = max(widths[at], max(len(row[at]) for row in table.rows) * _BOLD_LETTER)
    if table.numbers:
        parts = list(_parts(widths, table.keys))
        specs = ["".join("l" if at < table.keys else "r" for at in part) for part in parts]
        lines = len(table.rows)
    else:
        parts = [list(range(len(widths)))]
        shares = _shares(
            widths,
            [max(map(_longest, column)) for column in zip(table.header, *table.rows, strict=True)],
        )
        specs = [
            "".join(
                "l" if share is None else f"p{{{share / _LINE:.3f}\\linewidth}}" for share in shares
            )
        ]
        wraps = [
            1 if share is None else math.ceil(1.2 * width / share)
            for share, width in zip(shares, widths, strict=True)
        ]
        lines = len(table.rows) * max(wraps)
    bodies = [
        list(_rows(table, part, "p{" in spec)) for part, spec in zip(parts, specs, strict=True)
    ]
    caption = rf"\caption{{{latex_text(table.title)}}}"
    label = rf"\label{{tab:{re.sub(r'[^A-Za-z0-9-]+', '-', table.name)}}}"
    notes = [rf"\par\footnotesize {latex_text(note)}" for note in table.notes]
    if len(parts) == 1 and lines <= _PAGE:
        inside = [rf"\begin{{tabular}}{{{specs[0]}}}", *_ruled(*bodies[0]), r"\end{tabular}"]
        whole = [
            r"\begin{table}",
            rf"\centering{_SMALL}",
            caption,
            label,
            *inside,
            *notes,
            r"\end{table}",
        ]
        return "\n".join(whole) + "\n"
    whole = [rf"\begingroup{_SMALL}"]
    for number, (spec, (head, *rows)) in enumerate(zip(specs, bodies, strict=True)):
        top = [r"\toprule", head, r"\midrule"]
        first = [f"{caption}{label}\\\\", *top, r"\endfirsthead"] if number == 0 else []
        whole += [
            rf"\begin{{longtable}}{{{spec}}}",
            *first,
            *top,
            r"\endhead",
            *rows,
            r"\bottomrule",
        ]
        whole += [r"\end{longtable}", *([] if number == 0 else [r"\addtocounter{table}{-1}"])]
    return "\n".join([*whole, *notes, r"\par\endgroup"]) + "\n"


def _ruled(head: str, *rows: str) -> list[str]:
    return [r"\toprule", head, r"\midrule", *rows, r"\bottomrule"]


def _rows(table: PlainTable, part: Sequence[int], wraps: bool) -> Iterator[str]:
    """The header and the rows, cut down to some columns."""
    for number, row in enumerate([table.header, *table.rows], start=-1):
        texts = [_broken(row[at]) if wraps else latex_text(row[at]) for at in part]
        strong = [(number, at) in table.strong for at in part]
        bold = [
            rf"\textbf{{{text}}}" if best else text
            for text, best in zip(texts, strong, strict=True)
        ]
        yield " & ".join(bold) + (r" \tabularnewline" if wraps else r" \\")


def _broken(text: str) -> str:
    """For a column that wraps: ragged, and with breaks inside ids, which have no spaces."""
    return rf"\raggedright {latex_text(_INSIDE_IDS.sub(_BREAK, text))}"


def _longest(text: str) -> float:
    """Width of what cannot be broken."""
    return (
        max((len(part) for part in re.split(r"\s|(?<=-)", _INSIDE_IDS.sub(" ", text))), default=0)
        * _LETTER
    )


def _parts(widths: Sequence[float], keys: int) -> Iterator[list[int]]:
    """Columns side by side that fit a line, each time after the first `keys`."""
    part = first = list(range(keys))
    for at in range(keys, len(widths)):
        if len(part) > keys and sum(widths[i] + _GAP for i in (*part, at)) > _LINE:
            yield part
            part = first
        part = [*part, at]
    yield part


def _shares(widths: Sequence[float], least: Sequence[float]) -> list[float | None]:
    """Room for each column, None where all fit as they are.

    Args:
        widths: of the longest text.
        least: of the longest word; what is left over goes to the wider columns, though less
            than in proportion.
    """
    room = _LINE - _GAP * len(widths)
    if sum(widths) <= room:
        return [None] * len(widths)
    wanted = [math.sqrt(width - word) for width, word in zip(widths, least, strict=True)]
    left = max(0.0, room - sum(least)) / (sum(wanted) or 1.0)
    return [word + left * more for word, more in zip(least, wanted, strict=True)]
