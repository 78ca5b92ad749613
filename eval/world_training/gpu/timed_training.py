"""Trains a whole world in a given number of minutes: `python -m eval.world_training --minutes 10`.

The minutes count everything, drawing the clips and capturing graphs as well. Each stage's share of
what is left is planned when it starts, so that a slow start shortens every stage and none is left
out. A stage that is done is not trained again; one that was cut off goes on from its checkpoint.
"""

from __future__ import annotations

import gc
import io
import json
import shutil
import tarfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from eval.errors import EvalError
from eval.world.cards import training_history
from eval.world_training.context import Context
from eval.world_training.gpu.rendering import Rendering, parts
from eval.world_training.gpu.size import SIZES
from eval.world_training.trainer import Recipe

_RESERVE = 8.0  # seconds at the end: cards, packing
_AROUND = 6.0  # seconds a stage takes beside training: loading, graphs, publishing
_SHARD = 15 * 2**20  # bytes
_PLANNED_BATCH = 64  # clips; the rates below are for it


@dataclass(frozen=True)
class Stage:
    """`share` of the time that all stages train; the learning rate at 64 clips a step, which goes
    with the root of the batch."""

    name: str
    share: float
    learning_rate: float
    seed: int
    ema_decay: float = 0.999

    def recipe(self, seconds: float, batch: int, device: str) -> Recipe:
        rate = self.learning_rate * (batch / _PLANNED_BATCH) ** 0.5
        return Recipe(
            steps=10**7,
            learning_rate=rate,
            seed=self.seed,
            minutes=seconds / 60.0,
            ema_decay=self.ema_decay,
            device=device,
        )


STAGES = (
    Stage("vae", 40.0, 1.5e-3, 101),
    Stage("spatial", 95.0, 1.2e-3, 201),
    Stage("motion", 110.0, 8e-4, 302),
    Stage("content", 30.0, 1e-3, 401),
    Stage("i2v", 90.0, 1e-3, 801),
    Stage("concat", 70.0, 7e-4, 802),
    Stage("lora", 12.0, 1e-3, 901),
    Stage("controlnet", 20.0, 5e-4, 1001),
)


TRAINED_ON = (
    Stage("motion", 190.0, 4e-4, 302),
    Stage("content", 70.0, 5e-4, 401),
    Stage("i2v", 120.0, 7e-4, 801),
    Stage("concat", 80.0, 4e-4, 802),
    Stage("lora", 12.0, 5e-4, 901),
    Stage("controlnet", 16.0, 3e-4, 1001),
)
"""Of a world that is trained on. The base gets most of the time: a base that has seen clean first
frames is what takes most off the adapter's error."""
_PARTS = {"motion": "unet", "content": "ip_adapter", "i2v": "i2v_adapter", "lora": "style_lora"}
_NEW_CLIPS = 2101
"""First seed of the clips of a world that is trained on; those from 2001 on have been seen."""


def plan(stages: list[Stage], remaining: float) -> float:
    """Seconds of training for the first of the `stages` still to come, when `remaining` seconds are
    left for all of them."""
    time_to_train = max(0.0, remaining - _RESERVE - _AROUND * len(stages))
    return max(0.5, time_to_train * stages[0].share / sum(stage.share for stage in stages))


def train_world(
    context: Context,
    *,
    started: float,
    minutes: float,
    size: str,
    batch: int,
    clips: int,
    workers: int,
    out: Path | None,
    ablation_seconds: float = 0.0,
) -> None:
    """Trains every stage that is not done yet in `context.work`, and packs the weights into `out`
    after each. With `context.go_on` the weights in `context.weights` are trained on, all but the
    VAE's, on new clips. A stage that fails does not end the others; the first words of the reason
    are in the journal, and an EvalError names them in the end.

    Args:
        started: when the command began, of the monotonic clock.
        minutes: for everything, from then on.
        size: of `eval.world_training.gpu.size.SIZES`.
        batch: clips a step; single frames are eight times as many.
        clips: drawn in all.
        workers: processes that draw them.
        ablation_seconds: of the minutes, kept for `eval.world_training.gpu.ablations`.
        out: gets `world.tar.0` and so on, none above 16 MB, the journal and the errors.
    """
    ends = started + 60.0 * minutes
    deadline = ends - ablation_seconds
    finest, stages = SIZES[size], TRAINED_ON if context.go_on else STAGES
    drawn = parts(clips, _NEW_CLIPS) if context.go_on else parts(clips)
    rendering = Rendering(drawn, workers, finest.pixels)  # forks: before CUDA is touched
    import torch

    from eval.world_training import prediction_errors
    from eval.world_training.gpu import adapter_stages, base_stages
    from eval.world_training.gpu.device_clips import Clips
    from eval.world_training.gpu.stage_setup import StageSetup, faster_attention

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    cuda = torch.device(context.device).type == "cuda"
    dtype = torch.bfloat16 if cuda else torch.float32
    say = _Journal(context.work, out, started)
    setup = StageSetup(
        context,
        Clips(rendering, context.device),
        finest,
        batch,
        dtype,
        faster_attention(
            batch * finest.side**2, finest.frames, finest.channels[0], context.device, dtype
        ),
    )
    say("attention of the motion modules", processor=type(setup.temporal).__name__)
    while rendering.ready() < min(len(rendering.chunks), 2 * workers):
        time.sleep(0.05)
    say("drawn enough to begin", chunks=rendering.ready())
    run: dict[str, Callable] = {
        "vae": base_stages.train_vae,
        "spatial": base_stages.train_spatial,
        "motion": base_stages.train_motion,
        "content": adapter_stages.train_content,
        "i2v": adapter_stages.train_i2v,
        "concat": adapter_stages.train_concat,
        "lora": adapter_stages.train_lora,
        "controlnet": adapter_stages.train_controlnet,
    }
    first = "motion" if context.go_on else "spatial"
    before: dict[str, Callable] = {first: base_stages.encode, "content": base_stages.read}

    def prepare(stage: str) -> None:
        """What `stage` and those before it read, once each."""
        names = [known.name for known in stages]
        for name in names[: names.index(stage) + 1]:
            if name in before:
                make = before.pop(name)
                make(setup)
                say(make.__name__)

    failed: dict[str, str] = {}
    for number, stage in enumerate(stages):
        if (context.work / stage.name / "done").exists():
            say("already done", stage=stage.name)
            continue
        torch.manual_seed(0)
        try:
            prepare(stage.name)
            seconds = plan(list(stages[number:]), deadline - time.monotonic())
            run[stage.name](setup, _recipe(context, stage, seconds, batch))
        except Exception as error:
            traceback.print_exc()
            failed[stage.name] = repr(error)[:500]
            say("failed", stage=stage.name, error=failed[stage.name])
        else:
            (context.work / stage.name / "done").touch()
            say("done", stage=stage.name, planned=round(seconds, 1))
        if out is not None:
            pack(context.weights, out)
        gc.collect()
        if cuda:
            torch.cuda.empty_cache()
    held_out = min(prediction_errors.CLIPS, clips)
    if failed:
        raise EvalError(
            f"stages failed: {failed}; the others are done, and will not be trained again"
        )
    if ablation_seconds:
        from eval.world_training.gpu.ablations import ablate

        prepare("i2v")
        ablate(setup, ablation_seconds, ends, held_out, out, say)
    measure(context, held_out, out)
    say("all done", left=round(ends - time.monotonic(), 1))


def _recipe(context: Context, stage: Stage, seconds: float, batch: int) -> Recipe:
    """The stage's; each training of a part that is trained on draws a stream of its own."""
    found = stage.recipe(seconds, batch, context.device)
    if not context.go_on:
        return found
    before = training_history(context.weights / _PARTS.get(stage.name, stage.name))
    return replace(found, seed=found.seed + 10_000 * len(before))


def measure(context: Context, held_out: int, out: Path | None) -> None:
    """The errors of every family on so many clips, into the work folder and `out`."""
    from eval.world_training import prediction_errors

    prediction_errors.show(context, held_out)
    if out is not None:
        shutil.copy(context.work / "prediction_errors.json", out)


class _Journal:
    """What happened when, as JSON lines, on the screen and in `out`."""

    def __init__(self, work: Path, out: Path | None, started: float) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self._start, self._paths = started, [work / "journal.jsonl"]
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            self._paths.append(out / "journal.jsonl")

    def __call__(self, event: str, **facts: object) -> None:
        line = json.dumps(
            {"seconds": round(time.monotonic() - self._start, 1), "event": event, **facts}
        )
        print(line, flush=True)
        for path in self._paths:
            with path.open("a") as file:
                file.write(line + "\n")


def pack(weights: Path, out: Path) -> None:
    """Writes the weights as a tar file in shards under 16 MB: `cat world.tar.* | tar x`."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.add(weights, arcname="weights")
    content = stream.getvalue()
    for number, start in enumerate(range(0, len(content), _SHARD)):
        (out / f"world.tar.{number}").write_bytes(content[start : start + _SHARD])
