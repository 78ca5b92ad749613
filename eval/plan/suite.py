"""The suite file: what to compare, validated, with errors that name file, key, value and what is
allowed.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from eval.device import Dtype, check, known_device
from eval.errors import EvalError, nearest
from eval.io.files import is_file
from eval.io.validation import check_values, validated
from eval.plan.sweeping import is_given

SHIPPED = Path(__file__).parents[1] / "suites"
"""Where the suites that come with the package lie; they can be named without path and suffix."""

LARGEST = 100_000
"""Values in a suite file, its aliases written out."""

Scalar = bool | int | float | str
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class MethodEntry(BaseModel):
    """One entry of ``methods``: a method, its settings, the settings to sweep (every combination is
    a cell; ``call.strength`` sweeps a value within a setting), and the samples it is given: those
    of ``groups`` (all), and of each group at most ``limit``, the first ones. ``base`` replaces the
    suite's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    method: str = Field(min_length=1)
    label: Annotated[str, Field(pattern=r"^[^\[\],=]+$", max_length=100)] | None = None
    settings: dict[str, Any] = {}
    sweep: dict[str, Annotated[list[Scalar], Field(min_length=1)]] = {}
    groups: Annotated[list[str], Field(min_length=1)] | None = None
    limit: int | None = Field(default=None, ge=1)
    base: str | dict[str, Any] | None = None

    @model_validator(mode="after")
    def _set_once(self) -> MethodEntry:
        if self.label and not self.label.isprintable():
            raise ValueError("a label is made of characters that can be printed")
        for key, values in self.sweep.items():
            texts = [key, *(value for value in values if isinstance(value, str))]
            if not all(text.isprintable() for text in texts):
                raise ValueError("a swept setting and its values must be printable")
            if is_given(self.settings, key):
                raise ValueError(f"'{key}' is in settings and in sweep; keep one")
        return self


def suite_placement(device: str, dtype: str) -> dict[str, Any]:
    """Device and dtype, where they are others than the default.

    Raises:
        EvalError: a device that is not here, or half precision on a CPU.
    """
    check(device, dtype)
    stated = {"device": device, "dtype": dtype}
    return {key: value for key, value in stated.items() if value not in ("auto", "float32")}


class Suite(BaseModel):
    """A suite as validated.

    Attributes:
        name: of the suite and of its run folder.
        samples: ``source`` and that source's settings.
        seeds: every cell makes one clip for each sample and seed.
        batch_size: clips in one call of a method; also the most that a kill can lose.
        reference: id of the cell compared with every other; None for no comparisons.
        methods: at least one.
        metrics: metric ids, at least one, none twice.
        claims: whether `eval.claims` tests the paper's claims on the run; it finds cells by
            their labels.
        base: what the paper's family of methods runs on, see `eval.methods.base.read_base`; None:
            the glyph world.
        device: where methods and encoders run, see `eval.device.resolve`.
        dtype: what they compute in, where they can; a base's own comes first.
        allow_glyph_encoders: whether the glyph world's encoders may measure other pictures, which
            they know nothing of; the report then gives no verdict.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Name
    samples: dict[str, Any]
    seeds: Annotated[list[Seed], Field(min_length=1)] = [0]
    batch_size: int = Field(default=8, ge=1, le=4096)
    reference: str | None = None
    methods: Annotated[list[MethodEntry], Field(min_length=1)]
    metrics: Annotated[list[str], Field(min_length=1)]
    claims: bool = False
    allow_glyph_encoders: bool = False
    base: str | dict[str, Any] | None = None
    device: Annotated[str, AfterValidator(known_device)] = "auto"
    dtype: Dtype = "float32"

    @property
    def placement(self) -> dict[str, Any]:
        """Device and dtype, where the suite states others than the default."""
        return suite_placement(self.device, self.dtype)

    @field_validator("seeds", "metrics")
    @classmethod
    def _no_repeats(cls, values: list[Any]) -> list[Any]:
        seen: set[Any] = set()
        for value in values:
            if value in seen:
                raise ValueError(f"'{value}' is listed twice")
            seen.add(value)
        return values


class _Loader(yaml.SafeLoader):
    """Refuses a key written twice, which YAML would let the last one win, and aliases that
    explode."""

    def construct_document(self, node: yaml.Node) -> Any:
        _count(node, {})
        return super().construct_document(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        seen: set[Any] = set()
        for key, (key_node, _) in zip(keys, node.value, strict=True):
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(
                    None, None, "found unhashable key", key_node.start_mark
                )
            if key in seen:
                problem = f"key '{key}' is written twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def _count(node: yaml.Node, known: dict[int, int | None]) -> int:
    """Values in a node, aliases written out, in time linear in the file. ``known`` holds None of a
    node in progress.
    """
    size = known.get(id(node), 0)
    if size is None:
        raise yaml.constructor.ConstructorError(
            None, None, "an alias that holds itself", node.start_mark
        )
    if size == 0:
        known[id(node)] = None
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        inner = [part for pair in pairs for part in pair] + (
            node.value if isinstance(node, yaml.SequenceNode) else []
        )
        size = known[id(node)] = 1 + sum(_count(part, known) for part in inner)
    if size > LARGEST:
        problem = f"aliases make more than {LARGEST} values of it"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    return size


def locate_suite(reference: str) -> Path:
    """The file of a suite given by path, or by the name of a shipped one.

    Raises:
        EvalError: if there is neither.
    """
    path = Path(reference)
    if is_file(path):
        return path
    shipped = {file.stem: file for file in sorted(SHIPPED.glob("*.yaml"))}
    if reference in shipped:
        return shipped[reference]
    hint = nearest(reference, shipped)
    raise EvalError(
        f"suite '{reference}': no such file, nor a shipped suite. Shipped: "
        f"{', '.join(shipped)}.{hint}"
    )


def load_suite(path: Path, changes: Mapping[str, Any] | None = None) -> Suite:
    """Reads and validates a suite file. Names of methods, metrics and sample sources are resolved
    by the plan.

    Args:
        path: of the file.
        changes: key -> value in place of the file's; ``samples.seen`` is a key within a mapping.

    Raises:
        EvalError: one line that names the file, the key, the value and what is allowed.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=_Loader)
    except OSError as error:
        raise EvalError(f"{path}: the suite file cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise EvalError(f"{path}: the suite file is not UTF-8 text") from error
    except RecursionError as error:
        raise EvalError(f"{path}: not valid YAML (nested too deeply)") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "cannot be parsed"
        raise EvalError(f"{path}{line}: not valid YAML ({problem})") from error
    if not isinstance(document, dict):
        allowed = ", ".join(Suite.model_fields)
        raise EvalError(
            f"{path}: a suite is a mapping with the keys {allowed}; this file holds "
            f"{_kind(document)}"
        )
    for key, value in (changes or {}).items():
        _change(document, key, value)
    check_values(document, str(path))
    return validated(Suite, document, where=str(path))


def _change(document: dict[Any, Any], key: str, value: Any) -> None:
    *outer, last = key.split(".")
    for name in outer:
        inner = document.setdefault(name, {})
        if not isinstance(inner, dict):
            raise EvalError(f"--set {key}: '{name}' is not a mapping in this suite")
        document = inner
    document[last] = value


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
