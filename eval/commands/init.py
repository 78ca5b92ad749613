"""``python -m eval init``: a commented suite for a model of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from eval.io.console import say

SUITE = """\
# A suite: what to compare, on which samples, by which measures.
#   python -m eval run {file} --dry-run     what would be made, and what it costs
#   python -m eval run {file}               makes it; the same command again goes on
#   python -m eval report runs/{name}
name: {name}

# Samples: a CSV or JSONL file beside this one, with the columns
#   id      letters, digits, '.', '_', '-'; it also seeds the generators
#   image   the input image, relative to the file
#   prompt  what the clip should show
#   group   optional: summarised apart, e.g. seen and unseen
#   clip    optional: the true clip, which fvd, kvd and the method true-clip need
samples: {{source: manifest, path: {samples}}}

# One clip for each cell, sample and seed. Ten input images or more make intervals one can trust.
seeds: [0]

# Clips in one call of a method: the most that a kill can lose.
batch_size: 8

# Methods: a class of your own as module:Class (the module must be on PYTHONPATH), with
#   Settings                   a pydantic model with extra="forbid"
#   fingerprint()              sha256 of its weights and version: another one makes all clips again
#   generate(samples, seeds)   one eval.clips.lossless.Clip for each sample
# eval/methods/__init__.py states the contract. Every combination of the values under sweep is a
# cell, e.g.
#   - {{method: {method}, settings: {{steps: 25}}, sweep: {{guidance_scale: [1.0, 7.5]}}}}
methods:
  - {{method: {method}, label: mine}}
  # The input image repeated: perfect identity, no motion. It anchors the scale.
  - {{method: still-image, settings: {{frames: 16, fps: 8}}}}

# Every other cell is compared with this one, sample by sample.
reference: mine

# Measures; python -m eval metrics lists them all. Those of dino_vits16 and clip_vitb32_openai need
# their weights; python -m eval metrics ID says where they are looked for.
metrics:
  # - identity.dino_vits16.v2
  # - text.clip_vitb32_openai.v2
  - motion.flow_dis.v1
  - flicker.pixels.v1
"""


def init(
    file: Annotated[Path, typer.Argument(help="Where to.")] = Path("my-suite.yaml"),
    method: Annotated[str, typer.Option(help="Your method, as module:Class.")] = "my_model:MyModel",
    samples: Annotated[
        str, typer.Option(help="Your manifest, relative to the suite.")
    ] = "samples.csv",
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
) -> None:
    """Write a commented suite for a model of one's own. A file that is there is left alone."""
    import re

    from eval.errors import EvalError
    from eval.io.documents import write_text

    if file.exists():
        raise EvalError(f"{file}: there already; give another name, or remove it")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem).strip("._-") or "my-suite"
    quoted = (json.dumps(text, ensure_ascii=False) for text in (method, samples))
    values = dict(zip(("method", "samples"), quoted, strict=True))
    write_text(file, SUITE.format(file=file.name, name=name, **values))
    say(f"{file}: fill in samples and method, then: python -m eval run {file} --dry-run")
