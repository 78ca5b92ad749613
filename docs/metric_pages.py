"""The metrics catalogue of the site: one table and one page a metric, made from the catalogue, the
formulas' source and the calibration. Part of the hook `site_pages`.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from eval.commands.describe import BETTER, describe
from eval.encoders import encoder_change, encoder_entry
from eval.encoders.table import EMBEDDED
from eval.measure.catalogue import catalogue, registered
from eval.metrics import Metric
from eval.metrics.lookup import newest_version, registered_versions

CALIBRATION = Path(__file__).with_name("calibration.md")
_ROW = re.compile(r"^\| (?P<id>[a-z][^ |]*\.v\d+) \| (?P<cells>.*) \|$", re.MULTILINE)
_EXAMPLE = """\
from eval import score
from eval.samples.glyph_world import GlyphWorldSettings, load

samples = load(GlyphWorldSettings(seen=4, unseen=0))  # true clips of the glyph world
clips = [sample.clip for sample in samples]
table = score(clips, ["{id}"], samples=samples{reference})
print(table["value"].to_list(), table["unit"][0])
"""

_TRACKS_EXAMPLE = """\
import numpy as np
from eval import Clip, Sample, score

blocks = np.random.default_rng(0).integers(0, 256, (16, 64, 3), dtype=np.uint8)
wall = blocks.repeat(8, axis=0).repeat(8, axis=1)
starts = [[start - 3 * frame for frame in range(16)] for start in (100, 200, 300)]
clips = [Clip(np.stack([wall[:, x : x + 128] for x in each]), 8.0) for each in starts]
prompt = "a wall, camera pans left"
samples = [Sample(f"wall-{{k}}", clip.frames[0], prompt) for k, clip in enumerate(clips)]
table = score(clips, ["{id}"], samples=samples{reference})
print(table["value"].to_list(), table["unit"][0])
"""

_LONG_EXAMPLE = """\
import numpy as np
from eval import Clip, Sample, score

noise = np.random.default_rng(0).integers(0, 256, (56, 64, 64, 3), dtype=np.uint8)
sample = Sample("noise", noise[10], "noise", clip=Clip(noise, 24.0))
clip = Clip(noise[10::3], 8.0)  # every third frame of the true clip from frame 10
table = score([clip], ["{id}"], samples=[sample])
print(table["value"].to_list(), table["unit"][0])
"""


def families() -> dict[str, list[Metric]]:
    """Every definition that the catalogue lists -> its metrics, superseded versions last."""
    found: dict[str, list[Metric]] = {}
    newest = catalogue(superseded=False)
    for metric in [*newest, *(old for old in catalogue() if old not in newest)]:
        found.setdefault(metric.family, []).append(metric)
    return found


def metrics_page() -> str:
    """All definitions in one table, each linked to a page of its own."""
    rows = [
        f"| [{family}](metrics/{family}.md) | {shown.description} | {shown.unit} | "
        f"{BETTER[shown.higher_is_better]} | {shown.source} |"
        for family, (shown, *_) in families().items()
    ]
    head = [
        "# Metrics",
        "",
        "A metric's id is `<definition>.<encoder>.<version>`. The version is frozen: a change of "
        "preprocessing or arithmetic is a new version. `i2v-eval metrics ID` prints the same on "
        "the terminal, with the fingerprint of the weights found.",
        "",
        "| definition | one value | unit | better | source |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows]) + "\n"


def family_pages() -> Iterator[tuple[str, str]]:
    """The name and the page of each definition."""
    for family, metrics in families().items():
        yield (
            family,
            "\n".join(
                [
                    f"# {family}",
                    "",
                    *_summary(metrics[0]),
                    *_formula(metrics[0]),
                    *_cannot_see(metrics),
                    *_preprocessing(metrics),
                    *_versions(metrics),
                    *_example(metrics),
                ]
            ),
        )


def example(metrics: list[Metric]) -> str:
    """A program that measures true glyph clips, with an encoder of this package where there is
    one; for metrics of tracks, which ask for 16 frames or for a camera, clips of a panned wall; for
    those of a long true clip, noise."""
    shown = next((metric for metric in metrics if _shipped(metric)), metrics[0])
    reference = ", reference=clips" if shown.scope == "set" else ""
    program = _TRACKS_EXAMPLE if encoder_entry(shown.encoder).kind == "tracks" else _EXAMPLE
    if shown.selective and "clip" in shown.needs:
        program = _LONG_EXAMPLE
    return program.format(id=shown.id, reference=reference)


def arithmetic(metric: Metric) -> list[Callable[..., Any]]:
    """The pure functions of `eval.metrics` that the metric's formula calls; the formula itself
    where it calls none."""
    formula = registered(metric).formula
    tree = ast.parse(textwrap.dedent(inspect.getsource(formula))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    called = [
        getattr(inspect.getmodule(formula), node.func.id, None)
        for statement in tree.body
        for node in ast.walk(statement)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    pure = [
        public
        for function in dict.fromkeys(called)
        if inspect.isfunction(function) and function.__module__.startswith("eval.metrics")
        for public in _public(function)
    ]
    return list(dict.fromkeys(pure)) or [formula]


def _public(function: Callable[..., Any]) -> list[Callable[..., Any]]:
    """The function, or, for a private one, the public functions of its module that call it."""
    if not function.__name__.startswith("_"):
        return [function]
    module = inspect.getmodule(function)
    return [
        other
        for name, other in inspect.getmembers(module, inspect.isfunction)
        if not name.startswith("_") and function.__name__ in other.__code__.co_names
    ]


def _summary(metric: Metric) -> Iterator[str]:
    definition = registered(metric).definition
    rows = {
        "unit": metric.unit,
        "better": BETTER[metric.higher_is_better],
        "one value per": metric.scope,
        "reads": ", ".join(["the clip", *(f"the {need}" for need in metric.needs)])
        + (", ground truth" if metric.truth else ""),
        "source": metric.source,
        "published with": definition.published or definition.protocols or "no other protocol",
    }
    yield from (metric.description, "", "| | |", "|---|---|")
    yield from (f"| {name} | {_cell(text)} |" for name, text in rows.items())
    yield ""


def _formula(metric: Metric) -> Iterator[str]:
    yield from ("## Formula", "")
    for function in arithmetic(metric):
        yield from (f"`{function.__module__}.{function.__qualname__}`:", "")
        yield from ("```python", inspect.getsource(function).rstrip(), "```", "")


def _cannot_see(metrics: list[Metric]) -> Iterator[str]:
    shown, definition = metrics[0], registered(metrics[0]).definition
    yield from ("## What it cannot see", "")
    if definition.cannot_see:
        yield f"- {definition.cannot_see}"
    for need in ("image", "prompt"):
        if need not in shown.needs and not shown.truth:
            yield f"- The {need}: the formula does not read it."
    for metric in metrics:
        for material, unseen in _calibrated().get(metric.id, {}).items():
            yield f"- Measured with `{metric.encoder}` on {material}: {', '.join(unseen)}."
    if definition.caution:
        yield from ("", "!!! warning", f"    {definition.caution}")
    yield from ("", "[Calibration](../../calibration.md) says how this was measured.", "")


@cache
def _calibrated() -> dict[str, dict[str, list[str]]]:
    """Metric id -> material -> corruptions that it does not answer to, from the calibration."""
    found: dict[str, dict[str, list[str]]] = {}
    for part in CALIBRATION.read_text(encoding="utf-8").split("\n## ")[1:]:
        material, _, text = part.partition("\n")
        head = next((line for line in text.splitlines() if line.startswith("| Metric |")), "")
        corruptions = head.strip("| ").split(" | ")[1:]
        for match in _ROW.finditer(text.replace("\\_", "_")):
            cells = match["cells"].split(" | ")
            pairs = list(zip(corruptions, cells, strict=False))
            unseen = [name for name, cell in pairs if cell.startswith(("cannot see", "FAILS"))]
            if unseen:
                material_of = found.setdefault(match["id"], {})
                material_of.setdefault(material[0].lower() + material[1:], unseen)
    return found


def _preprocessing(metrics: list[Metric]) -> Iterator[str]:
    yield from ("## Preprocessing and weights", "")
    for metric in metrics:
        rows = dict(describe(metric))
        yield from (f"### `{metric.id}`", "", "| | |", "|---|---|")
        kept = ("encoder", "preprocessing", "weights")
        yield from (f"| {name} | {_cell(rows[name])} |" for name in kept)
        yield ""


def _versions(metrics: list[Metric]) -> Iterator[str]:
    family = metrics[0].family
    known = registered_versions(family)
    newest = newest_version(known)
    yield from ("## Versions", "", "| version | | what differs |", "|---|---|---|")
    for version, one in sorted(known.items(), key=lambda item: item[0] != newest):
        state = "newest" if version == newest else "variant" if "." in version else "older"
        differs = one.definition.caution if version != newest and len(known) > 1 else ""
        yield f"| `{version}` | {state} | {_cell(differs) or f'view: {one.definition.view}'} |"
    offered = {metric.id for metric in metrics}
    for encoder in dict.fromkeys(metric.encoder for metric in metrics):
        refused = [v for v in known if f"{family}.{encoder}.{v}" not in offered]
        if refused and encoder_change(encoder):
            yield (
                f"| `{', '.join(refused)}` with `{encoder}` | refused | "
                f"{_cell(encoder_change(encoder))} |"
            )
    yield ""


def _example(metrics: list[Metric]) -> Iterator[str]:
    yield from ("## Example", "", "In a suite:", "")
    yield from ("```yaml", f"metrics: [{metrics[0].id}]", "```", "", "In Python:", "")
    yield from ("```python", example(metrics).rstrip(), "```", "")
    if not any(_shipped(metric) for metric in metrics):
        yield from (f"It needs weights: `i2v-eval weights get {metrics[0].encoder}`.", "")


def _shipped(metric: Metric) -> bool:
    source = encoder_entry(metric.encoder).source
    return metric.encoder in EMBEDDED or bool(source and source.embedded)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
