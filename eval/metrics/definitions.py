"""What a metric is: its definition (what is computed, from what, in which unit, who defined it) and
its formula, registered together by `metric`.

Every file of this package defines its metrics at its end, so a new metric is a new file.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, get_args

from eval.errors import EvalError, nearest
from eval.metrics.features import Features as Features
from eval.metrics.pairs import PairStep
from eval.metrics.views import View

if TYPE_CHECKING:
    from eval.samples import Sample

EncoderKind = Literal[
    "image",
    "image-text",
    "flow",
    "tracks",
    "pixels",
    "perceptual",
    "quality",
    "frame-score",
    "interpolation",
    "judge",
    "style",
    "video",
]
"""What an encoder looks at; tables list metrics in this order."""
Scope = Literal["clip", "set"]
Need = Literal["image", "prompt", "clip"]
"""What of a sample a formula reads: the input image, the prompt, the true clip."""


@dataclass(frozen=True, kw_only=True)
class Definition:
    """What all metrics of one name share, with any encoder.

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
        also: further encoders that the catalogue lists it with; their values do not compare with
            published ones.
        protocols: where there are several published protocols, which; else empty.
        cannot_see: changes of a clip that leave the value as it is, never empty.
        caution: what a reader must know before trusting the value.
        truth: whether samples must bring the glyph world's ground truth.
        versions: frozen protocol versions that this definition is, the newest last: ``v1``, ``v2``,
            or of a variant beside them ``noaa.v1``. Definitions of one name in other versions may
            be registered beside it.
        about: which samples the value is about, by sample; the others are not measured. None: all.
        frames: the fewest frames of a clip that has a value; a suite of shorter clips is refused.
        encoder_revision: revision of the encoders' preprocessing (`EncoderEntry.revision`) that
            these versions were made with; with encoders revised since, they are refused, and the
            newest definition counts as the next version.

    Examples:
        >>> from eval.measure.catalogue import find_definition
        >>> find_definition("flicker").definition.unit
        'share of range'
    """

    name: str
    kind: EncoderKind
    unit: str
    higher_is_better: bool | None
    description: str
    source: str
    cannot_see: str
    scope: Scope = "clip"
    needs: tuple[Need, ...] = ()
    view: View = "standard"
    preprocessing: str = ""
    published: str | None = None
    also: tuple[str, ...] = ()
    protocols: str = ""
    caution: str = ""
    truth: bool = False
    versions: tuple[str, ...] = ("v1",)
    about: Callable[[Sample], bool] | None = None
    frames: int = 2
    encoder_revision: int = 2


@dataclass(frozen=True)
class Metric:
    """One number of the suite.

    Attributes:
        id: ``<family>.<encoder>.<version>``.
        family: name of the metric's definition, the first part of its id: all metrics of a family
            compute the same, each with its own encoder.
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
        selective: whether it is about some samples only; see `eval.measure.catalogue.applies`.

    Examples:
        >>> from eval import parse_metric
        >>> parse_metric("motion.flow_dis.v1").unit
        'frame sizes/s'
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
    selective: bool = False


Formula = Callable[..., Any]
"""Of scope ``clip``: `Features` -> a number, or a mapping from definition name to number.

Of scope ``set``: features (R, D) of the reference clips and (N, D) of the generated ones -> a
number.
"""
Made = TypeVar("Made", bound=Formula)


class SetNotes(NamedTuple):
    """What a reader must see beside the value of a set metric.

    Attributes:
        bias_corrected: the value without its bias; nan where there is none.
        cautions: codes of `eval.summary.cautions` (or of the metric's own) with their fields.
    """

    bias_corrected: float
    cautions: Sequence[tuple[str, Mapping[str, int]]]


@dataclass(frozen=True)
class SetSteps:
    """What a set metric does around its formula.

    Attributes:
        features: `Features` of a clip -> what is compared of it, (D,); None: the vector of an
            encoder of kind ``video``. Set metrics of one encoder share it.
        prepare: (R, D) and (N, D) -> both in a form that is cheaper and changes no value.
        notes: (R, D) and (N, D), prepared, the number of input images, and D before preparation ->
            what a reader must see beside the value.
    """

    features: Callable[[Features], Any] | None = None
    prepare: Callable[[Any, Any], tuple[Any, Any]] | None = None
    notes: Callable[[Any, Any, int, int], SetNotes] | None = None


@dataclass(frozen=True)
class Registered:
    """A definition with its formula.

    Attributes:
        definition: its name is the first part of metric ids: plain, or ``module:name``.
        formula: see `Formula`.
        module: where it is defined.
        steps: of a set metric.
        pairs: of a flow metric, what its formula asks `Features.over_pairs` for.
        home: the module itself, as it was when the metric was registered.
    """

    definition: Definition
    formula: Formula
    module: str
    steps: SetSteps = field(default_factory=SetSteps)
    home: Any = None
    pairs: PairStep | None = None

    def value(self, result: Any) -> float:
        """The value of this definition in what the formula returned."""
        name = self.definition.name.rpartition(":")[2]
        if isinstance(result, Mapping):
            if name not in result:
                raise EvalError(
                    f"metric '{self.definition.name}': the formula's mapping lacks '{name}'; it "
                    f"has {', '.join(map(str, result)) or 'nothing'}"
                )
            result = result[name]
        try:
            return float(result)
        except (TypeError, ValueError) as error:
            raise EvalError(
                f"metric '{self.definition.name}': the formula gives a {type(result).__name__}, "
                "not a number"
            ) from error


_VERSION = re.compile(r"([a-z][a-z0-9]*\.)?v([1-9][0-9]*)")

BUILT_IN = "eval."
"""Beginning of the modules whose metrics have plain names."""
PLAIN: dict[str, dict[str, Registered]] = {}
"""Metrics of the suite, and those of entry points: name -> version -> definition and formula."""
OWN: dict[str, dict[str, Registered]] = {}
"""Metrics of one's own: ``module:name`` -> version -> definition and formula."""


def metric(
    *definitions: Definition, steps: SetSteps = SetSteps(), pairs: PairStep | None = None
) -> Callable[[Made], Made]:
    """Registers the decorated formula under one or more definitions.

    A metric of one's own is named ``module:name`` in a suite; an entry point of the group
    ``i2v_eval.metrics`` makes its plain name known.

    Args:
        definitions: where they differ in value, the formula returns a mapping from their names.
        steps: of a set metric.
        pairs: of a flow metric that asks `Features.over_pairs` for it: steps of all metrics of a
            clip are then taken in one pass.

    Raises:
        EvalError: a definition that cannot be (its name, its encoder kind), or a name that is
            taken by a metric of the suite.

    Examples:
        >>> @metric(
        ...     Definition(
        ...         name="brightness",
        ...         kind="pixels",
        ...         unit="share of range",
        ...         higher_is_better=None,
        ...         description="Mean pixel value, divided by 255.",
        ...         source="This example",
        ...         cannot_see="Where in a frame a pixel is, and when.",
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
            found = Registered(definition, formula, module, steps, sys.modules.get(module), pairs)
            taken = next(iter(PLAIN.get(definition.name, {}).values()), None)
            if taken and taken.module != module:
                raise EvalError(
                    f"metric '{definition.name}' of module '{module}': '{taken.module}' defines a "
                    "metric of this name already; choose another"
                )
            if module.startswith(BUILT_IN):
                versions = PLAIN.setdefault(definition.name, {})
            else:
                name = f"{module}:{definition.name}"
                found = replace(found, definition=replace(definition, name=name))
                versions = OWN.setdefault(name, {})
                if any(other.home is not found.home for other in versions.values()):
                    versions.clear()  # of a module of this name that was imported before
            versions.update(dict.fromkeys(definition.versions, found))
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
    if not definition.cannot_see.strip():
        raise EvalError(
            f"metric '{name}': cannot_see is empty; say which changes of a clip leave the value as "
            "it is"
        )
    if not definition.versions or not all(_VERSION.fullmatch(v) for v in definition.versions):
        raise EvalError(
            f"metric '{name}': versions are {definition.versions!r}; give one or more like 'v1'"
        )
