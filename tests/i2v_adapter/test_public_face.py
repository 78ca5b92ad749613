"""What `import i2v_adapter` offers."""

from __future__ import annotations

import doctest
import sys

import pytest

import i2v_adapter

NAMES = {
    *("FrameSimilarityPrior", "I2VAdapter", "I2VAdapterControlNetPipeline", "I2VAdapterPipeline"),
    *("I2VAdapterSDXLPipeline", "i2v_loss", "train", "__version__"),
}


def test_the_list_of_names_each_with_a_docstring() -> None:
    assert set(i2v_adapter.__all__) == NAMES == NAMES & set(dir(i2v_adapter))
    for name in NAMES - {"__version__"}:
        assert getattr(i2v_adapter, name).__doc__


@pytest.mark.parametrize("name", ["FrameSimilarityPrior", "I2VAdapter"])
def test_examples_run(name: str) -> None:
    """Those of the pipelines and of training are in docs/, which `test_docs` runs."""
    thing = getattr(i2v_adapter, name)
    globs = dict(vars(sys.modules[thing.__module__]))
    found = doctest.DocTestFinder(recurse=False).find(thing, name, globs=globs)
    tests = [test for test in found if test.examples]
    assert tests
    runner = doctest.DocTestRunner()
    for test in tests:
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
