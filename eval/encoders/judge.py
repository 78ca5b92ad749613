"""Learned judges: models that were trained to score a whole clip as people do. The model is brought
by its user, as a class that an environment variable names.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from eval.encoders.loaders import named_class, stated_fingerprint
from eval.encoders.weights import Location
from eval.errors import EvalError
from eval.io.arrays import UInt8Array

OPTION = "I2V_EVAL_JUDGE_"
"""Beginning of the environment variables: ``I2V_EVAL_JUDGE_<NAME>=module:Class``."""

SHOWN = 500
"""Characters of a raw answer in an error message; all of it is kept with the run."""


@dataclass(frozen=True)
class Dimension:
    """One score that a judge gives.

    Attributes:
        low: smallest value that it can have.
        high: largest value that it can have.
        higher_is_better: None where neither direction is better.
        needs_image: whether the score depends on the input image.
        needs_prompt: whether it depends on the prompt.
    """

    low: float
    high: float
    higher_is_better: bool | None = True
    needs_image: bool = False
    needs_prompt: bool = False


class Answer(NamedTuple):
    """What a judge says of a clip.

    Attributes:
        scores: dimension -> score. A dimension that is left out is an error on the clip.
        raw: what the model wrote, word for word; kept beside the scores.
    """

    scores: Mapping[str, float]
    raw: str = ""


class LearnedJudge(Protocol):
    """What the class that `OPTION` names must offer. It is made with the device alone.

    Attributes:
        dimensions: the scores it gives, by name (small letters, digits, ``_``); of the class.
        deterministic: whether the same clip always gets the same answer; of the class.
    """

    dimensions: Mapping[str, Dimension]
    deterministic: bool

    def __init__(self, *, device: str) -> None: ...

    @staticmethod
    def fingerprint() -> str:
        """Text that changes with the weights, the prompt text, the frames shown, the decoding and
        the number of draws and their seed; must load no network."""
        ...

    def score(
        self, frames: UInt8Array, fps: float, image: UInt8Array | None, prompt: str | None
    ) -> Answer | Mapping[str, float]:
        """uint8 (F, H, W, 3) RGB, the input image uint8 (H, W, 3) and the prompt; None where the
        sample's is not known. A model without text may give the scores alone. What it cannot read
        in its own answer it leaves out of the scores."""
        ...


class Judged(NamedTuple):
    """An answer that was checked.

    Attributes:
        scores: of every dimension, in their order.
        raw: the model's words.
        fault: why the scores cannot be used; empty if they can.
    """

    scores: list[float]
    raw: str
    fault: str


def judge_names() -> list[str]:
    """Names of the judges that the environment names, in small letters."""
    found = (key.removeprefix(OPTION).lower() for key in os.environ if key.startswith(OPTION))
    return sorted(name for name in found if name)


def judge_class(name: str) -> Any:
    """The class of a judge, whose `LearnedJudge.dimensions` are sound.

    Raises:
        WeightsMissingError: the environment names no judge of this name.
        EvalError: it cannot be imported, or lacks something that a judge must have.
    """
    id, option = f"judge:{name}", f"{OPTION}{name.upper()}"
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise EvalError(f"judge {name!r}: a name is of small letters, digits and '_'")
    needs = "learned judges do not come with this package; eval.encoders.judge.LearnedJudge says"
    found = named_class(id, option, f"{needs} what a loader must offer")
    dimensions = getattr(found, "dimensions", None)
    if not isinstance(dimensions, Mapping) or not dimensions:
        raise EvalError(f"judge {name!r}: {os.environ[option]} has no 'dimensions'")
    for dimension, of in dimensions.items():
        sound = isinstance(of, Dimension) and -math.inf < of.low < of.high < math.inf
        if not sound or not re.fullmatch("[a-z][a-z0-9_]*", str(dimension)):
            raise EvalError(
                f"judge {name!r}: dimension {dimension!r} is {of!r}; give a name of small letters "
                "and a Dimension with finite low < high"
            )
    if not isinstance(getattr(found, "deterministic", None), bool):
        raise EvalError(f"judge {name!r}: {os.environ[option]} does not state 'deterministic'")
    return found


def judge_encoder(name: str) -> Any:
    """An encoder class around a judge, see `eval.encoders.kinds.OwnEncoder`.

    Raises:
        EvalError: as `judge_class`.
    """
    found = judge_class(name)
    stated = stated_fingerprint(f"judge:{name}", f"{OPTION}{name.upper()}", found)
    kind = "deterministic" if found.deterministic else "not deterministic"
    sides = {
        dimension: (of.low, of.high, of.needs_image, of.needs_prompt)
        for dimension, of in found.dimensions.items()
    }

    class JudgeEncoder(_JudgeEncoder):
        protocol = f"judge 1: {kind}, {sides}; {stated}"
        judge = found

    return JudgeEncoder


class _JudgeEncoder:
    """Asks a judge and checks what it says."""

    kind = "judge"
    protocol = ""
    judge: Any = None

    def __init__(self, location: Location | None, device: str) -> None:
        self.id = ""
        self.fingerprint = ""
        self._model = self.judge(device=device)

    def encode_judged(
        self, frames: UInt8Array, fps: float, image: UInt8Array | None, prompt: str | None
    ) -> Judged:
        """The scores of all dimensions, in their order, and the raw answer; never a stand-in for a
        score that is missing, not finite or out of range.
        """
        given = self._model.score(frames, fps, image, prompt)
        answer = given if isinstance(given, Answer) else Answer(given)
        raw = str(answer.raw) or repr(answer.scores)
        if not isinstance(answer.scores, Mapping):
            return Judged([], raw, f"score() gives {type(given).__name__}, not scores")
        scores = []
        for dimension, of in self.judge.dimensions.items():
            value = answer.scores.get(dimension)
            if value is None:
                return Judged([], raw, f"no score of '{dimension}'")
            try:
                number = math.nan if isinstance(value, bool | str) else float(value)
            except (TypeError, ValueError):
                number = math.nan
            if not of.low <= number <= of.high:
                limits = f"{of.low:g} to {of.high:g}"
                return Judged([], raw, f"the score of '{dimension}' is {value!r}, not {limits}")
            scores.append(number)
        return Judged(scores, raw, "")
