"""`python -m benchmarks.device_check`: the suite on a GPU, at full size, in under five minutes.

SD 1.5 by configuration (random weights, saved once in the hub's layout) makes 16 x 512 x 512 clips
in float16 over t0 x p of three synthetic photographs; every encoder at full size (random weights)
measures them; CPU and GPU are compared in float32. The JSON is written after each part, so that a
run that is cut short loses little. `--tiny` rehearses it on a CPU.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import device_parts as parts
from benchmarks.device_run import Check


def main(
    out: Annotated[Path, typer.Option(help="The JSON.")] = Path("device-check.json"),
    work: Annotated[Path, typer.Option(help="Folder of the models; kept.")] = Path("device-check"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda[:INDEX] or mps.")] = "auto",
    tiny: Annotated[bool, typer.Option("--tiny", help="Small models: a rehearsal.")] = False,
    seconds: Annotated[
        float, typer.Option(help="Budget; parts that do not fit are left out.")
    ] = 240,
) -> None:
    """Runs all parts. Exit 1 if one failed, or CPU and GPU do not agree."""
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    work.mkdir(parents=True, exist_ok=True)
    check = Check(out, work.resolve(), device, tiny=tiny, seconds=seconds)
    check.say(f"{check.found['device']}, {check.dtype}, {check.found['versions']}")
    check.part("save models", 0, partial(parts.save_models, check))
    check.part("generate 2 x 2 of t0 x p", 60, partial(parts.generate, check))
    check.part("measuring", 30, partial(parts.measuring, check))
    check.part("agreement", 25, partial(parts.agreement, check))
    check.part("video features", 10, partial(parts.video, check))
    check.part("neighbours", 5, partial(parts.neighbours, check))
    check.part("half precision", 5, partial(parts.half_precision, check))
    check.part("glyph world", 5, partial(parts.glyph_world, check))
    found = check.found["parts"]
    bad = [name for name, part in found.items() if part.get("failed")]
    bad += [] if found["agreement"].get("agree", True) else ["agreement"]
    check.say(f"written to {out}" + (f"; look at {', '.join(bad)}" if bad else ""))
    raise typer.Exit(1 if bad else 0)


if __name__ == "__main__":
    typer.run(main)
