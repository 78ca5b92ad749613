"""The goals of the benchmarks, and what a device's results say of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from benchmarks.interleave import Ratio, quantile

Families = Mapping[str, Mapping[str, Any]]


CARD, CARD_SHARE = 790, 0.45
"""Dense half-precision TFLOP/s of an H100, and the share of them that a step is to reach."""


class Goal(NamedTuple):
    """One line of the table: `reached` is yes, no, undecided (the interval holds the limit), or not
    measured.
    """

    goal: str
    limit: str
    measured: str
    reached: str


def goals(families: Families) -> list[Goal]:
    """Every goal, in the order of the issue that set them; several lines where a goal has several
    shapes.
    """
    return [
        *_step(families),
        *_memory(families),
        *_faster(families),
        *_judging(families),
        *_frechet(families),
        *_value(families, "harness overhead", "overhead share", 0.05, "{:.1%}"),
        *_help(families),
        *_value(families, "unchanged re-run, imports aside", "unchanged re-run s", 5.0, "{:.2f} s"),
    ]


def rows(families: Families, family: str) -> list[dict[str, Any]]:
    return list(families.get(family, {}).get("rows", []))


def typeset(value: Ratio, digits: int = 3) -> str:
    """Median and interval."""
    return (
        f"{value.value:.{digits}f} ({value.low:.{digits}f} to {value.high:.{digits}f}, "
        f"{value.rounds} rounds)"
    )


def scaled(found: Mapping[str, Any], factor: float = 1.0) -> Ratio:
    """A stored ratio times a constant."""
    ends = (found[end] * factor for end in ("value", "low", "high"))
    return Ratio(*ends, found["rounds"], found["coverage"])


def verdict(
    low: float, high: float, *, at_most: float | None = None, at_least: float | None = None
) -> str:
    """Whether an interval lies on the wanted side of a limit."""
    if at_most is not None:
        return "yes" if high <= at_most else "no" if low > at_most else "undecided"
    assert at_least is not None
    return "yes" if low >= at_least else "no" if high < at_least else "undecided"


def _missing(goal: str, limit: str, row: Mapping[str, Any] | None) -> Goal:
    """The line of a goal without a number: the failure that kept it away, or that it was not
    run."""
    failures = [row["failed"]] if row and "failed" in row else []
    failures += [
        f"{name}: {v['failed']}"
        for name, v in (row or {}).get("variants", {}).items()
        if "failed" in v
    ]
    return Goal(goal, limit, "; ".join(failures) or "its scenario was not run", "not measured")


def _headline(families: Families) -> dict[str, Any] | None:
    return next((row for row in rows(families, "adapter-step") if row.get("headline")), None)


def _step(families: Families) -> Iterator[Goal]:
    row = _headline(families)
    for goal, limit, name, bound in (
        ("adapter step / (base step x FLOP ratio)", "<= 1.10 on a GPU", "adapter / base", 1.10),
        ("adapter step / naive step", "< 1", "adapter / naive", 1.0),
    ):
        if row is None or name not in row.get("ratios", {}):
            yield _missing(goal, limit, row)
            continue
        value = scaled(row["ratios"][name], 1 / row["flop_ratio"] if name.endswith("base") else 1.0)
        yield Goal(
            f"{goal}, {row['scenario']}",
            limit,
            typeset(value),
            verdict(value.low, value.high, at_most=bound),
        )


def _memory(families: Families) -> Iterator[Goal]:
    row, limit = _headline(families), "its weights + 5 % of the base's activations"
    found = {name: v.get("memory") for name, v in (row or {}).get("variants", {}).items()}
    if row is None or not (found.get("base") and found.get("adapter")):
        yield _missing("adapter's extra peak memory", limit, row)
        return
    share = found["adapter"]["working"] / found["base"]["working"] - 1
    measured = f"its weights + {share:.1%} of the base's activations"
    yield Goal(
        f"adapter's extra peak memory, {row['scenario']}",
        limit,
        measured,
        verdict(share, share, at_most=0.05),
    )


def _faster(families: Families) -> Iterator[Goal]:
    """Of a GPU: the quickest of the variants that change no output."""
    for row in rows(families, "faster-step"):
        scenario, ratios = row["scenario"], row.get("ratios", {})
        if scenario.startswith("sd15 256") and ratios:
            name, found = min(ratios.items(), key=lambda item: float(item[1]["value"]))
            times = Ratio(*(1 / found[end] for end in ("value", "high", "low")), *scaled(found)[3:])
            reached = verdict(times.low, times.high, at_least=1.5)
            variant = name.removesuffix(" / plain")
            yield Goal(
                f"a step as fast as {variant}, {scenario}",
                ">= 1.5 x plain",
                typeset(times, 2),
                reached,
            )
        rates = {
            name.removesuffix(": TFLOP/s"): rate
            for name, rate in row.get("values", {}).items()
            if name.endswith(": TFLOP/s")
        }
        if scenario.startswith("sd15 512") and rates:
            name = max(rates, key=lambda key: rates[key])
            limit = CARD_SHARE * CARD
            yield Goal(
                f"share of the card, {name}, {scenario}",
                f">= {limit:.0f} TFLOP/s, {CARD_SHARE} of an H100's {CARD}",
                f"{rates[name]:.0f} TFLOP/s",
                verdict(rates[name], rates[name], at_least=limit),
            )


def _judging(families: Families) -> Iterator[Goal]:
    found = rows(families, "judging")
    for row in found or [None]:
        if row is None or not row.get("ratios"):
            yield _missing("measuring all metrics against the usual way", ">= 3 x", row)
            continue
        value = scaled(row["ratios"]["one pass a metric / all together"])
        reached = verdict(value.low, value.high, at_least=3)
        yield Goal(
            f"measuring all {row['metrics']} metrics, {row['scenario']}",
            ">= 3 x",
            typeset(value, 2),
            reached,
        )


def _frechet(families: Families) -> Iterator[Goal]:
    limit = ">= 10 x, relative error <= 1e-8"
    found = [row for row in rows(families, "frechet") if "variants" in row]
    for row in found or [None]:
        if row is None or "sqrtm / here" not in row.get("ratios", {}):
            yield _missing("Fréchet distance against scipy", limit, row)
            continue
        value, error = (
            scaled(row["ratios"]["sqrtm / here"]),
            row["variants"]["here"]["relative_error"],
        )
        reached = verdict(value.low, value.high, at_least=10) if error <= 1e-8 else "no"
        yield Goal(
            row["scenario"], limit, f"{typeset(value, 1)}, relative error {error:.0e}", reached
        )


def _value(families: Families, goal: str, key: str, bound: float, form: str) -> Iterator[Goal]:
    limit = f"<= {form.format(bound)}"
    row = next(
        (row for row in rows(families, "harness") if row["scenario"].startswith("sweep")), None
    )
    if row is None or key not in row.get("values", {}):
        yield _missing(goal, limit, row)
        return
    value = row["values"][key]
    yield Goal(goal, limit, form.format(value), verdict(value, value, at_most=bound))


def _help(families: Families) -> Iterator[Goal]:
    goal, limit = "python -m eval --help", "<= 0.5 s"
    row = next((row for row in rows(families, "harness") if row["scenario"] == goal), None)
    seconds = (row or {}).get("variants", {}).get("help", {}).get("seconds")
    if row is None or not seconds:
        yield _missing(goal, limit, row)
        return
    processor = row["values"]["processor s"]
    measured = f"{quantile(seconds, 0.5):.2f} s median, {processor:.2f} s of processor time"
    yield Goal(goal, limit, measured, verdict(min(seconds), max(seconds), at_most=0.5))
