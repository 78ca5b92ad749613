"""A base's scheduler: the model's own with the changes that ``base.scheduler`` states."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from eval.errors import EvalError, nearest, one_line

NEEDED = ("add_noise", "scale_model_input", "set_timesteps")
"""Methods that the paper's pipelines call; schedulers of flow matching lack some."""
_TYPES = (
    (bool, (bool,), "true or false"),
    (int, (int,), "a whole number"),
    (float, (float, int), "a number"),
    (str, (str,), "a text"),
)
"""Type of a default -> what may stand there, and how it is called."""
_CHOICES = {
    "beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "exp", "laplace"),
    "prediction_type": ("epsilon", "v_prediction", "sample", "flow_prediction"),
    "timestep_spacing": ("leading", "trailing", "linspace"),
}
"""Key -> values that schedulers of diffusers know; some look at them only while they sample."""


def scheduler_class(name: object) -> Any:
    """A scheduler of diffusers that samples SD 1.5 and SDXL.

    Raises:
        ValueError: diffusers has no scheduler of this name, or the scheduler is for other models.
    """
    import diffusers

    kind = getattr(diffusers, str(name), None)
    choices = [choice for choice in dir(diffusers) if choice.endswith("Scheduler")]
    if not (inspect.isclass(kind) and issubclass(kind, diffusers.SchedulerMixin)):
        raise ValueError(f"diffusers has no scheduler '{name}'.{nearest(str(name), choices)}")
    lacking = [method for method in NEEDED if not hasattr(kind, method)]
    if lacking:
        raise ValueError(
            f"the {name} is for models of another kind (it has no {lacking[0]}); SD 1.5 and SDXL "
            "are sampled by DDIMScheduler, EulerDiscreteScheduler, DPMSolverMultistepScheduler "
            "and the like"
        )
    return kind


def check_changes(kind: Any, changes: Mapping[str, Any]) -> None:
    """Raises ValueError for a change that this class of scheduler does not take, or a value of
    another type than its default."""
    known = dict(inspect.signature(kind.__init__).parameters)
    known.pop("self", None)
    for key, value in changes.items():
        if key == "class":
            continue
        if key not in known:
            raise ValueError(f"the {kind.__name__} has no '{key}'.{nearest(key, known)}")
        default = known[key].default
        if value is None and "None" in str(known[key].annotation):
            continue
        choices = _CHOICES.get(key, ())
        if choices and value not in choices:
            raise ValueError(
                f"{key}: there is no '{value}'; give one of {', '.join(choices)}."
                f"{nearest(str(value), choices)}"
            )
        for own, allowed, said in _TYPES:
            if type(default) is own and type(value) not in allowed:
                raise ValueError(f"{key} is {said} (default {default!r}), not {value!r}")


def changed_scheduler(own_class: object, own: Mapping[str, Any], changes: Mapping[str, Any]) -> Any:
    """The scheduler of a base.

    Args:
        own_class: name of the class of the model's scheduler.
        own: its configuration.
        changes: ``base.scheduler``; ``class`` is another class.

    Raises:
        EvalError: a class, a key or a value that cannot be used.
    """
    try:
        kind = scheduler_class(changes.get("class", own_class))
        check_changes(kind, changes)
        stated = {key: value for key, value in changes.items() if key != "class"}
        return kind.from_config(dict(own), **stated)
    except Exception as error:  # each class has its own for a value that it does not know
        reason = re.sub(r"for <class '.*\.(\w+)'>", r"by the \1", one_line(str(error)))[:200]
        raise EvalError(f"base.scheduler: {dict(changes)} cannot be used: {reason}") from error
