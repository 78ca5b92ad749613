"""``i2v-eval init``: a commented suite for clips, a base, a pipeline or a method of one's
own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from eval.io.console import say

HEAD = """\
# A suite: what to compare, on which samples, by which measures.
#   i2v-eval run {file} --dry-run     what would be made, and what it costs
#   i2v-eval run {file}               makes it; the same command again goes on
#   i2v-eval report runs/{name}
name: {name}

{samples}
# One clip for each cell, sample and seed. Ten input images or more make intervals one can trust.
seeds: [0]

# Clips in one call of a method: the most that a kill can lose.
batch_size: {batch}

# auto takes a GPU where there is one. `--device` and `--dtype` of `run` come before these.
device: auto
dtype: float32
"""

SAMPLES = """\
# Samples: a CSV or JSONL file beside this one, with the columns
#   id      letters, digits, '.', '_', '-'; it also seeds the generators
#   image   the input image, relative to the file
#   prompt  what the clip should show
#   group   optional: summarised apart, e.g. seen and unseen
#   clip    optional: the true clip, which fvd, kvd and the method true-clip need
samples: {{source: manifest, path: {samples}}}
"""

GLYPHS = """\
# No samples of your own were named (--samples FILE), so this starts with the glyph world's. For
# your own images: {{source: manifest, path: samples.csv}}, with the columns id, image, prompt.
samples: {{source: glyph-world, seen: 4, unseen: 4}}
"""

BASE = """
# The models that the methods run on. Relative paths start from this file; an id is looked up in the
# hub's local cache, and nothing is downloaded.
base:
  model: {model}
{parts}  # loras: [{{model: ..., weight_name: ..., scale: 0.8}}]
  # controlnets: [{{model: ..., scale: 1.0, frames: FOLDER}}]   frames: a folder or clip a sample
  # scheduler: {{class: DDIMScheduler, beta_schedule: linear, clip_sample: false}}
  # dtype: float16        on a GPU: half the memory
  # offload: model        parts move to the GPU as they are needed
  # vae_slicing: true
  settings: {{steps: 25, frames: 16, guidance_scale: 7.5, height: 512, width: 512}}

# The similarity prior's t0 x p, the paper's Table 2: every combination is a cell. steps,
# guidance_scale, scale (of the adapter), lora_scale and content_scale may be swept alike.
methods:
  - {{method: {method}, sweep: {{t0: [0.6, 0.8, 1.0], p: [0.5, 1.0]}}}}
  - {{method: text-to-video}}
  # The input image repeated: perfect identity, no motion. It anchors the scale.
  - {{method: still-image, settings: {{frames: 16, fps: 8}}}}

# Every other cell is compared with this one, sample by sample.
reference: "{method}[t0=1.0,p=0.5]"
"""

PIPELINE = """
# Any image-to-video pipeline of diffusers. model: a folder or an id in the hub's local cache.
methods:
  - method: diffusers
    label: mine
    settings:
      pipeline: {pipeline}
      model: {model}
      # components: {{motion_adapter: FOLDER_OR_ID}}   parts that the model's folder lacks
      # dtype: float16, device: cuda, offload: model
      # call: {{}}            further arguments, by the pipeline's own names
    # sweep: {{guidance_scale: [3.0, 6.0]}}
  - {{method: still-image, settings: {{frames: 16, fps: 8}}}}
reference: mine
"""

METHOD = """
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
"""

METRICS = """
# Measures; `i2v-eval metrics` lists them all, `i2v-eval weights` says how to get their weights.
{note}metrics:
{metrics}"""

_WANTED = (("identity", "dino_vits16"), ("text", "clip_vitb32_openai"), ("motion", "raft_large"))
_WITHOUT = (("motion", "flow_dis"), ("flicker", "pixels"))
"""Family and encoder of what a suite measures, and of what needs no weights."""


def init(
    file: Annotated[Path, typer.Argument(help="Where to.")] = Path("my-suite.yaml"),
    clips: Annotated[
        Path | None, typer.Option(help="Folder of finished clips: a manifest for `i2v-eval clips`.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="SD 1.5 or SDXL model: folder, file or id in the cache.")
    ] = None,
    adapter: Annotated[str | None, typer.Option(help="With --base: the I2V adapter.")] = None,
    motion: Annotated[str | None, typer.Option(help="With --base: the motion adapter.")] = None,
    content: Annotated[
        str | None, typer.Option(help="With --base: the content adapter (IP-Adapter).")
    ] = None,
    pipeline: Annotated[
        str | None, typer.Option(help="A pipeline of diffusers, with --model.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="With --pipeline: folder or id.")] = None,
    method: Annotated[str, typer.Option(help="Your method, as module:Class.")] = "my_model:MyModel",
    samples: Annotated[
        str | None, typer.Option(help="Your manifest, relative to the suite.")
    ] = None,
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
) -> None:
    """Write a commented suite: for a base (--base), a diffusers pipeline (--pipeline, --model) or
    a method of one's own (--method); or a manifest of finished clips (--clips). A file that is
    there is left alone.
    """
    from eval.errors import EvalError
    from eval.io.documents import write_text

    chosen = [name for name, value in (("--clips", clips), ("--base", base)) if value is not None]
    chosen += ["--pipeline"] if pipeline is not None else []
    if len(chosen) > 1:
        raise EvalError(f"{' and '.join(chosen)}: give one of them")
    if (pipeline is None) != (model is None):
        raise EvalError("--pipeline NAME and --model FOLDER_OR_ID go together: give both")
    if base is None and (adapter or motion or content):
        raise EvalError("--adapter, --motion and --content go with --base: give it")
    if clips is not None:
        file = file.with_suffix(".csv") if file == Path("my-suite.yaml") else file
    if file.exists():
        raise EvalError(f"{file}: there already; give another name, or remove it")
    if clips is not None:
        count = _write_manifest(file, clips)
        say(
            f"{file}: {count} clips; fill in the prompts, then: i2v-eval clips {clips} "
            f"--samples {file} --out runs/{file.stem}"
        )
        return
    if base is not None:
        body = _base_text(base, adapter, motion, content)
    elif pipeline is not None:
        body = PIPELINE.format(pipeline=_quoted(pipeline), model=_quoted(str(model)))
    else:
        body = METHOD.format(method=_quoted(method))
    write_text(file, _head(file, samples, batch=8 if base is None else 1) + body + _metrics())
    missing = "" if samples is None or (file.parent / samples).is_file() else f"write {samples}, "
    say(f"{file}: {missing}now: i2v-eval run {file} --dry-run")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _head(file: Path, samples: str | None, *, batch: int) -> str:
    import re

    name = re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem).strip("._-") or "my-suite"
    chosen = GLYPHS.format() if samples is None else SAMPLES.format(samples=_quoted(samples))
    return HEAD.format(file=file.name, name=name, samples=chosen, batch=batch)


def _base_text(base: str, adapter: str | None, motion: str | None, content: str | None) -> str:
    def part(name: str, value: str | None, needed: str) -> str:
        return f"  # {name}: ...   {needed}\n" if value is None else f"  {name}: {_quoted(value)}\n"

    parts = part("motion_adapter", motion, "unless the model has motion modules")
    parts += part("i2v_adapter", adapter, "for i2v-adapter; any of its three layouts")
    parts += part("content_adapter", content, "for i2v-adapter and content-adapter")
    method = "i2v-adapter" if content else "i2v-adapter-alone"
    method = method if adapter else "image-prior"
    return BASE.format(model=_quoted(base), parts=parts, method=method)


def _metrics() -> str:
    """What needs no weights, and the smallest set for photographs: commented out where its weights
    are missing.
    """
    from eval.encoders import encoder_entry, weights
    from eval.encoders.published import way_out
    from eval.errors import WeightsMissingError
    from eval.measure.catalogue import catalogue

    ids = {(metric.family, metric.encoder): metric.id for metric in catalogue()}
    lines = [f"  - {ids[wanted]}\n" for wanted in _WITHOUT]
    missing: list[str] = []
    for wanted in reversed(_WANTED):
        source = encoder_entry(wanted[1]).source
        assert source is not None
        try:
            weights.find(wanted[1], source)
            lines.insert(0, f"  - {ids[wanted]}\n")
        except WeightsMissingError:
            missing.insert(0, wanted[1])
            lines.insert(0, f"  # - {ids[wanted]}\n")
    note = f"# {way_out(missing)} gets those of the lines that are commented out.\n"
    return METRICS.format(note=note if missing else "", metrics="".join(lines))


def _write_manifest(file: Path, clips: Path) -> int:
    """A row for each clip in the folder, and in folders within it, which are methods."""
    from eval.errors import EvalError
    from eval.io.documents import write_csv
    from eval.samples.clip_manifest import folder_entries

    if not clips.is_dir():
        raise EvalError(f"--clips {clips}: no such folder")
    entries, _, _, _ = folder_entries(clips)
    if not entries:
        raise EvalError(f"--clips {clips}: it holds no clip")
    rows = [
        (entry.id, entry.clip.relative_to(clips).as_posix(), "", "", entry.method, entry.seed)
        for entry in entries
    ]
    write_csv(file, ("id", "clip", "image", "prompt", "method", "seed"), rows)
    return len(rows)
