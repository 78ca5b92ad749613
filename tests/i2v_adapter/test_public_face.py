"""What `import i2v_adapter` offers, and its tiny models."""

from __future__ import annotations

import doctest
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

import i2v_adapter
from i2v_adapter import tiny

NAMES = {
    *("FrameSimilarityPrior", "I2VAdapter", "I2VAdapterControlNetPipeline", "I2VAdapterPipeline"),
    *("I2VAdapterSDXLPipeline", "i2v_loss", "train", "__version__"),
}


def test_the_list_of_names_each_with_a_docstring() -> None:
    assert set(i2v_adapter.__all__) == NAMES == NAMES & set(dir(i2v_adapter))
    for name in NAMES - {"__version__"}:
        assert getattr(i2v_adapter, name).__doc__


@pytest.mark.parametrize("name", sorted(NAMES - {"__version__"}))
def test_every_name_has_an_example_that_runs(name: str) -> None:
    thing = getattr(i2v_adapter, name)
    globs = dict(vars(sys.modules[thing.__module__]))
    found = doctest.DocTestFinder(recurse=False).find(thing, name, globs=globs)
    tests = [test for test in found if test.examples]
    assert tests, f"{name} has no example"
    runner = doctest.DocTestRunner()
    for test in tests:
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0


def test_tiny_models_depend_on_the_seed_alone() -> None:
    def weights(components: dict[str, Any]) -> Tensor:
        models = [part for part in components.values() if isinstance(part, torch.nn.Module)]
        return torch.cat([each.flatten() for model in models for each in model.parameters()])

    torch.manual_seed(9)
    first = weights(tiny.tiny_components(seed=1))
    torch.manual_seed(10)
    assert first.equal(weights(tiny.tiny_components(seed=1)))
    assert not first.equal(weights(tiny.tiny_components(seed=2)))
