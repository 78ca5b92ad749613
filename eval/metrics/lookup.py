"""Finds registered metrics by name and version."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import get_args

from eval.errors import EvalError
from eval.metrics.definitions import OWN, PLAIN, EncoderKind, Registered


def load_package() -> None:
    """Imports every file of this package, so that its metrics are registered."""
    package = importlib.import_module("eval.metrics")
    for found in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"eval.metrics.{found.name}")


def plain_metrics() -> dict[str, Registered]:
    """The newest version of each metric registered under a plain name so far, sorted by kind of
    encoder, the suite's own before published ones."""
    kinds = get_args(EncoderKind)
    newest = {name: versions[newest_version(versions)] for name, versions in PLAIN.items()}
    ordered = sorted(
        newest.items(), key=lambda item: (kinds.index(item[1].definition.kind), "." in item[0])
    )
    return dict(ordered)


def registered_versions(name: str) -> dict[str, Registered]:
    """The versions registered of a plain name or of ``module:name``; empty if there are none."""
    return dict(PLAIN.get(name) or OWN.get(name) or {})


def newest_version(versions: Iterable[str]) -> str:
    """The one with the highest number; variants (``noaa.v1``) only where there is nothing else."""

    def order(version: str) -> tuple[bool, int]:
        variant, _, number = version.rpartition("v")
        return not variant, int(number)

    return max(versions, key=order)


def own_metric(reference: str) -> Registered | None:
    """The metric registered by ``module`` as ``name``, given ``module:name``; None if the module as
    it is now imported registers no such one."""
    versions = OWN.get(reference)
    if not versions:
        return None
    found = versions[newest_version(versions)]
    return found if found.home is sys.modules.get(found.module) else None


def make_plain(name: str, reference: str) -> None:
    """Makes a metric of one's own known by its plain name.

    Raises:
        EvalError: no such metric, or another one has the name.
    """
    found = OWN.get(reference)
    if found is None:
        raise EvalError(f"metric '{name}': '{reference}' registers no metric of this name")
    plain = {
        version: replace(one, definition=replace(one.definition, name=name))
        for version, one in found.items()
    }
    taken = PLAIN.setdefault(name, plain)
    if taken != plain:
        module = next(iter(taken.values())).module
        raise EvalError(
            f"metric '{name}' of '{reference}': '{module}' defines a metric of this name already"
        )
