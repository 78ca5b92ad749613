"""Notices that a reader of a run must see, without repetition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from eval.summary.cautions import Caution, from_documents

if TYPE_CHECKING:
    from reports.run.folder import RunFolder
    from reports.run.measures import Measure

_MOST_NAMED = 3
"""Measures that a warning names; more are counted."""


def notices(run: RunFolder, measures: Sequence[Measure]) -> list[str]:
    """Cautions of the summary and flags of the records, each once with where it holds; then what
    the run itself warns of."""
    warnings = []
    alike: dict[tuple[Caution, tuple[str, ...]], list[str]] = {}
    for measure in measures:
        groups: dict[Caution, dict[str, None]] = {}
        for row in run.summary[run.summary["metric"] == measure.id].itertuples():
            for caution in row.cautions:
                if caution.code == "note":  # an older run, whose run.json says it once
                    continue
                groups.setdefault(caution, {})[row.group] = None
        for caution, found in groups.items():
            alike.setdefault((caution, tuple(found)), []).append(measure.label)
    for (caution, where), labels in alike.items():
        what = (
            ", ".join(labels)
            if len(labels) <= _MOST_NAMED
            else f"{len(labels)} of {len(measures)} measures"
        )
        warnings.append(f"{what} ({', '.join(where)}): {caution.text}")
    flags = list(
        dict.fromkeys(flag for text in run.records["flags"] for flag in text.split(";") if flag)
    )
    for flag in flags:
        marked = run.records[[flag in text.split(";") for text in run.records["flags"]]]
        warnings.append(
            f"{marked['sample'].nunique()} of {len(run.samples)} samples carry the flag {flag}."
        )
    warnings += [f"{cell}: {why}" for cell, why in run.failed_cells.items()]
    tables = from_documents(run.run.get("cautions") or [], str(run.path / "run.json"))
    said = {str(caution) for caution in tables}
    warnings += [str(text) for text in run.run.get("warnings", []) if str(text) not in said]
    if run.run.get("dirty"):
        warnings.append("The run was made from a working tree with uncommitted changes.")
    elif "dirty" in run.run and run.run["dirty"] is None:
        warnings.append(
            "Whether the code had uncommitted changes is not known: there was no git to ask."
        )
    return warnings
