"""``i2v-eval calibrate``: what metrics answer to corruptions of known strength."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from eval.commands.options import Debug, EncoderDevice, EncoderDtype, Wait
from eval.io.console import say


def calibrate(
    out: Annotated[
        Path, typer.Option(help="Run folder; `report` makes the page from it.", file_okay=False)
    ],
    encoders: Annotated[
        str,
        typer.Option(
            help="Comma-separated; all their metrics. Default: the glyph world's encoders, "
            "flow_dis and pixels."
        ),
    ] = "",
    clips: Annotated[
        int, typer.Option(help="Glyph clips for each strength; camera clips are half as many.")
    ] = 24,
    wait: Wait = 0.0,
    device: EncoderDevice = "auto",
    dtype: EncoderDtype = "float32",
    debug: Debug = False,
) -> None:
    """Calibrate metrics on corrupted clips of known truth: response curves, noise floors, blind
    spots.

    The same command again goes on from where it was stopped, and tries again what failed.
    """
    from eval.calibration.calibrate import ENCODERS
    from eval.calibration.calibrate import calibrate as run_calibration
    from eval.execute.options import Options

    start = time.perf_counter()
    chosen = [encoder.strip() for encoder in encoders.split(",") if encoder.strip()]
    path = run_calibration(
        out,
        encoders=chosen or ENCODERS,
        clips=clips,
        options=Options(wait=wait, debug=debug),
        device=device,
        dtype=dtype,
    )
    say(f"calibrated in {time.perf_counter() - start:.1f} s: {path}")
