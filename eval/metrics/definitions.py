"""What a metric is: its definition (what is computed, from what, in which unit, who defined it) and
its formula, registered together by `metric`.

Every file of this package defines its metrics at its end, so a new metric is a new file.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, get_args

from eval.errors import EvalError, nearest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from eval.clips.lossless import Clip
    from eval.samples import Sample

EncoderKind = Literal[
    "image", "image-text", "flow", "pixels", "perceptual", "quality", "style", "video"
]
"""What an encoder looks at; tables list metrics in this order."""
Scope = Literal["clip", "set"]
Need = Literal["image", "prompt"]
View = Literal["standard", "uncropped", "sampled", "half"]
"""How an encoder is shown a clip.

- ``standard``: all frames, or all consecutive pairs, with the encoder's own preprocessing;
- ``uncropped``: short side to the encoder's size, bilinear, no antialiasing, no crop;
- ``sampled``: every max(1, round(fps / 8))-th frame, pairs of neighbours among those;
- ``half``: frames at half their size (2 x 2 averages), in values of [0, 1].
"""


@dataclass(frozen=True, kw_only=True)
class Definition:
    """What all metrics of one name share, whatever encoder they use.

    Attributes:
        name: first part of the metric id; a published protocol's name starts with who published it.
        kind: kind of encoder whose features it reads.
        unit: of the value.
        higher_is_better: None where neither direction is better.
        description: one sentence that defines the value.
        source: protocol or paper the definition comes from.
        scope: ``clip`` for one value per clip, ``set`` for one value per set of clips.
        needs: what of a sample the formula reads; clips without it are not measured.
        view: how the encoder is shown the clip.
        preprocessing: what the formula itself does to frames or features first; empty for nothing.
        published: the encoder of the published protocol; values with another encoder do not
            compare with it. None for definitions of this suite.
        caution: what a reader must know before trusting the value.
        truth: whether samples must bring the glyph world's ground truth.
        versions: frozen protocol versions, the newest last.
    """

    name: str
    kind: EncoderKind
    unit: str
    higher_is_better: bool | None
    description: str
    source: str
    scope: Scope = "clip"
    needs: tuple[Need, ...] = ()
    view: View = "standard"
    preprocessing: str = ""
    published: str | None = None
    caution: str = ""
    truth: bool = False
    versions: tuple[str, ...] = ("v1",)


@dataclass(frozen=True)
class Metric:
    """One number of the suite.

    Attributes:
        id: ``<family>.<encoder>.<version>``.
        family: name of the definition.
        encoder: id of the encoder whose features it reads.
        version: frozen protocol version, for example ``v1``.
        scope: ``clip`` for one value per clip, ``set`` for one value per set of clips.
        unit: unit of the value, for axis labels and tables.
        higher_is_better: None where neither direction is better (amount of motion).
        description: one sentence that defines the value.
        source: protocol or paper the definition comes from.
        view: how the encoder is shown the clip, see `View`.
        truth: whether samples must bring the glyph world's ground truth.
        needs: what of a sample it reads besides the clip.
    """

    id: str
    family: str
    encoder: str
    version: str
    scope: Scope
    unit: str
    higher_is_better: bool | None
    description: str
    source: str
    view: View = "standard"
    truth: bool = False
    needs: tuple[Need, ...] = ()


class Features(Protocol):
    """What a formula is given: one clip as its encoder sees it. Each feature is computed when it is
    first asked for, and only once.

    Attributes:
        clip: frames uint8 (F, H, W, 3) and rate.
        sample: what the clip was made from.
        known_styles: every style that an encoder of kind style can name.
    """

    @property
    def clip(self) -> Clip: ...
    @property
    def sample(self) -> Sample: ...
    @property
    def known_styles(self) -> Sequence[str]: ...

    def image(self) -> NDArray[np.float32]:
        """Feature (D,) of the input image; encoders of kind image and image-text."""
        ...

    def prompt(self) -> NDArray[np.float32]:
        """Feature (D,) of the prompt; encoders of kind image-text."""
        ...

    def frames(self) -> NDArray[np.float32]:
        """Features (F, D) of the frames; encoders of kind image and image-text."""
        ...

    def distances(self) -> NDArray[np.float32]:
        """Distances (F,) of the frames from the input image; encoders of kind perceptual."""
        ...

    def quality(self) -> float:
        """Score of the clip; encoders of kind quality."""
        ...

    def styles(self) -> list[str]:
        """The most probable style of each frame; encoders of kind style."""
        ...

    def flow(self, direction: Literal["forward", "backward"] = "forward") -> NDArray[np.float32]:
        """Flow (P, H, W, 2) in px between neighbours; encoders of kind flow."""
        ...

    def values(self) -> NDArray[np.float64]:
        """The frames in [0, 1], float64 (F, H, W, 3), at the size of the definition's view."""
        ...


Formula = Callable[..., Any]
"""Of scope ``clip``: `Features` -> a number, or a mapping from definition name to number.

Of scope ``set``: features (R, D) of the reference clips and (N, D) of the generated ones -> a
number.
"""
Made = TypeVar("Made", bound=Formula)


@dataclass(frozen=True)
class SetSteps:
    """What a set metric does around its formula.

    Attributes:
        prepare: (R, D) and (N, D) -> both in a form that is cheaper and changes no value.
        notes: (R, D) and (N, D), prepared, the number of input images, and D before preparation ->
            remarks that a reader must see beside the value.
    """

    prepare: Callable[[Any, Any], tuple[Any, Any]] | None = None
    notes: Callable[[Any, Any, int, int], list[str]] | None = None


@dataclass(frozen=True)
class Registered:
    """A definition with its formula.

    Attributes:
        definition: its name is the first part of metric ids: plain, or ``module:name``.
        formula: see `Formula`.
        module: where it is defined.
        steps: of a set metric.
    """

    definition: Definition
    formula: Formula
    module: str
    steps: SetSteps = field(default_factory=SetSteps)

    def value(self, result: Any) -> float:
        """The value of this definition in what the formula returned."""
        if isinstance(result, Mapping):
            result = result[self.definition.name.rpartition(":")[2]]
        return float(result)


BUILT_IN = "eval."
"""Beginning of the modules whose metrics have plain names."""
_PLAIN: dict[str, Registered] = {}
_OWN: dict[str, Registered] = {}


def metric(*definitions: Definition, steps: SetSteps = SetSteps()) -> Callable[[Made], Made]:
    """Registers the decorated formula under one or more definitions.

    A metric of one's own is named ``module:name`` in a suite; an entry point of the group
    ``i2v_eval.metrics`` makes its plain name known.

    Args:
        definitions: where they differ in value, the formula returns a mapping from their names.
        steps: of a set metric.

    Raises:
        EvalError: a definition that cannot be (its name, its encoder kind), or a name that is
            taken by a metric of the suite.

    Example:
        >>> @metric(
        ...     Definition(
        ...         name="brightness",
        ...         kind="pixels",
        ...         unit="share of range",
        ...         higher_is_better=None,
        ...         description="Mean pixel value, divided by 255.",
        ...         source="This example",
        ...     )
        ... )
        ... def brightness(features: Features) -> float:
        ...     return float(features.clip.frames.mean() / 255)
    """
    for definition in definitions:
        _check(definition)

    def register(formula: Made) -> Made:
        for definition in definitions:
            module = formula.__module__
            found = Registered(definition, formula, module, steps)
            taken = _PLAIN.get(definition.name)
            if taken and taken.module != module:
                raise EvalError(
                    f"metric '{definition.name}' of module '{module}': '{taken.module}' defines a "
                    "metric of this name already; choose another"
                )
            if module.startswith(BUILT_IN):
                _PLAIN[definition.name] = found
            else:
                name = f"{module}:{definition.name}"
                _OWN[name] = replace(found, definition=replace(definition, name=name))
        return formula

    return register


def _check(definition: Definition) -> None:
    name = definition.name
    if not all(part.isidentifier() for part in name.split(".")):
        raise EvalError(
            f"metric '{name}': its name must be letters, digits and '_', no digit first, with '.' "
            "between who published it and the name"
        )
    for attribute, allowed in (("kind", EncoderKind), ("scope", Scope), ("view", View)):
        value = getattr(definition, attribute)
        if value not in get_args(allowed):
            raise EvalError(
                f"metric '{name}': {attribute} is {value!r}; allowed: "
                f"{', '.join(get_args(allowed))}.{nearest(str(value), get_args(allowed))}"
            )
    if definition.higher_is_better not in (True, False, None):
        raise EvalError(
            f"metric '{name}': higher_is_better is {definition.higher_is_better!r}; give True, "
            "False, or None where neither direction is better"
        )
    if not definition.versions or not all(v.isalnum() for v in definition.versions):
        raise EvalError(
            f"metric '{name}': versions are {definition.versions!r}; give one or more like 'v1'"
        )


def load_package() -> None:
    """Imports every file of this package, so that its metrics are registered."""
    package = importlib.import_module("eval.metrics")
    for found in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"eval.metrics.{found.name}")


def plain_metrics() -> dict[str, Registered]:
    """The metrics registered under a plain name so far, sorted by kind of encoder, the suite's own
    before published ones."""
    kinds = get_args(EncoderKind)
    ordered = sorted(
        _PLAIN.items(), key=lambda item: (kinds.index(item[1].definition.kind), "." in item[0])
    )
    return dict(ordered)


def own_metric(reference: str) -> Registered | None:
    """The metric registered by ``module`` as ``name``, given ``module:name``; None if there is no
    such one. The module must be imported."""
    return _OWN.get(reference)


def make_plain(name: str, reference: str) -> None:
    """Makes a metric of one's own known by its plain name.

    Raises:
        EvalError: no such metric, or another one has the name.
    """
    found = _OWN.get(reference)
    if found is None:
        raise EvalError(f"metric '{name}': '{reference}' registers no metric of this name")
    plain = replace(found, definition=replace(found.definition, name=name))
    if _PLAIN.setdefault(name, plain) != plain:
        raise EvalError(
            f"metric '{name}' of '{reference}': '{_PLAIN[name].module}' defines a metric of this "
            "name already"
        )
