"""Methods make clips from samples; they are found by name or as ``module:Class``."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from eval.errors import EvalError
from eval.io.registry import Found, Registry

if TYPE_CHECKING:
    from pydantic import BaseModel

    from eval.clips.lossless import Clip
    from eval.samples import Sample


FirstFrame = Literal["input", "reconstruction", "free"]
"""What frame 0 of a method's clips is: the input image (as its codec gives it back), what the
method generated from the image, or generated without it."""


class Method(Protocol):
    """What a class must offer to be a method; it is built as ``Class(settings)``.

    It may state ``first_frame``, a :data:`FirstFrame`; results of one that does not say "not
    stated". It may state ``varying``, names of settings that may differ between the samples of one
    call: :func:`varying`. One that states ``takes_device = True`` is told where to run and in which
    precision by ``to(device, dtype)``, and its ``device`` is the resolved one. Building it and
    asking for its fingerprint must be cheap: no model is loaded before :meth:`generate`.
    """

    Settings: ClassVar[type[BaseModel]]
    """A pydantic model that forbids unknown keys and validates ranges. Its dump is part of a cell's
    identity.
    """

    def __init__(self, settings: Any) -> None: ...

    def fingerprint(self) -> str:
        """sha256 hex over what changes the clips besides settings, sample and seed: weights, method
        version.
        """
        ...

    def generate(self, samples: Sequence[Sample], seeds: Sequence[int]) -> list[Clip]:
        """Makes one clip for each sample.

        Args:
            samples: a batch; images of one size.
            seeds: one generator seed for each sample, already from
                :func:`eval.samples.seeds.derive_seed`.

        Returns:
            Clips in the order of ``samples``. A clip must not depend on its neighbours in the batch
            beyond float noise.
        """
        ...


METHODS = Registry(
    "method",
    "i2v_eval.methods",
    {
        "i2v-adapter": "eval.methods.i2v_adapter:I2VAdapterMethod",
        "i2v-adapter-alone": "eval.methods.i2v_adapter:I2VAdapterAlone",
        "content-adapter": "eval.methods.content_adapter:ContentAdapterMethod",
        "channel-concatenation": "eval.methods.channel_concatenation:ChannelConcatenationMethod",
        "concatenation-text": "eval.methods.channel_concatenation:ConcatenationText",
        "image-prior": "eval.methods.image_prior:ImagePriorMethod",
        "text-to-video": "eval.methods.text_to_video:TextToVideoMethod",
        "diffusers": "eval.methods.diffusers_pipeline:DiffusersMethod",
        "still-image": "eval.methods.anchors:StillImage",
        "pan-zoom": "eval.methods.pan_zoom:PanZoom",
        "true-clip": "eval.methods.anchors:TrueClip",
    },
)
"""All methods; an installed package adds its own by an entry point of this group."""


def first_frame(method: Method) -> str:
    """What frame 0 of the method's clips is: a :data:`FirstFrame`, or "not stated"."""
    return str(getattr(method, "first_frame", "not stated"))


def device_of(method: Method) -> str:
    """The resolved device that a method runs on; ``cpu`` for one that takes none."""
    found: Any = method
    return str(found.device) if getattr(method, "takes_device", False) else "cpu"


def varying(method: Method) -> tuple[str, ...]:
    """Settings that may differ between the samples of one call, so that the cells of a sweep over
    them share calls.

    They are those that the method states as ``varying`` and that its ``generate`` takes besides
    samples and seeds, by these names: one value for each sample, as in the cells' settings. They
    are given only where a call is for several cells. A class that replaces ``generate`` by one
    without them has none.
    """
    stated: Sequence[str] = getattr(method, "varying", ())
    return tuple(name for name in stated if name in inspect.signature(method.generate).parameters)


def method_names() -> list[str]:
    """The registered names, sorted."""
    return METHODS.names()


def register(name: str, target: str) -> None:
    """Makes ``target`` (``"module:Class"``) known as ``name``; the module is imported when the
    method is used.

    Raises:
        EvalError: if the name stands for another class already, or the target is not
            ``module:Class``.
    """
    METHODS.add(name, target)


def method(name: str) -> Callable[[Found], Found]:
    """A class decorator that makes a method known by a plain name in this process.
    A suite can also name a class as ``module:Class``; no decorator is needed for that.

    Args:
        name: what a suite writes as ``method``.

    Raises:
        EvalError: the name stands for another method already.

    Examples:
        >>> import numpy as np
        >>> from pydantic import BaseModel
        >>> from eval import Clip
        >>> @method("black")
        ... class Black:
        ...     class Settings(BaseModel):
        ...         frames: int = 8
        ...     def __init__(self, settings):
        ...         self.settings = settings
        ...     def fingerprint(self):
        ...         return "black.v1"
        ...     def generate(self, samples, seeds):
        ...         frames = self.settings.frames
        ...         shapes = [(frames, *sample.image.shape) for sample in samples]
        ...         return [Clip(np.zeros(shape, np.uint8), 8.0) for shape in shapes]
        >>> load_method("black") is Black
        True
    """
    return METHODS.named(name)


def load_method(name: str) -> type[Method]:
    """The class of a registered method, or of a ``module:Class`` path (how a suite names a method
    of one's own).

    Raises:
        EvalError: for an unknown name (with the nearest valid one), or a path that cannot be
            imported or is no method.
    """
    found = METHODS.find(name)
    for attribute in ("Settings", "fingerprint", "generate"):
        if not hasattr(found, attribute):
            raise EvalError(
                f"method '{name}': it has no '{attribute}'; eval.methods.Method lists what a "
                "method needs"
            )
    loaded: type[Method] = found
    return loaded


_ON_BASE = {
    "i2v-adapter": "FullOnBase",
    "i2v-adapter-alone": "AloneOnBase",
    "content-adapter": "ContentOnBase",
    "image-prior": "PriorOnBase",
    "text-to-video": "TextOnBase",
    "channel-concatenation": "ConcatenationOnBase",
    "concatenation-text": "ConcatenationTextOnBase",
}
"""Methods that run on a base -> their class in `eval.methods.on_base`."""


def takes_base(name: str) -> bool:
    """Whether a method is one of the paper's family, which runs on any base."""
    return name in _ON_BASE


def method_on_base(name: str, base: Any) -> tuple[Callable[[Any], Method], type[BaseModel]]:
    """What builds a method of the paper's family on a base of one's own, a model or a glyph world's
    weights, and its settings.
    """
    if getattr(base, "world", None) is not None:
        own: Any = load_method(name)
        return (lambda settings: own(settings).on(base)), own.Settings
    module = importlib.import_module("eval.methods.on_base")
    found: Any = getattr(module, _ON_BASE[name])
    return (lambda settings: found(settings, base)), found.Settings
