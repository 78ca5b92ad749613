"""A training run from its configuration: data, models, loop, and what is written on the way."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from diffusers.training_utils import EMAModel

from i2v_adapter.adapter import I2VAdapter
from i2v_adapter.training.config import TrainingConfig, TrainingError
from i2v_adapter.training.dataset import ClipBatches, Clips
from i2v_adapter.training.frozen_models import encoder, load_pipeline
from i2v_adapter.training.loop import STATE_NAME, TrainingResult, train
from i2v_adapter.training.progress_clips import load_images, load_measure, make_samples
from i2v_adapter.training.sources import open_source
from i2v_adapter.training.state import disk_errors, save_folder
from i2v_adapter.training.tracking import choose_trackers

_DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}
_NAMED_AT_MOST = 10


def run(config: TrainingConfig) -> TrainingResult:
    """Train as configured, or resume from the state in `config.output`.

    Written there: `config.json`, `training_state.pt` (to go on from), `step-<n>/` and at the end
    `adapter/` (the adapter; its moving average, if there is one), `log.jsonl`, `samples/<n>/`,
    `skipped.csv` (unusable videos), `notes.csv` (what reading changed in others).

    Raises:
        TrainingError: something in the configuration, or in what it names, cannot be used.
    """
    output = config.output
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(
            f"output: {output}: the folder cannot be made ({error.strerror})"
        ) from error
    trackers = choose_trackers(config.trackers, output / "log.jsonl")
    try:
        accelerator = Accelerator(
            mixed_precision=config.mixed_precision,
            gradient_accumulation_steps=config.accumulation,
            log_with=trackers,
            project_dir=output,
        )
    except ValueError as error:
        raise TrainingError(
            f"mixed_precision: {config.mixed_precision!r} cannot be used here ({error})"
        ) from error
    _check_unchanged(config, accelerator)
    source = open_source(config.data)
    for note in source.notes:
        _say(accelerator, f"note: {note}")
    clips = Clips(source, config.data, config.dropout, config.seed)
    measure = (
        load_measure(config.samples.measure) if config.samples and config.samples.measure else None
    )
    images = load_images(config.samples, config.data) if config.samples else []

    pipeline = load_pipeline(config, _DTYPES.get(accelerator.mixed_precision, torch.float32)).to(
        accelerator.device
    )
    adapter = pipeline.i2v_adapter
    if config.gradient_checkpointing:
        pipeline.unet.enable_gradient_checkpointing()
    ema = (
        None if config.ema_decay is None else EMAModel(adapter.parameters(), decay=config.ema_decay)
    )
    accelerator.init_trackers("i2v-adapter", config={"config": config.model_dump_json()})

    def on_step(step: int, loss: float) -> None:
        accelerator.log({"loss": loss}, step=step)
        if step % config.log_every == 0 or step == config.steps:
            _say(accelerator, f"step {step}/{config.steps}: loss {loss:.5f}")
        sampling = config.samples is not None and step % config.samples.every == 0
        saving = step % config.save_every == 0
        if not (saving or sampling):
            return
        if saving:
            _record_videos(clips.skipped, output / "skipped.csv", "reason", accelerator)
            _record_videos(clips.notes, output / "notes.csv", "note", accelerator)
        if accelerator.is_main_process:
            with _averaged(adapter, ema):
                if saving:
                    save_folder(output / f"step-{step:06}", adapter.save_pretrained)
                if sampling and config.samples is not None:
                    made = make_samples(
                        pipeline,
                        config.samples,
                        images,
                        config.data.frames,
                        output / "samples" / f"{step:06}",
                    )
                    if measure is not None:
                        accelerator.log(
                            {name: float(value) for name, value in measure(made).items()}, step=step
                        )
        accelerator.wait_for_everyone()

    encode = encoder(pipeline)
    with ClipBatches(
        clips,
        config.batch_size,
        stop=config.steps * config.accumulation,
        process=accelerator.process_index,
        processes=accelerator.num_processes,
        workers=config.data.workers,
    ) as batches:
        result = train(
            adapter,
            pipeline.unet,
            lambda number: encode(batches(number)),
            scheduler=type(pipeline.scheduler).from_config(pipeline.scheduler.config),
            steps=config.steps,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            max_grad_norm=config.max_grad_norm,
            snr_gamma=config.snr_gamma,
            snr_floor=config.snr_floor,
            seed=config.seed,
            state_dir=output,
            save_every=config.save_every,
            on_step=on_step,
            accelerator=accelerator,
            ema=ema,
        )
    if accelerator.is_main_process:
        with _averaged(adapter, ema):
            save_folder(output / "adapter", adapter.save_pretrained)
    skipped = _record_videos(clips.skipped, output / "skipped.csv", "reason", accelerator)
    _record_videos(clips.notes, output / "notes.csv", "note", accelerator)
    accelerator.end_training()
    if skipped:
        _say(
            accelerator,
            f"skipped {len(skipped)} unusable videos, all named in {output / 'skipped.csv'}:",
        )
        for name, reason in list(skipped.items())[:_NAMED_AT_MOST]:
            _say(accelerator, f"  {name} {reason}")
    return result


def _say(accelerator: Accelerator, line: str) -> None:
    if accelerator.is_main_process:
        print(line, file=sys.stderr, flush=True)


def _check_unchanged(config: TrainingConfig, accelerator: Accelerator) -> None:
    """Refuses to resume a folder with a changed configuration."""
    path = config.output / "config.json"
    launched = {
        "mixed_precision": accelerator.mixed_precision,
        "processes": accelerator.num_processes,
    }
    now = {**config.of_the_weights(), **launched}
    if path.is_file() and (config.output / STATE_NAME).is_file():
        try:
            before = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise TrainingError(
                f"output: {path} cannot be read ({error}); it says what the state beside it was "
                "trained with: choose another folder"
            ) from error
        changed = sorted(
            key for key in now.keys() | before.keys() if now.get(key) != before.get(key)
        )
        if changed:
            raise TrainingError(
                f"output: {config.output} holds a run with another {', '.join(changed)}: choose "
                "another folder, and to"
                " start from that run's weights set adapter to its adapter folder"
            )
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        with disk_errors(path):
            path.write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")


@contextmanager
def _averaged(adapter: I2VAdapter, ema: EMAModel | None) -> Iterator[None]:
    """Uses the moving average, if there is one, as the adapter's weights within the block."""
    if ema is None:
        yield
        return
    ema.store(adapter.parameters())
    ema.copy_to(adapter.parameters())
    try:
        yield
    finally:
        ema.restore(adapter.parameters())


def _record_videos(
    videos: Mapping[str, str], path: Path, column: str, accelerator: Accelerator
) -> dict[str, str]:
    """Write a table of videos with a remark on each, from all processes and from before the run was
    resumed. All processes call this.

    Returns:
        them, in the main process; nothing in the others.
    """
    everywhere = gather_object([dict(videos)])
    merged: dict[str, str] = {}
    if not accelerator.is_main_process:
        return merged
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            merged = {row["video"]: row[column] for row in csv.DictReader(file)}
    for part in everywhere:
        merged |= part
    if merged:
        with disk_errors(path), path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["video", column])
            writer.writerows(sorted(merged.items()))
    return merged
