"""What `init` writes: commented suites, as templates."""

from __future__ import annotations

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
# Samples: a CSV or JSONL file with the columns
#   id      letters, digits, '.', '_', '-'; it also seeds the generators
#   image   the input image, relative to the file
#   prompt  what the clip should show
#   group   optional: summarised apart, e.g. seen and unseen
#   clip    optional: the true clip, which fvd, kvd and the method true-clip need
samples: {{source: manifest, path: {samples}}}
"""

IMAGES = """\
# Samples: every image of a folder. `prompts` is a .csv with the columns image and prompt, or a .txt
# with a line for each image in the order of their names; without it a file's name is its prompt.
samples: {{source: images, folder: {folder}{prompts}}}
"""

GLYPHS = """\
# No samples of your own were named (--samples), so this starts with the glyph world's. For your own
# images: {{source: images, folder: photos}}, whose file names are the prompts, or
# {{source: manifest, path: samples.csv}} with the columns id, image, prompt.
samples: {{source: glyph-world, seen: 4, unseen: 4}}
"""

BASE = """
# The models that the methods run on. Relative paths start from this file; an id is looked up in the
# hub's local cache, and nothing is downloaded.
base:
  model: {model}
{parts}  # loras: [{{model: ..., weight_name: ..., scale: 0.8}}]
  # controlnets: [{{model: ..., scale: 1.0, frames: FOLDER}}]   frames: a folder or clip a sample,
  #   or leave it out and give the manifest a column `conditioning`
  # scheduler: {{class: DDIMScheduler, beta_schedule: linear, clip_sample: false}}
  # dtype: float16        on a GPU: half the memory
  # offload: model        parts move to the GPU as they are needed
  # vae_slicing: true
  # Images are stretched to height x width: take a size of their shape, in multiples of 8.
  settings: {{steps: 25, frames: 16, guidance_scale: 7.5, height: {side}, width: {side}}}

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
{usual}      # components: {{motion_adapter: FOLDER_OR_ID}}   parts that the model's folder lacks
      # dtype: float16, offload: model   on a GPU
      # call: {{}}            further arguments, by the pipeline's own names
    # sweep: {{guidance_scale: [3.0, 6.0]}}
  - {{method: still-image, settings: {{frames: {frames}, fps: {fps}}}}}
reference: mine
"""

USUAL = """\
      # As the model's authors call it; images are resized to height x width. Fewer steps and frames
      # for a first look.
      steps: {steps}
      frames: {frames}
      fps: {fps}
      height: {height}
      width: {width}
"""

UNUSUAL = """\
      # steps: 25, frames: 16, fps: 8, height: 512, width: 512   else the pipeline's own
"""

METHOD = """
# Methods: a class of your own as module:Class, from this file's folder or an installed package:
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

WORLD = """
# Methods. This one is the paper's, on the glyph world that comes with the package. For models of
# your own: `i2v-eval init --base`, `--pipeline` or `--method`. Every combination of the values
# under sweep is a cell.
methods:
  - {{method: i2v-adapter, sweep: {{t0: [0.6, 1.0]}}}}
  # The input image repeated: perfect identity, no motion. It anchors the scale.
  - {{method: still-image, settings: {{frames: 8, fps: 8}}}}

# Every other cell is compared with this one, sample by sample.
reference: "i2v-adapter[t0=1.0]"
"""
