"""Text alignment by hand."""

import numpy as np
import pytest

from eval.errors import EvalError
from eval.metrics.text import text_alignment


def test_a_clip_scored_by_hand() -> None:
    # cos = 4/5, 3/5 and 0: every frame counts, the first one too.
    values = text_alignment([2.0, 0.0], [[4.0, 3.0], [6.0, 8.0], [0.0, 5.0]])
    assert values["text"] == pytest.approx(100 * (0.8 + 0.6 + 0.0) / 3, abs=1e-12)
    assert values["text_min"] == pytest.approx(0.0, abs=1e-12)


def test_opposite_directions_are_not_clipped() -> None:
    values = text_alignment([1.0, 0.0], [[-2.0, 0.0]])
    assert (values["text"], values["text_min"]) == (-100.0, -100.0)


def test_values_that_are_not_finite_are_an_error() -> None:
    with pytest.raises(EvalError, match="not finite"):
        text_alignment([1.0, np.inf], [[1.0, 0.0]])
