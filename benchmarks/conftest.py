"""pytest-benchmark runs the rounds; rows are collected here and written at the end, failed ones
included.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import results
from benchmarks.scenario import Bench, failure

FAMILIES = pytest.StashKey[dict[str, dict[str, Any]]]()
LOAD = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device", default=None, help="torch device; cuda where there is one, else cpu"
    )
    parser.addoption(
        "--rounds", type=int, default=None, help="at most so many rounds, for a quick look"
    )
    parser.addoption(
        "--results", type=Path, default=None, help="folder of the raw results; benchmarks/results"
    )
    parser.addoption(
        "--limit", type=float, default=180.0, help="seconds of a case; its row says what was cut"
    )
    parser.addoption(
        "--quick",
        action="store_true",
        help="the first case of each file alone, 3 rounds, 40 s a case, into runs/bench-quick",
    )


def pytest_configure(config: pytest.Config) -> None:
    # A library's warning is no reason to lose a measurement.
    config.addinivalue_line("filterwarnings", "default")
    config.stash[FAMILIES] = {}
    config.stash[LOAD] = os.getloadavg()[0]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`case` runs over what the module's `cases(device type)` gives."""
    if "case" in metafunc.fixturenames:
        cases = metafunc.module.cases(_device(metafunc.config).type)
        if metafunc.config.getoption("--quick"):
            cases = cases[:1]
        metafunc.parametrize("case", cases, ids=[re.sub(r"\W+", "-", str(case)) for case in cases])


def _device(config: pytest.Config) -> torch.device:
    return torch.device(
        config.getoption("--device") or ("cuda" if torch.cuda.is_available() else "cpu")
    )


def _family(item: pytest.Item) -> str:
    return item.path.stem.removeprefix("bench_").replace("_", "-")


@pytest.fixture(scope="session")
def device(pytestconfig: pytest.Config) -> torch.device:
    return _device(pytestconfig)


@pytest.fixture
def bench(request: pytest.FixtureRequest, benchmark: Any, device: torch.device) -> Bench:
    """Rows of the test at hand, added to its family."""
    from pytest_benchmark.utils import get_commit_info

    families = request.config.stash[FAMILIES]
    family = _family(request.node)
    if family not in families:
        families[family] = {
            **results.environment(device, get_commit_info(), request.config.stash[LOAD]),
            "rows": [],
        }
    rounds, limit, quick = (
        request.config.getoption(name) for name in ("--rounds", "--limit", "--quick")
    )
    if quick:
        rounds, limit = rounds or 3, min(limit, 40.0)
    return Bench(benchmark, device, families[family]["rows"], rounds, limit)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    if call.excinfo is not None and report.failed and _family(item) in item.config.stash[FAMILIES]:
        row = {"scenario": item.name, "failed": failure(call.excinfo.value)}
        item.config.stash[FAMILIES][_family(item)]["rows"].append(row)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    families = session.config.stash[FAMILIES]
    if families:
        device = _device(session.config)
        quick = session.config.getoption("--quick")
        folder = session.config.getoption("--results") or (
            Path("runs/bench-quick") if quick else results.RESULTS
        )
        results.save(folder, results.device_name(device), device.type, families)
