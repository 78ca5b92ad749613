"""Whether a model's folder has the parts that a pipeline of diffusers takes, seen without loading.

The pipeline need not be the one that ``model_index.json`` names: several share their parts. A part
that the pipeline needs and nobody gives, or one of a class that its signature excludes, would only
be noticed while the model is loaded, or later.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from eval.errors import EvalError
from eval.io.model_json import read_object

_ALIKE = {"AutoencoderKL": ("AutoencoderTiny", "AsymmetricAutoencoderKL", "ConsistencyDecoderVAE")}
"""Class of a signature -> others that diffusers' documentation puts in its place."""


_IMAGE_UNET = "UNet2DConditionModel"


def check_pipeline_fit(
    where: str, pipeline: Any, model: Path, components: Mapping[str, Path]
) -> None:
    """Whether a pipeline can be made of a model's parts and further components.

    Args:
        where: prefix of messages.
        pipeline: class of diffusers.
        model: folder with a ``model_index.json``.
        components: name of a part -> folder with its ``config.json``, in place of the model's.

    Raises:
        EvalError: naming the part.
    """
    listed = read_object(f"{where}, model", model / "model_index.json")
    name, own = pipeline.__name__, str(listed.get("_class_name"))
    given: dict[str, Any] = {part: entry for part, entry in listed.items() if _names_a_class(entry)}
    parameters = dict(inspect.signature(pipeline.__init__).parameters)
    parameters.pop("self", None)
    optional = getattr(pipeline, "_optional_components", ())
    made_for = "" if own == name else f"; {model} is of the {own}"
    for part, parameter in parameters.items():
        needed = parameter.default is inspect.Parameter.empty and part not in optional
        # an image UNet without motion modules would be given random ones
        needed |= part == "motion_adapter" and given.get("unet", [""])[-1] == _IMAGE_UNET
        if needed and part not in given and part not in components:
            raise EvalError(
                f"{where}: {name} needs a {part}, and the model has none{made_for}; give it by "
                f"components: {{{part}: FOLDER_OR_ID}}, or another pipeline"
            )
    hints = _hints(pipeline)
    for part in parameters:
        if part in components:
            option, found = f"{where}, components.{part}", _stated_class(components[part])
        elif part in given:
            option, found = f"{where}, model", _class(*given[part])
        else:
            continue
        allowed = _classes(hints.get(part))
        if found is not None and allowed and not any(_serves(found, kind) for kind in allowed):
            wanted = " or ".join(kind.__name__ for kind in allowed)
            raise EvalError(
                f"{option}: {name} takes a {wanted} as its {part}, and this is a "
                f"{found.__name__}{made_for}"
            )


def _names_a_class(entry: object) -> bool:
    return isinstance(entry, list) and len(entry) == 2 and all(isinstance(n, str) for n in entry)


def _hints(pipeline: Any) -> Mapping[str, Any]:
    try:
        return get_type_hints(pipeline.__init__)
    except Exception:  # an annotation of a package that is not installed
        return {}


def _classes(annotation: Any) -> list[Any]:
    """Classes of models that an annotation allows; none if it says something else besides."""
    if get_origin(annotation) in (Union, UnionType):
        inner = [kind for kind in get_args(annotation) if kind is not type(None)]
    else:
        inner = [annotation]
    return inner if all(map(_is_model, inner)) else []


def _is_model(kind: Any) -> bool:
    """Whether this is a model of diffusers or transformers: their tokenizers, image processors and
    schedulers often serve in each other's place."""
    return inspect.isclass(kind) and (
        hasattr(kind, "load_config") and hasattr(kind, "state_dict")
        if kind.__module__.startswith("diffusers.")
        else hasattr(kind, "config_class") and hasattr(kind, "state_dict")
    )


def _serves(found: Any, wanted: Any) -> bool:
    if issubclass(found, wanted) or found.__name__ in _ALIKE.get(wanted.__name__, ()):
        return True
    configuration = getattr(wanted, "config_class", None)  # of models of transformers
    return configuration is not None and getattr(found, "config_class", None) is configuration


def _stated_class(folder: Path) -> Any:
    """The class of a model's ``config.json``; None where it states none that is known."""
    stated = read_object("components", folder / "config.json")
    name = stated.get("_class_name")
    if isinstance(name, str):
        return _class("diffusers", name)
    names = stated.get("architectures")
    return _class("transformers", str(names[0])) if isinstance(names, list) and names else None


def _class(library: str, name: str) -> Any:
    import diffusers
    import transformers

    found = getattr({"diffusers": diffusers, "transformers": transformers}.get(library), name, None)
    return found if _is_model(found) else None
