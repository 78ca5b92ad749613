"""``python -m eval clips``: scores finished clips of any tool."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

SOME_FAILED = 3
"""Exit code when some clips are scored and others are not."""


def clips(
    folder: Annotated[Path, typer.Argument(help="Folder of the clips; paths in the manifest start there.")],
    samples: Annotated[Path, typer.Option(help="Manifest, .csv or .jsonl: id, clip, prompt [image, method, seed].")],
    out: Annotated[Path, typer.Option(help="Run folder; `report` makes the page from it.", file_okay=False)],
    reference: Annotated[Path | None, typer.Option(help="Folder of real clips, for fvd and kvd.")] = None,
    encoders: Annotated[
        str, typer.Option(help="Comma-separated; measures all their metrics. Default: all but *_glyph with weights.")
    ] = "",
    fps: Annotated[float | None, typer.Option(help="Frame rate of frame folders and .npy files.")] = None,
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
) -> None:
    """Score finished clips: mp4, mov, webm, mkv, gif, avi, frame folders, .npy. Exit 3: some failed; 2: nothing usable.

    The same command again scores only what is new, changed or failed.
    """
    from ..finished import score

    start = time.perf_counter()
    chosen = [encoder.strip() for encoder in encoders.split(",") if encoder.strip()]
    scored = score(folder, samples, out, encoders=chosen, reference=reference, fps=fps)
    for failure in scored.failures:
        typer.echo(f"failed: {failure}", err=True)
    for warning in scored.warnings:
        typer.echo(f"warning: {warning}", err=True)
    took = time.perf_counter() - start
    summary = scored.folder / "summary.csv"
    typer.echo(f"{scored.clips} clips scored, {len(scored.failures)} failed in {took:.1f} s: {summary}")
    if scored.failures:
        raise typer.Exit(SOME_FAILED)
