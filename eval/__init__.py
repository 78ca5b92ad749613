"""Measures image-to-video models: does a model keep the image, follow the prompt, move, and at what
cost.

The public face; everything else is an inside that may change:

- `run` carries a suite file out, `load_run` reads its tables as pandas frames;
- `score` measures clips at hand;
- `Clip` and `Sample` are what methods take and give; `read_clip` and `write_clip` keep clips;
  `read_media` reads those of any tool;
- `catalogue` lists the metrics, `parse_metric` finds one by its id;
- `metric` with `Definition`, `method`, `encoder` and `sample_source` add one's own;
- `EvalError` is what all errors meant for the user derive from.

Names load on first use, so that ``import eval`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from i2v_adapter import __version__

if TYPE_CHECKING:
    from eval.clips.lossless import Clip, read_clip, write_clip
    from eval.clips.media import read_media
    from eval.encoders import encoder
    from eval.errors import EvalError
    from eval.execute.run import run
    from eval.measure.catalogue import catalogue, parse_metric
    from eval.methods import method
    from eval.metrics.definitions import Definition, Features, Metric, metric
    from eval.samples import Sample, sample_source
    from eval.summary.frames import RunTables, load_run, score

__all__ = [
    "Clip",
    "Definition",
    "EvalError",
    "Features",
    "Metric",
    "RunTables",
    "Sample",
    "__version__",
    "catalogue",
    "encoder",
    "load_run",
    "method",
    "metric",
    "parse_metric",
    "read_clip",
    "read_media",
    "run",
    "sample_source",
    "score",
    "write_clip",
]

_HOME = {
    "Clip": "eval.clips.lossless",
    "Definition": "eval.metrics.definitions",
    "EvalError": "eval.errors",
    "Features": "eval.metrics.features",
    "Metric": "eval.metrics.definitions",
    "RunTables": "eval.summary.frames",
    "Sample": "eval.samples",
    "catalogue": "eval.measure.catalogue",
    "encoder": "eval.encoders",
    "load_run": "eval.summary.frames",
    "method": "eval.methods",
    "metric": "eval.metrics.definitions",
    "parse_metric": "eval.measure.catalogue",
    "read_clip": "eval.clips.lossless",
    "read_media": "eval.clips.media",
    "run": "eval.execute.run",
    "sample_source": "eval.samples",
    "score": "eval.summary.frames",
    "write_clip": "eval.clips.lossless",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
