"""The results as one Markdown page: goals first, then every row, failed ones included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.interleave import quantile
from benchmarks.reach import goals, scaled, typeset
from benchmarks.results import busy
from reports.tables.cells import markdown_text, to_markdown

HEAD = """# Benchmarks

What the adapter costs, what measuring costs, and how close both are to the limit. `nox -s bench`
measures and writes this page from `benchmarks/results/*.json`, which hold every single time.
Weights are random except the glyph world's encoders: time does not depend on them, and only
"Quality and speed", of the glyph world alone, speaks of quality.

Variants of a scenario take turns round by round. A ratio is the median of the rounds' ratios with
a distribution-free interval for that median (95 % from six rounds on; below, the extremes). Of a
CPU only ratios are given; where a goal is in seconds, so is its line. "sd15/4" is SD 1.5 at a
quarter of its width: at half the side of the frame its attention and projections weigh as in the
full model."""

METHOD = Path(__file__).with_name("method.md")
"""What was tried, and what was kept; the last part of the page."""

TITLES = {
    "adapter-step": "Adapter step",
    "faster-step": "Faster step",
    "clip": "Whole clip",
    "training": "Training step",
    "judging": "Measuring",
    "frechet": "Fréchet distance",
    "harness": "Harness",
    "quality": "Quality and speed",
}


def render(devices: Sequence[Mapping[str, Any]]) -> str:
    """The page of some results files, each as `results.save` writes it."""
    parts = [
        HEAD,
        *(part for device in devices for part in _device(device)),
        METHOD.read_text(encoding="utf-8").strip(),
    ]
    return "\n\n".join(parts) + "\n"


def _method() -> str:
    return METHOD.read_text(encoding="utf-8").strip()


def _device(device: Mapping[str, Any]) -> Iterator[str]:
    families = device["families"]
    yield f"## {markdown_text(device['device'])}"
    if any(busy(state) for state in families.values()):
        load = max(state["load"] for state in families.values())
        cores = next(iter(families.values()))["cores"]
        yield (
            f"**Taken on a shared, busy machine** (load average up to {load:g} on {cores} cores "
            "before the"
            " measurement): times are worth little, ratios somewhat more, and single values least."
        )
    found = goals(families)
    if any(goal.reached != "not measured" for goal in found):
        yield "### Goals"
        yield to_markdown(["Goal", "Limit", "Measured", "Reached"], found)
    for family, title in TITLES.items():
        if family in families:
            yield f"### {title}"
            yield _state(families[family])
            yield from _tables(families[family]["rows"], timed=device["type"] == "cuda")


def _state(state: Mapping[str, Any]) -> str:
    commit = state["commit"][:10] + (" with changes" if state["dirty"] else "")
    driver = f", driver {state['driver']}" if state["driver"] else ""
    return (
        f"{state['date'][:10]}, commit {commit}, torch {state['torch']}, diffusers "
        f"{state['diffusers']}, scipy"
        f" {state['scipy']}, {state['threads']} threads{driver}, load before {state['load']:g}."
    )


def _tables(rows: Sequence[Mapping[str, Any]], *, timed: bool) -> Iterator[str]:
    counted = [row for row in rows if "flops" in row]
    if counted:
        header = ["Counted by torch", "Base, TFLOP", "With the adapter", "Ratio", "Reference"]
        yield to_markdown(header, [[row["scenario"], *_flops(row["flops"])] for row in counted])
    compared = [row for row in rows if "variants" in row]
    if compared:
        header = ["Scenario", "Ratio", "Value (interval)", "Counted"]
        yield to_markdown(header, [line for row in compared for line in _ratios(row)])
        if timed:
            header = ["Scenario", "Variant", "p50", "p95", "First call", "Clips a second"]
            yield to_markdown(header, [line for row in compared for line in _times(row)])
        memory = [line for row in compared for line in _memory(row)]
        if memory:
            header = [
                "Scenario",
                "Variant",
                "Weights",
                "Working peak",
                "Allocated peak",
                "Reserved peak",
                "Process",
            ]
            yield to_markdown(header, memory)
    shared = [row for row in rows if "shares" in row]
    if shared:
        header = ["Scenario", *shared[0]["shares"]]
        yield to_markdown(
            header,
            [[row["scenario"], *(f"{v:.0%}" for v in row["shares"].values())] for row in shared],
        )
    values = [
        [row["scenario"], name, f"{value:.4g}"]
        for row in rows
        for name, value in row.get("values", {}).items()
    ]
    if values:
        yield to_markdown(["Scenario", "Value", ""], values)
    for row in rows:
        if "cells" in row:
            header = [
                "Cell",
                "Seconds a clip" if timed else "Time over the fastest",
                *row["measures"],
                "On the front",
            ]
            yield f"{row['scenario']}; mean, 95 % interval over images."
            yield to_markdown(header, _cells(row["cells"], timed))
    for row in rows:
        if "paired" in row:
            yield (
                f"{row['scenario']}: differences with 95 % intervals over images, the same images "
                "and seeds."
            )
            yield to_markdown(["Setting", "Time", *row["measures"]], _paired(row))
    failures = [line for row in rows for line in _failures(row)]
    if failures:
        yield to_markdown(["Scenario", "Variant", "Failed with"], failures)


def _flops(flops: Mapping[str, float]) -> list[str]:
    counted = [f"{flops['base'] / 1e12:.2f}", f"{flops['adapter'] / 1e12:.2f}"]
    return [*counted, f"{flops['ratio']:.3f}", f"{flops['reference']:.3f}"]


def _ratios(row: Mapping[str, Any]) -> Iterator[list[str]]:
    for name, found in row.get("ratios", {}).items():
        floor = (
            f"FLOPs {row['flop_ratio']:.3f}"
            if name == "adapter / base" and "flop_ratio" in row
            else ""
        )
        yield [row["scenario"], name, typeset(scaled(found)), floor]


def _times(row: Mapping[str, Any]) -> Iterator[list[str]]:
    for name, result in row["variants"].items():
        if result["seconds"]:
            seconds = [quantile(result["seconds"], share) for share in (0.5, 0.95)] + [
                result["first"]
            ]
            clips = f"{row['clips'] / seconds[0]:.2f}" if "clips" in row else "–"
            yield [row["scenario"], name, *(f"{1000 * value:.2f} ms" for value in seconds), clips]


def _memory(row: Mapping[str, Any]) -> Iterator[list[str]]:
    for name, result in row["variants"].items():
        if memory := result.get("memory"):
            sizes = [
                result["weights"],
                *(memory[key] for key in ("working", "allocated", "reserved", "process")),
            ]
            yield [
                row["scenario"],
                name,
                *("–" if size is None else f"{size / 1e6:.1f} MB" for size in sizes),
            ]


def _cells(cells: Sequence[Mapping[str, Any]], timed: bool) -> Iterator[list[str]]:
    """Cells by their time; on the front where no cell as fast is better in one measure and as good
    in the others.
    """
    for cell in sorted(cells, key=lambda cell: float(cell["seconds"])):
        means = [value["mean"] for value in cell["values"]]
        beaten = any(
            other["seconds"] <= cell["seconds"]
            and _better([value["mean"] for value in other["values"]], means)
            for other in cells
        )
        time = f"{cell['seconds']:.3g}" if timed else f"{cell['over_fastest']:.2f}"
        values = [
            f"{v['mean']:.3f} ({v['low']:.3f} to {v['high']:.3f}), n = {v['n']:.0f}"
            for v in cell["values"]
        ]
        yield [cell["cell"], time, *values, "" if beaten else "yes"]


def _paired(row: Mapping[str, Any]) -> Iterator[list[str]]:
    """What each setting changes; first, what it is held against."""
    yield ["plain", "1", *(f"{mean:.3f}" for mean in row["plain"])]
    for each in row["paired"]:
        time = "–" if each["time"] is None else typeset(scaled(each["time"]), 2)
        changes = [
            f"{c['difference']:+.3f} ({c['low']:+.3f} to {c['high']:+.3f}), n = {c['n']}"
            for c in each["changes"]
        ]
        yield [each["cell"], time, *changes]


def _better(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    pairs = list(zip(ours, theirs, strict=True))
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def _failures(row: Mapping[str, Any]) -> Iterator[list[str]]:
    if "failed" in row:
        yield [row["scenario"], "", row["failed"]]
    for name, result in row.get("variants", {}).items():
        if "failed" in result:
            yield [row["scenario"], name, result["failed"]]
