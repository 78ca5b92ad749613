"""`python -m benchmarks.large_run FOLDER --cells 50 --images 2000 --metrics 10`: a finished run
folder of random values and no clips, to time tables, status, report and gate on many records.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from pathlib import Path

from benchmarks.harness import fill
from eval.execute.provenance import RunDocument
from eval.store.sample_files import write_samples
from eval.store.status import status
from eval.summary.tables import write_failures, write_tables


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_run", description=__doc__)
    parser.add_argument("folder", type=Path, help="must not be there yet; the run is in run/")
    parser.add_argument("--cells", type=int, default=50)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--metrics", type=int, default=10)
    asked = parser.parse_args()
    if asked.folder.exists():
        parser.error(f"{asked.folder} is there already; give another folder")
    start = time.process_time()
    store, plan = fill(asked.folder, asked.cells, asked.images, asked.metrics)
    with store:
        write_samples(store, plan.samples)
        _say("store filled", start)
        document = RunDocument(store.folder, plan, {}, stale=True)
        start = time.process_time()
        write_failures(store, [])
        counts, cautions = write_tables(store, plan, {})
        _say(f"tables of {counts['records']} records", start)
        document.finished(counts, cautions)
    start = time.process_time()
    status(store.folder)
    _say("status", start)


def _say(what: str, start: float) -> None:
    seconds, peak = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    load = os.getloadavg()[0]
    print(f"{what}: {seconds:.2f} s of processor time, peak {peak // 1024} MB, load {load:.1f}")


if __name__ == "__main__":
    main()
