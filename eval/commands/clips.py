"""``i2v-eval clips``: scores finished clips of any tool."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from eval.commands.options import AsJson, Debug, EncoderDevice, EncoderDtype, TrustTorchscript, Wait
from eval.errors import SOME_FAILED, EvalError, one_line
from eval.io.console import cell, say, show

if TYPE_CHECKING:
    from eval.execute.estimate import Estimate
    from eval.samples.vbench_folder import VBenchFolder


def clips(
    folder: Annotated[
        Path, typer.Argument(help="Folder of the clips; paths in the manifest start there.")
    ],
    out: Annotated[
        Path, typer.Option(help="Run folder; `report` makes the page from it.", file_okay=False)
    ],
    samples: Annotated[
        Path | None,
        typer.Option(
            help="Manifest, .csv or .jsonl: id, clip [prompt, image, method, seed, group]. Without "
            "one, what needs neither image nor prompt is measured; folders in FOLDER are methods."
        ),
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            help="vbench: FOLDER holds videos PROMPT-INDEX.mp4; give --images and, for VBench's "
            "own entries, --info and --ratio."
        ),
    ] = "",
    info: Annotated[
        Path | None, typer.Option(help="VBench's list of entries, vbench2_i2v_full_info.json.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of VBench's input images, data/crop.")
    ] = None,
    ratio: Annotated[
        str, typer.Option(help="Folder in --images of the crops that were used, such as 16-9.")
    ] = "",
    reference: Annotated[
        Path | None, typer.Option(help="Folder of real clips, for fvd and kvd.")
    ] = None,
    encoders: Annotated[
        str,
        typer.Option(
            help="Comma-separated; measures all their metrics. Default: all but *_glyph with "
            "weights."
        ),
    ] = "",
    metrics: Annotated[
        str,
        typer.Option(
            help="Comma-separated ids, or names such as motion: measures these alone. Default: all "
            "of the encoders."
        ),
    ] = "",
    fps: Annotated[
        float | None, typer.Option(help="Frame rate of frame folders and .npy files.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Unknown columns are an error, not a note.")
    ] = False,
    root: Annotated[
        Path | None,
        typer.Option(help="Clips and images must lie here: for manifests that others wrote."),
    ] = None,
    hdr: Annotated[
        str, typer.Option(help="HDR clips: refuse them, or tone-map them to SDR.")
    ] = "refuse",
    allow_glyph_encoders: Annotated[
        bool,
        typer.Option(
            "--allow-glyph-encoders",
            help="Let the glyph world's encoders measure these clips; the page gives no verdict.",
        ),
    ] = False,
    timeout: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds to read or measure one clip.")
    ] = None,
    wait: Wait = 0.0,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes that read and measure clips; values are the same with any number.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what would be measured and about how long it takes."),
    ] = False,
    device: EncoderDevice = "auto",
    dtype: EncoderDtype = "float32",
    as_json: AsJson = False,
    trust_torchscript: TrustTorchscript = False,
    debug: Debug = False,
) -> None:
    """Score finished clips: mp4, mov, webm, mkv, gif, avi, frame folders, .npy. Exit 3: some
    failed; 2: nothing usable.

    The same command again scores only what is new, changed or failed.
    """
    from eval.clips.media import Hdr
    from eval.commands.results_table import show_results
    from eval.execute.estimate import estimate
    from eval.execute.finished import Scored, score
    from eval.execute.options import Options
    from eval.execute.pool import Pool
    from eval.execute.time_limits import end_command_if_overrun

    if hdr not in get_args(Hdr):
        raise EvalError(f"--hdr {hdr}: unknown. Allowed: {', '.join(get_args(Hdr))}.")
    if trust_torchscript:
        os.environ["I2V_EVAL_TRUST_TORCHSCRIPT"] = "1"
    vbench = _vbench(folder, layout, samples, info, images, ratio)
    start = time.perf_counter()
    chosen, named = (
        [name.strip() for name in names.split(",") if name.strip()] for names in (encoders, metrics)
    )
    pool = Pool(workers, kind="processes") if workers else None
    options = Options(timeout=timeout, wait=wait, debug=debug, pool=pool)
    if pool is None:
        end_command_if_overrun(timeout, "With --workers such a clip fails alone.")
    asked = partial(
        estimate if dry_run else score,
        folder,
        samples,
        out,
        encoders=chosen,
        metrics=named,
        reference=reference,
        fps=fps,
        strict=strict,
        root=root,
        hdr=cast(Hdr, hdr),
        allow_glyph_encoders=allow_glyph_encoders,
        options=options,
        device=device,
        dtype=dtype,
        rows=vbench.entries if vbench else None,
    )
    if dry_run:
        _show_estimate(cast("Estimate", asked()), workers)
        return
    scored = cast(Scored, asked())
    if vbench:
        vbench.write_record(scored.folder)
    for failure in scored.failures:
        say(f"failed: {one_line(str(failure))}", err=True)
    for warning in scored.warnings:
        say(f"warning: {one_line(warning)}", err=True)
    took = time.perf_counter() - start
    summary = scored.folder / "summary.csv"
    say(
        f"{scored.clips} clips scored, {len(scored.failures)} failed, {scored.decoded} decoded to "
        "measure"
        f" in {took:.1f} s: {summary}",
        err=as_json,
    )
    show_results(scored.folder, as_json=as_json)
    if scored.failures:
        raise typer.Exit(SOME_FAILED)


def _vbench(
    folder: Path,
    layout: str,
    samples: Path | None,
    info: Path | None,
    images: Path | None,
    ratio: str,
) -> VBenchFolder | None:
    """The clips of a folder in VBench's layout; None for another."""
    given = {"--info": info, "--images": images, "--ratio": ratio}
    if not layout:
        wrong = next((option for option, value in given.items() if value), None)
        if wrong:
            raise EvalError(f"{wrong} goes with --layout vbench")
        return None
    if layout != "vbench":
        raise EvalError(f"--layout {layout}: unknown. Allowed: vbench.")
    if samples is not None:
        raise EvalError("--samples does not go with --layout vbench: names tell image and prompt")
    if images is None:
        raise EvalError("--layout vbench: give --images, the folder of the input images")
    from eval.samples.vbench_folder import read_vbench_folder

    return read_vbench_folder(folder, info, images, ratio or None)


def _show_estimate(found: Estimate, workers: int | None) -> None:
    from rich.table import Table

    from eval.io.progress import duration

    for warning in found.warnings:
        say(f"warning: {one_line(warning)}", err=True)
    table = Table("encoder", "time", "metrics", box=None, pad_edge=False)
    for name, seconds in found.seconds.items():
        table.add_row(
            cell(name), duration(seconds), cell(", ".join(found.metrics.get(name, ["-"])))
        )
    show(table)
    total = sum(found.seconds.values())
    unread = f", {found.unread} more cannot be opened" if found.unread else ""
    shared = f", {duration(total / workers)} or more on {workers} processes" if workers else ""
    say(
        f"{found.clips} clips, {found.frames} frames{unread}: about {duration(total)}{shared}, "
        "told from a few frames of each size; nothing was written"
    )
