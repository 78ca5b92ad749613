"""Reads a suite file and resolves every name in it into a plan."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eval import device as devices
from eval.errors import EvalError, NotServedError, nearest
from eval.io.registry import add_folder
from eval.io.validation import validated
from eval.measure.catalogue import parse_metric
from eval.methods import load_method, method_on_base, takes_base
from eval.methods.base import Base, World, read_base
from eval.methods.base_sampling import check_factors, check_settings
from eval.methods.guard import foreign
from eval.metrics import Metric
from eval.plan.cells import Cell, Plan
from eval.plan.limits import MOST_CELLS, check_lengths, check_material, check_size
from eval.plan.suite import MethodEntry, Suite, load_suite
from eval.plan.sweeping import value_of, with_swept
from eval.samples import Sample, load_samples
from eval.samples.input_images import stretching
from eval.world.truth import scene_of


def make_plan(
    path: Path,
    changes: Mapping[str, Any] | None = None,
    *,
    max_cells: int = MOST_CELLS,
    here: bool = True,
) -> Plan:
    """Reads a suite file and resolves every name in it.

    Args:
        path: of the suite file.
        changes: see :func:`eval.plan.suite.load_suite`. Where they give a base, the cells that it
            cannot serve are left out and named; otherwise such a cell is an error.
        max_cells: a suite of more cells is refused before any is made.
        here: whether clips are made on this machine, which then must have the device.

    Raises:
        EvalError: one line naming file, key, value and what is allowed.
    """
    suite = load_suite(path, changes)
    if here:
        devices.check(suite.device, suite.dtype)
    check_size(suite, path, max_cells)
    add_folder(path.resolve().parent)
    metrics = [
        _metric(identifier, f"{path}: metrics[{index}]")
        for index, identifier in enumerate(suite.metrics)
    ]
    _check_metrics(metrics, path)
    suite = suite.model_copy(update={"metrics": [metric.id for metric in metrics]})
    stated = list(_cells(suite, path))
    if here:
        _check_placement(stated, path)
    cells, notes = _servable(stated, path, changed="base" in (changes or {}))
    if notes and suite.reference not in {cell.id for cell in cells}:
        suite = suite.model_copy(update={"reference": None})
    if suite.reference is not None and suite.reference not in {cell.id for cell in cells}:
        ids = [cell.id for cell in cells]
        hint = nearest(suite.reference, ids)
        raise EvalError(
            f"{path}: reference: no cell '{suite.reference}'. Allowed: {', '.join(ids)}.{hint}"
        )
    samples = load_samples(suite.samples, folder=path.resolve().parent, where=f"{path}: samples")
    _check_images(samples, cells, path)
    _check_true_clips(samples, metrics, cells, path)
    _check_truth(samples, metrics, path)
    check_material(suite, samples, metrics, path)
    check_lengths(cells, metrics, path)
    coverage = _coverage(suite, samples, cells, path)
    notes = (*notes, *samples.notes, *stretching(samples, cells))
    return Plan(suite, samples, cells, metrics, coverage, notes=notes)


def _metric(identifier: str, where: str) -> Metric:
    try:
        return parse_metric(identifier)
    except EvalError as error:
        raise EvalError(f"{where}: {error}") from error


def _check_metrics(metrics: Sequence[Metric], path: Path) -> None:
    ids = [metric.id for metric in metrics]
    for index, id in enumerate(ids):
        if id in ids[:index]:
            raise EvalError(f"{path}: metrics[{index}]: '{id}' is listed twice")


def _cells(suite: Suite, path: Path) -> Iterator[Cell]:
    seen: dict[str, int] = {}
    for index, entry in enumerate(suite.methods):
        for cell in _entry_cells(suite, entry, index, path):
            if cell.id in seen:
                first = f"methods[{seen[cell.id]}]"
                raise EvalError(
                    f"{path}: methods[{index}]: cell '{cell.id}' is in {first} already; give it a "
                    "label"
                )
            seen[cell.id] = index
            yield cell


def _coverage(
    suite: Suite, samples: Sequence[Sample], cells: Sequence[Cell], path: Path
) -> dict[str, list[tuple[Sample, int]]] | None:
    """Cell id -> pairs, where an entry asks for some of the samples; None if none does."""
    if all(entry.groups is None and entry.limit is None for entry in suite.methods):
        return None
    members: dict[str, list[Sample]] = {}
    for sample in samples:
        members.setdefault(sample.group, []).append(sample)
    coverage: dict[str, list[tuple[Sample, int]]] = {}
    for index, entry in enumerate(suite.methods):
        for group in entry.groups or ():
            if group not in members:
                where = f"{path}: methods[{index}].groups"
                raise EvalError(
                    f"{where}: no group '{group}'. Allowed: "
                    f"{', '.join(members)}.{nearest(group, members)}"
                )
        chosen = {
            sample.id
            for group in entry.groups or members
            for sample in members[group][: entry.limit]
        }
        pairs = [(s, seed) for s, seed in itertools.product(samples, suite.seeds) if s.id in chosen]
        coverage |= {cell.id: pairs for cell in cells if cell.entry == index}
    return coverage


def _entry_cells(suite: Suite, entry: MethodEntry, index: int, path: Path) -> Iterator[Cell]:
    where = f"{path}: methods[{index}]"
    try:
        method: Any = load_method(entry.method)
    except EvalError as error:
        raise EvalError(f"{where}.method: {error}") from error
    base, base_key = _base(suite, entry, where, path)
    settings_model = method.Settings
    folder = path.resolve().parent
    if base is not None:
        method, settings_model = method_on_base(entry.method, base)
    label = entry.label or entry.method
    own = {} if base is None else base.settings_of(settings_model)
    places = {
        key: f"{base_key}.settings" for key in own if key not in {*entry.settings, *entry.sweep}
    }
    for values in itertools.product(*entry.sweep.values()):
        swept = dict(zip(entry.sweep, values, strict=True))
        chosen = with_swept(own | entry.settings, swept, f"{where} ({label})")
        with foreign(f"{where} ({label}): building it"):
            settings = validated(
                settings_model,
                chosen,
                where=f"{where} ({label})",
                context={"folder": folder},
                places=places,
            )
            check_factors(base, settings, {*entry.settings, *entry.sweep}, f"{where} ({label})")
            dump = settings.model_dump(mode="json")
            instance = method(settings)
        name = ",".join(f"{key}={value_of(dump, key)}" for key in swept)
        if getattr(instance, "takes_device", False):
            instance.to(suite.device, suite.dtype)
        yield Cell(
            f"{label}[{name}]" if swept else label,
            label,
            entry.method,
            dump,
            instance,
            index,
            None if base is None else base.model_dump(mode="json", exclude_defaults=True),
        )


def _base(
    suite: Suite, entry: MethodEntry, where: str, path: Path
) -> tuple[Base | World | None, str]:
    """The base of one of the suite's methods, None for the glyph world that comes with the package
    or a method without; and where it is stated, for messages.
    """
    folder = path.resolve().parent
    if entry.base is not None:
        if not takes_base(entry.method):
            raise EvalError(f"{where}.base: method '{entry.method}' takes no base; remove it")
        key = f"{where}.base"
        base = read_base(entry.base, folder, key)
    elif takes_base(entry.method):
        key = f"{path}: base"
        base = read_base(suite.base, folder, key)
    else:
        return None, ""
    if isinstance(base, Base):
        check_settings(base, key)
    return base, key


def _servable(
    cells: list[Cell], path: Path, *, changed: bool
) -> tuple[list[Cell], tuple[str, ...]]:
    """The cells whose base has all the parts that they need, so that their fingerprint is known.
    With `changed` the other cells are left out, and a note names them.
    """
    kept: list[Cell] = []
    left_out: dict[str, list[str]] = {}
    for cell in cells:
        try:
            if not cell.fingerprint:
                raise EvalError(f"cell {cell.id}: its fingerprint is empty")
            kept.append(cell)
        except NotServedError as error:
            if not changed:
                raise type(error)(f"{path}: cell {cell.id}: {error}") from error
            left_out.setdefault(str(error), []).append(cell.id)
        except EvalError as error:
            raise type(error)(f"{path}: {error}") from error
    if not kept:
        raise EvalError(f"{path}: the base serves none of its cells; {next(iter(left_out))}")
    return kept, tuple(f"left out {', '.join(ids)}: {why}" for why, ids in left_out.items())


def _check_placement(cells: Sequence[Cell], path: Path) -> None:
    """Whether this machine has the device and can compute in the precision of every cell."""
    for cell in cells:
        if hasattr(cell.instance, "check_placement"):
            try:
                cell.instance.check_placement()
            except EvalError as error:
                where = f"{path}: methods[{cell.entry}] ({cell.label})"
                raise EvalError(f"{where}: {error}") from error


def _check_images(samples: Sequence[Sample], cells: Sequence[Cell], path: Path) -> None:
    """Whether the methods that draw frames of one size get images of it."""
    for cell in cells:
        if hasattr(cell.instance, "check_samples"):
            try:
                cell.instance.check_samples(samples)
            except EvalError as error:
                raise EvalError(f"{path}: cell {cell.id}: {error}") from error


def _check_true_clips(
    samples: Sequence[Sample], metrics: Sequence[Metric], cells: Sequence[Cell], path: Path
) -> None:
    missing = next((sample.id for sample in samples if sample.clip is None), None)
    if missing is None:
        return
    for metric in metrics:
        if metric.scope == "set":
            raise EvalError(
                f"{path}: metrics: '{metric.id}' needs true clips, and sample '{missing}' has none"
            )
    for cell in cells:
        if cell.method == "true-clip":
            raise EvalError(
                f"{path}: methods: 'true-clip' needs true clips, and sample '{missing}' has none"
            )


def _check_truth(samples: Sequence[Sample], metrics: Sequence[Metric], path: Path) -> None:
    needing = next((metric for metric in metrics if metric.truth), None)
    if needing is None:
        return
    for sample in samples:
        try:
            scene_of(sample)
        except EvalError as error:
            raise EvalError(f"{path}: metrics: '{needing.id}': {error}") from error
