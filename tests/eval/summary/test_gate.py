"""The gate fails for a planted change of every measure, either way, else it holds. Recorded
numbers, no models.
"""

import csv
import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from eval.cli import app
from eval.errors import EvalError
from eval.measure.catalogue import parse_metric
from eval.plan.suite import SHIPPED
from eval.summary.comparison_rows import COMPARISONS
from eval.summary.gate import (
    Baseline,
    Entry,
    Tolerance,
    hold_against,
    read_baseline,
    read_entries,
    write_baseline,
)
from eval.summary.tables import FAILURES, RECORDS, SUMMARY

METRICS = yaml.safe_load((SHIPPED / "gate.yaml").read_text())["metrics"]
CELLS = ("i2v-adapter[t0=1.0,p=0.5]", "still-image")
HALF = 0.2
"""Half width of every recorded interval."""


def write(path: Path, header: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A run folder: 2 cells, 8 samples, 2 seeds, every metric of the gate's suite."""
    folder = tmp_path / "recorded"
    folder.mkdir()
    generator = np.random.default_rng(3)
    records, summary = [], []
    for cell in CELLS:
        for metric in map(parse_metric, METRICS):
            values = generator.normal(5, 1, (8, 2))
            if metric.scope == "clip":
                names = [(f"s{sample}", seed) for sample in range(8) for seed in range(2)]
                for (sample, seed), value in zip(names, values.flat, strict=True):
                    row = {
                        "cell": cell,
                        "sample": sample,
                        "seed": seed,
                        "metric": metric.id,
                        "value": float(value),
                    }
                    records.append(row)
            mean, better = (
                float(values.mean()),
                {True: "true", False: "false", None: ""}[metric.higher_is_better],
            )
            row = {"cell": cell, "group": "all", "metric": metric.id, "mean": mean, "n": 16}
            summary.append(
                row | {"low": mean - HALF, "high": mean + HALF, "higher_is_better": better}
            )
    write(folder / "records.csv", RECORDS, records)
    write(folder / "summary.csv", SUMMARY, summary)
    write(folder / "comparisons.csv", COMPARISONS, [])
    write(folder / "failures.csv", FAILURES, [])
    (folder / "run.json").write_text(json.dumps({"suite": {"name": "gate"}, "commit": "abc"}))
    return folder


@pytest.fixture
def baseline(recorded: Path, tmp_path: Path) -> Path:
    path = tmp_path / "baseline.json"
    write_baseline(path, recorded, "first trusted run")
    return path


def edit(
    folder: Path, name: str, change: Callable[[dict[str, str]], dict[str, str] | None]
) -> None:
    with (folder / name).open(newline="") as file:
        rows = list(csv.DictReader(file))
    changed = [new for row in rows if (new := change(row)) is not None]
    write(folder / name, tuple(rows[0]), changed)


def shift(folder: Path, metric: str, amount: float) -> None:
    """Moves one cell's metric, in records and summary."""

    def moved(row: dict[str, str], keys: tuple[str, ...]) -> dict[str, str]:
        hit = (row["cell"], row["metric"]) == (CELLS[0], metric)
        return row | {key: repr(float(row[key]) + amount) for key in keys} if hit else row

    edit(folder, "records.csv", lambda row: moved(row, ("value",)))
    edit(folder, "summary.csv", lambda row: moved(row, ("mean", "low", "high")))


def gate(folder: Path, baseline: Path, *options: str) -> Any:
    return CliRunner().invoke(app, ["gate", str(folder), "--baseline", str(baseline), *options])


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", METRICS)
def test_a_planted_change_of_each_measure_fails_alone(
    name: str, sign: int, recorded: Path, baseline: Path
) -> None:
    shift(recorded, name, sign * 0.51 * HALF)
    verdicts = hold_against(
        Baseline.model_validate_json(baseline.read_text()), read_entries(recorded)[1]
    )
    (failed,) = [verdict for verdict in verdicts if verdict.failed]
    better = parse_metric(name).higher_is_better
    status = "changed" if better is None else "better" if better == (sign > 0) else "worse"
    assert failed[:3] == (CELLS[0], name, status)
    assert failed.difference == pytest.approx(sign * 0.51 * HALF)
    assert failed.tolerance == pytest.approx(0.5 * HALF)
    shift(recorded, name, -sign * 0.02 * HALF)
    assert not any(
        v.failed
        for v in hold_against(
            Baseline.model_validate_json(baseline.read_text()), read_entries(recorded)[1]
        )
    )


def test_ten_unchanged_runs_pass_and_say_so_in_three_forms(
    recorded: Path, baseline: Path, tmp_path: Path
) -> None:
    outputs = set()
    for _ in range(10):
        result = gate(recorded, baseline)
        assert result.exit_code == 0, result.output
        outputs.add(
            (result.stdout, (recorded / "gate.md").read_text(), (recorded / "gate.xml").read_text())
        )
    ((stdout, markdown, junit),) = outputs
    assert stdout.splitlines()[-1] == "gate: all 18 values hold (baseline: first trusted run)"
    assert markdown.count("\n| pass |") == 18
    root = ElementTree.fromstring(junit)
    assert root.attrib == {"name": "gate", "tests": "18", "failures": "0"}
    assert {(case.get("classname"), case.get("name")) for case in root} == {
        (c, m) for c in CELLS for m in METRICS
    }


def test_a_failing_gate_exits_with_1_and_an_update_explains_it(
    recorded: Path, baseline: Path, tmp_path: Path
) -> None:
    shift(recorded, "motion.flow_dis.v1", 1.0)
    result = gate(
        recorded, baseline, "--markdown", str(tmp_path / "m.md"), "--junit", str(tmp_path / "j.xml")
    )
    assert result.exit_code == 1
    assert "gate: 1 of 18 values differ (baseline: first trusted run)" in result.stdout
    assert "--update REASON" in result.stderr
    row = (tmp_path / "m.md").read_text().splitlines()[4]
    assert row.startswith(
        r"| changed | i2v-adapter\[t0=1.0,p=0.5\] | motion.flow\_dis.v1 | +1 | +1 to +1 | 0.1 | "
        r"was "
    )
    (failure,) = ElementTree.parse(tmp_path / "j.xml").getroot().iter("failure")
    assert failure.get("message", "").startswith("changed: +1, tolerance 0.1; was ")

    content = json.loads(baseline.read_text())
    content["tolerances"]["motion.flow_dis.v1"] = {"absolute": 0.3}
    baseline.write_text(json.dumps(content))
    assert gate(recorded, baseline, "--update", " ").exit_code == 2
    assert gate(recorded, baseline, "--update", "faster glyphs").exit_code == 0
    assert gate(recorded, baseline).stdout.endswith(
        "gate: all 18 values hold (baseline: faster glyphs)\n"
    )
    shift(recorded, "motion.flow_dis.v1", 0.29)
    assert gate(recorded, baseline).exit_code == 0  # the tolerance outlived the update
    shift(recorded, "motion.flow_dis.v1", 0.02)
    assert gate(recorded, baseline).exit_code == 1


def test_what_was_lost_fails_and_what_is_new_does_not(recorded: Path, baseline: Path) -> None:
    def statuses() -> dict[tuple[str, str], tuple[str, str]]:
        verdicts = hold_against(
            Baseline.model_validate_json(baseline.read_text()), read_entries(recorded)[1]
        )
        return {v[:2]: (v.status, v.note) for v in verdicts if v.status != "pass"}

    edit(
        recorded,
        "records.csv",
        lambda r: None if (r["sample"], r["seed"], r["cell"]) == ("s3", "1", CELLS[1]) else r,
    )
    assert set(statuses().values()) == {("missing", "1 of 16 clips not measured, first s3/1")}
    assert {key[0] for key in statuses()} == {CELLS[1]}
    assert len(statuses()) == 7
    edit(recorded, "summary.csv", lambda r: r if r["cell"] == CELLS[0] else None)
    assert set(statuses().values()) == {("missing", "not measured")}
    edit(recorded, "summary.csv", lambda r: r | {"n": "15"})
    assert statuses()[CELLS[0], "fvd.videomae_glyph.v1"] == (
        "missing",
        "measured on 15 clips, the baseline on 16",
    )


def test_a_new_cell_is_named_and_passes() -> None:
    entry = Entry(cell="a", metric="fvd.videomae_glyph.v1", mean=1.0, n=4)
    held = Baseline(suite="gate", reason="r", entries=[entry])
    verdicts = hold_against(held, [entry, entry.model_copy(update={"cell": "b"})])
    assert [(v.cell, v.status, v.failed) for v in verdicts] == [
        ("a", "pass", False),
        ("b", "new", False),
    ]


def test_pairing_sees_a_change_that_two_means_hide() -> None:
    """Half of the samples were replaced by easier ones: unpaired means agree, the shared samples
    got worse.
    """
    before = Entry(
        cell="a", metric="m", mean=2.0, low=1.9, high=2.1, n=2, clips={"x/0": 1.0, "y/0": 3.0}
    )
    now = before.model_copy(update={"clips": {"x/0": 0.5, "y/0": 2.5, "easy/0": 4.0}})
    held = Baseline(
        suite="s", reason="r", tolerances={"default": Tolerance(absolute=0.1)}, entries=[before]
    )
    (verdict,) = hold_against(held, [now])
    assert (verdict.status, verdict.difference) == ("changed", -0.5)


def test_usage_and_nothing_measured_have_exit_codes_of_their_own(
    recorded: Path, baseline: Path, tmp_path: Path
) -> None:
    def said(code: int, *expected: str) -> None:
        result = gate(recorded, baseline)
        assert result.exit_code == code, result.output
        assert result.stderr.startswith("error: ")
        assert len(result.stderr.splitlines()) == 1
        assert all(text in result.stderr for text in expected), result.stderr

    kept = baseline.read_text()
    baseline.unlink()
    said(2, "baseline.json: no baseline; make one of a run you trust with --update REASON")
    baseline.write_text(kept.replace('"entries"', '"entrys"'))
    said(2, "baseline.json", "unknown key 'entrys'", "Did you mean 'entries'?")
    baseline.write_text(kept.replace('"suite": "gate"', '"suite": "other"'))
    said(2, "is of suite 'other'")
    baseline.write_text(kept.replace('"cell": "', '"cell": "no '))
    said(4, "nothing to compare")
    baseline.write_text(kept)
    (recorded / "summary.csv").unlink()
    said(4, "nothing is measured")
    shutil.rmtree(recorded)
    said(2, "not a run folder (no run.json)")


def test_a_broken_baseline_is_to_be_restored(baseline: Path) -> None:
    baseline.write_text(baseline.read_text()[:40])
    with pytest.raises(EvalError, match=r"not valid JSON .*restore it from version control, or"):
        read_baseline(baseline)


def test_a_run_with_failures_makes_no_baseline(recorded: Path, tmp_path: Path) -> None:
    row = {"cell": "a", "sample": "s", "seed": 0, "stage": "make", "reason": "r"}
    write(recorded / "failures.csv", FAILURES, [row])
    result = gate(recorded, tmp_path / "b.json", "--update", "why")
    assert result.exit_code == 2
    assert "1 clips failed" in result.stderr
    assert not (tmp_path / "b.json").exists()


def test_hostile_names_stay_text_in_every_form(tmp_path: Path) -> None:
    from eval.summary.gate import Verdict
    from eval.summary.gate_output import junit, markdown

    bad = [Verdict("<b>|\x07\n`x`", "m]]>&", "worse", 1.0, 0.5, 1.5, 0.1, "<script>")]
    assert ElementTree.fromstring(junit(bad))[0].get("classname") == "<b>|?\n`x`"
    row = markdown(bad, "r").splitlines()[4]
    assert r"\<b\>\|" in row
    assert row.replace(r"\|", "").count("|") == 8


@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning"
)  # of MLflow's own making
@pytest.mark.parametrize("tracker", ["tensorboard", "mlflow", "wandb"])
def test_a_tracker_is_handed_every_value_or_its_extra_is_named(
    tracker: str, recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    document = json.loads((recorded / "run.json").read_text())
    document["cells"] = [{"id": cell, "settings": {"t0": 1.0, "lora": None}} for cell in CELLS]
    (recorded / "run.json").write_text(json.dumps(document))
    targets = {"mlflow": f"sqlite:///{tmp_path}/mlflow.db", "wandb": "team/project"}
    target = targets.get(tracker, str(tmp_path / "events"))
    result = CliRunner().invoke(app, ["track", str(recorded), "--to", tracker, "--target", target])
    if importlib.util.find_spec(tracker) is None:
        assert result.exit_code == 2
        assert f"pip install 'i2v-adapter[{tracker}]'" in result.stderr
        return
    assert result.exit_code == 0, result.output
    with (recorded / "summary.csv").open(newline="") as file:
        wanted = {
            (r["cell"], f"{r['metric']}/{k}"): float(r[k])
            for r in csv.DictReader(file)
            for k in ("mean", "low")
        }
    assert {
        key: value for key, value in read_back(tracker, target, tmp_path).items() if key in wanted
    } == pytest.approx(wanted)


def read_wandb(folder: Path) -> dict[tuple[str, str], float]:
    """What offline runs of wandb would upload: (run's name, key of its summary) -> value."""
    from wandb.proto.wandb_internal_pb2 import Record

    DataStore = pytest.importorskip("wandb.sdk.internal.datastore").DataStore
    found = {}
    for path in (folder / "wandb").glob("offline-run-*/run-*.wandb"):
        store, name = DataStore(), ""
        store.open_for_scan(str(path))
        while data := store.scan_data():
            record = Record()
            record.ParseFromString(data)
            name = record.run.display_name or name
            for item in record.summary.update:
                found[name, item.key or item.nested_key[0]] = json.loads(item.value_json)
    return found


def read_back(tracker: str, target: str, folder: Path) -> dict[tuple[str, str], float]:
    if tracker == "wandb":
        return read_wandb(folder)
    if tracker == "mlflow":
        import mlflow

        runs = mlflow.MlflowClient(target).search_runs(["1"])
        return {
            (run.info.run_name, name): value
            for run in runs
            for name, value in run.data.metrics.items()
        }
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = {}
    for folder in (Path(target) / "gate").iterdir():
        events = EventAccumulator(str(folder)).Reload()
        found |= {
            (folder.name, name): events.Scalars(name)[0].value for name in events.Tags()["scalars"]
        }
    return found
