"""Names for code: built in, installed (an entry point), registered in this process, or one's own,
``module:name``, found on the import path, to whose end the suite file's folder is added.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from eval.errors import EvalError, Stop, nearest, reason_of

Found = TypeVar("Found")

_folder: str | None = None
_imported: dict[str, ModuleType] = {}


def add_folder(folder: Path) -> None:
    """Puts the folder of a suite file at the end of the import path, in place of the one added
    before. Modules of one's own that came from that one are forgotten, so that a module of the same
    name beside another suite file is not mistaken for it.
    """
    global _folder
    new = str(folder.resolve())
    if new == _folder:
        return
    if _folder is not None:
        for name, module in list(_imported.items()):
            if Path(getattr(module, "__file__", None) or "").parent == Path(_folder):
                sys.modules.pop(name, None)
                del _imported[name]
        if _folder in sys.path:
            sys.path.remove(_folder)
    _folder = None
    if new not in sys.path:
        sys.path.append(new)
        _folder = new


def import_own(name: str, what: str) -> ModuleType:
    """The module of this name.

    Args:
        name: dotted name of a module.
        what: beginning of error messages, e.g. ``method 'my_methods:Slow'``.

    Raises:
        EvalError: there is no such module, or importing it fails.
    """
    if not is_dotted(name):
        raise EvalError(f"{what}: '{name}' is no module name; expected module:name")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise EvalError(
            f"{what}: no module '{error.name}'; put it beside the suite file, or install it"
        ) from error
    except (EvalError, Stop):
        raise
    except BaseException as error:  # sys.exit() too must not end this process
        raise EvalError(f"{what}: importing it fails with {reason_of(error)}") from error
    _imported.setdefault(name, module)
    return module


def is_dotted(name: str) -> bool:
    """Whether it is a dotted name, as of a module."""
    return all(part.isidentifier() for part in name.split("."))


def is_reference(text: str) -> bool:
    """Whether it is of the form ``module:name``."""
    module, colon, name = text.partition(":")
    return bool(colon) and name.isidentifier() and is_dotted(module)


def find_own(reference: str, what: str, form: str = "module:name") -> Any:
    """What ``module:name`` names.

    Raises:
        EvalError: another form, no such module, or no such name in it; the message says which file
            the module is.
    """
    if not is_reference(reference):
        raise EvalError(f"{what} is not of the form {form}")
    module_name, _, name = reference.partition(":")
    module = import_own(module_name, what)
    if not hasattr(module, name):
        raise EvalError(
            f"{what}: '{module_name}' has no '{name}' (it is {place_of(module)})."
            f"{nearest(name, dir(module))}"
        )
    return getattr(module, name)


def place_of(module: ModuleType) -> str:
    """The file of a module, for messages."""
    return str(getattr(module, "__file__", None) or "built in")


@cache
def installed(group: str) -> Mapping[str, str]:
    """Name -> ``module:name`` of every entry point of a group.

    Raises:
        EvalError: two packages give different code the same name.
    """
    found: dict[str, str] = {}
    for point in entry_points(group=group):
        if found.setdefault(point.name, point.value) != point.value:
            raise EvalError(
                f"entry points {group}: '{point.name}' is {found[point.name]} and {point.value}; "
                "uninstall one of the two packages"
            )
    return found


class Registry:
    """Names of one kind of code -> where it is. Nothing is imported before it is asked for.

    Args:
        kind: for messages, e.g. ``method``.
        group: of the entry points that add names.
        built_in: name -> ``module:name``.
        form: of a reference, for messages.
    """

    def __init__(
        self, kind: str, group: str, built_in: Mapping[str, str], form: str = "module:Class"
    ) -> None:
        self.kind = kind
        self.group = group
        self.form = form
        self._targets = dict(built_in)
        self._objects: dict[str, Any] = {}

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted({*self._targets, *self._objects, *installed(self.group)})

    def add(self, name: str, target: str) -> None:
        """Makes ``target``, ``module:name``, known by a plain name.

        Raises:
            EvalError: the name stands for something else already, or the target has another form.
        """
        if ":" in name or not is_reference(target):
            raise EvalError(
                f"{self.kind} '{name}': register a plain name and a target '{self.form}', not "
                f"'{target}'"
            )
        if self._targets.get(name, target) != target or name in self._objects:
            known = self._targets.get(name, "another")
            raise EvalError(
                f"{self.kind} '{name}' is registered as '{known}' already; choose another name"
            )
        self._targets[name] = target

    def named(self, name: str) -> Callable[[Found], Found]:
        """A decorator that makes a class or function known by a plain name in this process.

        Raises:
            EvalError: the name stands for something else already.
        """
        if ":" in name or not name.strip():
            raise EvalError(f"{self.kind} '{name}': register a plain name, without ':'")

        def register(found: Found) -> Found:
            def identity(each: Any) -> tuple[str, str]:
                return getattr(each, "__module__", ""), getattr(each, "__qualname__", repr(each))

            known = self._objects.get(name)
            if name in self._targets or (known and identity(known) != identity(found)):
                where = self._targets.get(name) or ":".join(identity(known))
                raise EvalError(
                    f"{self.kind} '{name}' is registered as '{where}' already; choose another name"
                )
            self._objects[name] = found
            return found

        return register

    def find(self, name: str) -> Any:
        """The class or function of a known name, or of ``module:name``.

        Raises:
            EvalError: an unknown name, with the nearest valid one, or code that cannot be imported.
        """
        what = f"{self.kind} '{name}'"
        if name in self._objects:
            return self._objects[name]
        target = self._targets.get(name) or installed(self.group).get(name)
        if target is None and ":" not in name:
            known = self.names()
            raise EvalError(
                f"unknown {self.kind} '{name}'. Allowed: {', '.join(known)}, or "
                f"{self.form}.{nearest(name, known)}"
            )
        return find_own(target or name, what, self.form)
