"""The gate's verdicts for a terminal, as Markdown for a summary of continuous integration, and as
JUnit XML.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from eval.io.console import cell
from eval.summary.gate import Verdict

if TYPE_CHECKING:
    from rich.table import Table

_COLUMNS = ("verdict", "cell", "measure", "difference", "interval", "tolerance", "note")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|&])")


def table(verdicts: Sequence[Verdict]) -> Table:
    """For a terminal; what failed in bold."""
    from rich.table import Table

    found = Table(*_COLUMNS, box=None, pad_edge=False)
    for verdict in verdicts:
        found.add_row(*map(cell, _texts(verdict)), style="bold red" if verdict.failed else "")
    return found


def headline(verdicts: Sequence[Verdict], reason: str) -> str:
    """One line: how many values differ, and the reason given for the baseline."""
    failed = sum(verdict.failed for verdict in verdicts)
    state = (
        f"{failed} of {len(verdicts)} values differ"
        if failed
        else f"all {len(verdicts)} values hold"
    )
    return f"gate: {state} (baseline: {reason})"


def markdown(verdicts: Sequence[Verdict], reason: str) -> str:
    """A heading and a table; what failed first."""
    lines = [
        f"### {_escaped(headline(verdicts, reason))}",
        "",
        _row(_COLUMNS),
        _row(["---"] * len(_COLUMNS)),
    ]
    ordered = sorted(verdicts, key=lambda verdict: not verdict.failed)
    return (
        "\n".join(
            [*lines, *(_row([_escaped(text) for text in _texts(verdict)]) for verdict in ordered)]
        )
        + "\n"
    )


def junit(verdicts: Sequence[Verdict]) -> str:
    """One test case a value; what failed is a failure."""
    failed = [verdict for verdict in verdicts if verdict.failed]
    suite = ElementTree.Element(
        "testsuite", name="gate", tests=str(len(verdicts)), failures=str(len(failed))
    )
    for verdict in verdicts:
        case = ElementTree.SubElement(
            suite, "testcase", classname=_xml(verdict.cell), name=_xml(verdict.metric)
        )
        if verdict.failed:
            status, _, _, difference, _, tolerance, note = _texts(verdict)
            message = (
                f"{status}: {difference or 'no difference'}, tolerance "
                f"{tolerance or 'none'}; {note}"
            )
            ElementTree.SubElement(case, "failure", type=status, message=_xml(message))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _texts(verdict: Verdict) -> list[str]:
    status, cell, metric = verdict.status, verdict.cell, verdict.metric
    paired = verdict.low is not None and verdict.high is not None
    interval = f"{verdict.low:+.3g} to {verdict.high:+.3g}" if paired else ""
    difference = "" if verdict.difference is None else f"{verdict.difference:+.4g}"
    tolerance = "" if verdict.tolerance is None else f"{verdict.tolerance:.4g}"
    return [status, cell, metric, difference, interval, tolerance, verdict.note]


def _row(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _xml(text: str) -> str:
    return _NOT_XML.sub("?", text)
