"""A calibration as read: how every metric responds to corruptions of known strength."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from eval.errors import EvalError
from reports.run.measures import MINUS

FILE = "calibration.json"
REMAKE = "nox -s calibrate && cp runs/calibration/calibration.md docs/calibration.md"
_GROUPS = {"glyph": "True glyph clips", "camera": "Still pictures under a moving camera"}
MARKS = {
    "responds": "good",
    "uneven": "uneven",
    "FAILS": "bad",
    "also sees": "plain",
    "cannot see": "soft",
}
"""Verdict -> class of the page's style."""


@dataclass(frozen=True)
class Calibration:
    """A finished calibration: the content of ``calibration.json``."""

    content: Mapping[str, Any]

    @property
    def groups(self) -> list[str]:
        """Groups of clips that metrics were measured on."""
        return list(dict.fromkeys(entry["group"] for entry in self.content["metrics"]))

    @property
    def metrics(self) -> list[str]:
        """Metric ids, in the catalogue's order."""
        return list(dict.fromkeys(entry["metric"] for entry in self.content["metrics"]))

    def corruptions(self, group: str) -> list[str]:
        """Corruptions that the group's clips were put to."""
        asked = {name for entry in self.of_group(group) for name in entry["responses"]}
        return [name for name in self.content["corruptions"] if name in asked]

    def of_group(self, group: str) -> list[Mapping[str, Any]]:
        """The group's entries, one a metric."""
        return [entry for entry in self.content["metrics"] if entry["group"] == group]

    def failing(self) -> list[tuple[str, str, str]]:
        """(metric, group, corruption) of every answer that should be there and is not."""
        return [
            (entry["metric"], entry["group"], name)
            for entry in self.content["metrics"]
            for name, response in entry["responses"].items()
            if response["verdict"] == "FAILS"
        ]


def load_calibration(directory: Path) -> Calibration:
    """Reads ``calibration.json`` of a folder.

    Raises:
        EvalError: the file is missing, not JSON, or not a calibration.
    """
    path = directory / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EvalError(
            f"{path}: no such file; make it with `i2v-eval calibrate --out {directory}`"
        ) from error
    except (OSError, ValueError) as error:
        raise EvalError(f"{path}: not readable as JSON ({error}); calibrate again") from error
    if not isinstance(content, dict) or not content.get("metrics") or "corruptions" not in content:
        raise EvalError(f"{path}: not a calibration, or one without metrics; calibrate again")
    return Calibration(content)


def title(group: str) -> str:
    """A group's name in words."""
    return _GROUPS.get(group, group)


def number(value: float | None, digits: int = 3) -> str:
    """Three significant digits and a typographic minus; "–" for none."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}g}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.1e}"
    return text.replace("-", MINUS)


def _size(response: Mapping[str, Any]) -> str:
    if response["verdict"] == "cannot see":
        return ""
    change = "+" if response["change"] > 0 else MINUS
    order = f"{response['spearman']:.2f}".replace("-", MINUS)
    return f"{change}{100 * response['share']:.0f} %, ρ {order}"


def _first_seen(calibration: Calibration, name: str, response: Mapping[str, Any]) -> str:
    if response["seen_from"] is None:
        return "at no strength"
    return f"from {response['seen_from']:g} ({calibration.content['corruptions'][name]['unit']})"


class Answer(NamedTuple):
    """A table's cell: verdict, the answer's size and order (or ""), class of the page's style, and
    a hint.
    """

    verdict: str
    size: str
    mark: str
    hint: str


def matrix(calibration: Calibration, group: str) -> list[tuple[str, list[Answer]]]:
    """One row a metric: its id, and its answer to each of the group's corruptions."""
    return [
        (
            entry["metric"],
            [
                _answer(calibration, name, entry["responses"][name])
                for name in calibration.corruptions(group)
            ],
        )
        for entry in calibration.of_group(group)
    ]


def _answer(calibration: Calibration, name: str, response: Mapping[str, Any]) -> Answer:
    verdict = response["verdict"]
    hint = f"{name}: seen {_first_seen(calibration, name, response)}"
    return Answer(verdict, _size(response), MARKS.get(verdict, "plain"), hint)


CONSTANTS = (
    "Metric",
    "Unit",
    "True clips (95 % interval)",
    "Unrelated clip",
    "Noise floor",
    "Ceiling",
    "n",
)


def constants(calibration: Calibration, group: str) -> list[list[str]]:
    """Rows under `CONSTANTS`."""
    rows = []
    for entry in calibration.of_group(group):
        low, high = entry["undisturbed_low"], entry["undisturbed_high"]
        interval = "" if low is None or low == high else f" ({number(low)} to {number(high)})"
        values = [number(entry["undisturbed"]) + interval]
        values += [number(entry[key]) for key in ("unrelated", "noise_floor", "ceiling")]
        rows.append([entry["metric"], entry["unit"], *values, str(entry["n"])])
    return rows


MOTION = (
    "Metric",
    "Clips",
    "Rank correlation with true motion",
    "Measured / true",
    "Highest of a standing clip",
    "n",
)


def motions(calibration: Calibration) -> list[list[str]]:
    """Rows under `MOTION`: motion metrics against the exact flow."""
    return [
        [
            entry["metric"],
            title(entry["group"]),
            number(entry["spearman"]),
            number(entry["slope"]),
            number(entry["still_highest"]),
            str(entry["clips"]),
        ]
        for entry in calibration.content.get("known_motion", [])
    ]


def explanation(calibration: Calibration) -> list[str]:
    """How to read the tables, a paragraph each."""
    clips = ", ".join(
        f"{count} {title(group).lower()}" for group, count in calibration.content["clips"].items()
    )
    least = f"{100 * calibration.content['least_share']:.0f} %"
    return [
        f"Each metric measured clips with ground truth ({clips}, 64 x 64 px, 8 frames) and the "
        "same clips with a corruption of known strength; strength 0 is the true clip. The "
        "values belong to the weights named at the end and to these small synthetic clips: "
        "they show what a metric responds to, not how it ranks real models.",
        "A cell reads: verdict, sign of the change at the largest strength, largest change as "
        "a share of the metric's ceiling, and ρ, the Spearman correlation of the means with "
        "the strength. A change counts if its paired 95 % interval excludes 0 (set metrics: "
        f"if their own interval excludes the true clips' value) and if it is at least {least} "
        "of the ceiling.",
        "Noise floor: half the 95 % interval of the true clips' mean, which is the smallest "
        "difference that two unpaired cells with this number of clips can show. For set "
        "metrics: their value for an independent draw of true clips, which is mostly the bias "
        "of so few clips. Ceiling: the largest change by any corruption (for clip metrics, "
        "also by an unrelated clip).",
    ]


def failures(calibration: Calibration) -> list[str]:
    """One line for each metric that should respond and does not."""
    by_metric: dict[tuple[str, str], list[str]] = {}
    for metric, group, name in calibration.failing():
        by_metric.setdefault((metric, group), []).append(name)
    return [
        f"{metric}, {title(group).lower()}: {', '.join(names)}"
        for (metric, group), names in by_metric.items()
    ]


def blind_spots(calibration: Calibration) -> list[str]:
    """One line for each corruption: the metrics that do not see it in any group."""
    lines = []
    for name in calibration.content["corruptions"]:
        seen: dict[str, bool] = {}
        for entry in calibration.content["metrics"]:
            if name in entry["responses"]:
                sees = entry["responses"][name]["seen_from"] is not None
                seen[entry["metric"]] = seen.get(entry["metric"], False) or sees
        blind = [metric for metric, sees in seen.items() if not sees]
        lines.append(f"{name}: {', '.join(blind) if blind else 'every metric sees it'}")
    return lines


def provenance(calibration: Calibration) -> list[tuple[str, str]]:
    """What decides the figures, as (name, value)."""
    content = calibration.content
    pairs = [("protocol", str(content.get("protocol"))), ("commit", str(content.get("commit")))]
    pairs += [
        (f"encoder {name}", digest[:16]) for name, digest in (content.get("encoders") or {}).items()
    ]
    versions = content.get("versions") or {}
    return pairs + [
        (name, versions[name])
        for name in ("torch", "opencv-python-headless", "av")
        if name in versions
    ]
