"""Options of a run that change no value."""

from __future__ import annotations

from dataclasses import dataclass, field

from eval.execute.events import EventLog
from eval.execute.pool import Pool
from eval.plan.limits import MOST_CELLS


@dataclass(frozen=True)
class Options:
    """How to run. No option changes a value.

    Attributes:
        timeout: seconds to make or to measure one clip; None: for ever. See
            :func:`eval.execute.isolation.isolate`.
        wait: seconds to wait for another process to let the run folder go.
        debug: stop at the first clip that fails, with its traceback.
        log: told what happens, batch by batch.
        storage: where clips and features go; see :class:`eval.store.store.Store`.
        pool: workers; None: everything in this process.
        max_cells: a suite of more cells is refused.
    """

    timeout: float | None = None
    wait: float = 0.0
    debug: bool = False
    log: EventLog = field(default_factory=EventLog)
    storage: str | None = None
    pool: Pool | None = None
    max_cells: int = MOST_CELLS
