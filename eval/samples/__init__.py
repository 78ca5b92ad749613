"""Samples: what every method is given, and the named sources they come from."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eval.clips.lossless import Clip
from eval.errors import EvalError
from eval.io.registry import Found, Registry
from eval.io.validation import validated

if TYPE_CHECKING:
    from pydantic import BaseModel

SOURCES = Registry(
    "sample source",
    "i2v_eval.samples",
    {
        "glyph-world": "eval.samples.glyph_world:load",
        "manifest": "eval.samples.manifest:load",
        "images": "eval.samples.images:load",
        "vbench": "eval.samples.vbench:load",
        "aigcbench": "eval.samples.published:load_aigcbench",
        "mjhq": "eval.samples.published:load_mjhq",
    },
    form="module:function",
)
"""All sources of samples: functions from settings, a pydantic model that their first parameter is
annotated with, to samples. An installed package adds its own by an entry point of this group."""

VBENCH_LABEL = "vbench_dimensions"
"""Key of `Sample.truth` of samples of VBench's suite: their dimensions, with spaces between."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, eq=False)
class Sample:
    """An input image, its prompt and, where known, the true clip and its ground truth.

    Attributes:
        id: unique in its set; letters, digits, ``.``, ``_``, ``-`` (it names a folder and seeds
            the generators).
        image: uint8 (H, W, 3), RGB.
        prompt: what the clip should show; never blank, but empty where it is not known.
        group: the sub-population it is summarised with besides ``all``, e.g. ``seen`` or
            ``unseen``.
        clip: the true clip, if known.
        truth: ground-truth labels, e.g. ``{"glyph": "star", "speed": 2.0}``.
        unknown: which of ``image`` and ``prompt`` is not known, as for finished clips without a
            manifest; metrics that need it refuse the sample.
        notes: what reading the true clip changed, in words.
        conditioning: frames that a method's ControlNets are shown, if the manifest names them.

    Raises:
        EvalError: naming the sample and what is wrong with it.

    Examples:
        >>> sample = Sample("cat-01", np.zeros((64, 64, 3), np.uint8), "a cat turns its head")
        >>> sample.group
        'all'
    """

    id: str
    image: NDArray[np.uint8]
    prompt: str
    group: str = "all"
    clip: Clip | None = None
    truth: Mapping[str, str | float] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    conditioning: Clip | None = None

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise EvalError(
                f"sample id '{self.id}' is not allowed: 1 to 100 letters, digits, '.', '_', '-', "
                "no sign first"
            )
        if not self.prompt.strip() and (self.prompt or "prompt" not in self.unknown):
            raise EvalError(
                f"sample '{self.id}': the prompt is empty; write what the clip should show"
            )
        if not self.group.strip():
            raise EvalError(f"sample '{self.id}': the group is empty; leave it out for 'all'")
        image = self.image
        if (
            image.dtype != np.uint8
            or image.ndim != 3
            or image.shape[2] != 3
            or min(image.shape) < 1
        ):
            raise EvalError(
                f"sample '{self.id}': the image must be uint8 (H, W, 3), not {image.dtype} "
                f"{image.shape}"
            )

    @cached_property
    def fingerprint(self) -> str:
        """sha256 hex over the image's shape and pixels, the prompt, the true clip and the
        conditioning."""
        digest = hashlib.sha256(f"{self.image.shape}|".encode())
        digest.update(np.ascontiguousarray(self.image).tobytes())
        digest.update(f"|{self.prompt}|{self.clip.fingerprint if self.clip else ''}".encode())
        if self.conditioning is not None:
            digest.update(f"|{self.conditioning.fingerprint}".encode())
        return digest.hexdigest()


class Samples(list[Sample]):
    """Samples, and what a reader should know of where they come from.

    Attributes:
        notes: whole sentences.
    """

    def __init__(self, samples: Iterable[Sample], notes: Sequence[str] = ()) -> None:
        super().__init__(samples)
        self.notes = list(notes)


def load_samples(
    settings: Mapping[str, Any], *, folder: Path | None = None, where: str = "samples"
) -> Samples:
    """Loads the samples of a suite's ``samples`` entry.

    Args:
        settings: ``source`` names an entry of :data:`SOURCES`; the other keys are that source's
            settings.
        folder: what relative paths in the settings start from (the suite file's folder); the
            working directory if None.
        where: prefix of error messages.

    Returns:
        At least one sample, with unique ids, in the source's order, with the source's notes.

    Raises:
        EvalError: for an unknown source, bad settings, an empty set or a repeated id.
    """
    name = str(settings.get("source", ""))
    try:
        load = SOURCES.find(name)
        model = _settings_of(name, load)
    except EvalError as error:
        raise EvalError(f"{where}.source: {error}") from error
    own = {key: value for key, value in settings.items() if key != "source"}
    options = validated(model, own, where=where, context={"folder": folder or Path()})
    try:
        loaded = load(options)
        samples = Samples(loaded, getattr(loaded, "notes", ()))
    except EvalError as error:
        raise EvalError(f"{where}: {error}") from error
    if not samples:
        raise EvalError(f"{where}: source '{name}' gives no samples; at least one is needed")
    seen: set[str] = set()
    for sample in samples:
        if sample.id in seen:
            raise EvalError(f"{where}: sample id '{sample.id}' appears twice; ids must be unique")
        seen.add(sample.id)
    return samples


def _settings_of(name: str, load: Any) -> type[BaseModel]:
    """The pydantic model that a source's first parameter is annotated with."""
    from pydantic import BaseModel

    annotation: Any = None
    if callable(load):
        parameters = list(inspect.signature(load).parameters.values())
        annotation = parameters[0].annotation if parameters else None
        if isinstance(annotation, str):
            annotation = getattr(load, "__globals__", {}).get(annotation)
    if not (inspect.isclass(annotation) and issubclass(annotation, BaseModel)):
        raise EvalError(
            f"sample source '{name}': its first parameter must be annotated with a pydantic model, "
            "its settings"
        )
    return annotation


def sample_source(name: str) -> Callable[[Found], Found]:
    """A decorator that makes a function a source of samples, known by a plain name in this process.
    A suite can also name one as ``module:name``; no decorator is needed for that.

    Args:
        name: what a suite writes as ``source``.

    Raises:
        EvalError: the name stands for another source already.

    Examples:
        >>> from pydantic import BaseModel
        >>> class Blank(BaseModel):
        ...     count: int = 1
        >>> @sample_source("blank")
        ... def load(settings: Blank) -> list[Sample]:
        ...     image = np.zeros((64, 64, 3), np.uint8)
        ...     return [Sample(f"blank-{i}", image, "nothing") for i in range(settings.count)]
        >>> [sample.id for sample in load(Blank(count=2))]
        ['blank-0', 'blank-1']
    """
    return SOURCES.named(name)
