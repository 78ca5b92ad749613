"""Hands a run's summary to a tracker that a team already looks at: one run of the tracker for each
cell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from eval.errors import EvalError, nearest
from eval.store.received import read_run
from eval.summary.gate import Entry, read_entries

_NOT_ALLOWED = re.compile(r"[^\w\-. /]")
"""In a name of MLflow's."""


class Tracked(NamedTuple):
    """A cell for a tracker: its id, settings, and metric id with ``mean``, ``low``, ``high`` or
    ``n`` -> value.
    """

    cell: str
    settings: dict[str, Any]
    values: dict[str, float]


def track(folder: Path, tracker: str, target: str) -> int:
    """Writes the summary of group ``all``.

    Args:
        folder: of a run that is finished.
        tracker: ``tensorboard``, ``mlflow`` or ``wandb``.
        target: a folder for event files; MLflow's tracking URI, where the experiment bears the
            suite's name; or for wandb ``PROJECT`` or ``ENTITY/PROJECT``, where the suite's name is
            the runs' group (WANDB_MODE=offline writes a local folder alone).

    Returns:
        How many cells were written.

    Raises:
        EvalError: another tracker, one that is not installed, or nothing to write.
    """
    if tracker not in _TRACKERS:
        raise EvalError(
            f"--to {tracker}: unknown. Allowed: "
            f"{', '.join(_TRACKERS)}.{nearest(tracker, _TRACKERS)}"
        )
    suite, entries = read_entries(folder)
    cells = list(_cells(read_run(folder), entries))
    try:
        _TRACKERS[tracker](suite, cells, target)
    except ImportError as error:
        raise EvalError(f"--to {tracker}: {error}; pip install 'i2v-adapter[{tracker}]'") from error
    return len(cells)


def _cells(document: dict[str, Any], entries: Sequence[Entry]) -> Iterator[Tracked]:
    for cell in document.get("cells", []):
        values = {
            f"{entry.metric}/{name}": float(value)
            for entry in entries
            if entry.cell == cell["id"]
            for name, value in (
                ("mean", entry.mean),
                ("low", entry.low),
                ("high", entry.high),
                ("n", entry.n),
            )
            if value is not None
        }
        if values:
            yield Tracked(cell["id"], cell["settings"], values)


def _tensorboard(suite: str, cells: Sequence[Tracked], target: str) -> None:
    from torch.utils.tensorboard import SummaryWriter

    for cell in cells:
        with SummaryWriter(str(Path(target) / suite / quote(cell.cell, safe="[]=,"))) as writer:
            writer.add_text(
                "settings", "\n".join(f"- {name}: {value}" for name, value in cell.settings.items())
            )
            for name, value in cell.values.items():
                writer.add_scalar(name, value, global_step=0)


def _mlflow(suite: str, cells: Sequence[Tracked], target: str) -> None:
    import mlflow

    mlflow.set_tracking_uri(target)
    mlflow.set_experiment(suite)
    for cell in cells:
        with mlflow.start_run(run_name=cell.cell):
            mlflow.log_params(cell.settings)
            mlflow.log_metrics(
                {_NOT_ALLOWED.sub("_", name): value for name, value in cell.values.items()}
            )


def _wandb(suite: str, cells: Sequence[Tracked], target: str) -> None:
    import wandb

    entity, _, project = target.rpartition("/")
    for cell in cells:
        run = wandb.init(
            entity=entity or None,
            project=project,
            group=suite,
            name=cell.cell,
            config=cell.settings,
            reinit="create_new",
        )
        run.summary.update(cell.values)
        run.finish()


_TRACKERS: dict[str, Callable[[str, Sequence[Tracked], str], None]] = {
    "tensorboard": _tensorboard,
    "mlflow": _mlflow,
    "wandb": _wandb,
}
