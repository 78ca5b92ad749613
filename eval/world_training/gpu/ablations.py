"""What limits the adapter: short trainings that differ in one thing each, compared by the errors of
`eval.world_training.prediction_errors`.

Every arm trains the I2V adapter from its start, for the same time or for the same number of steps.
What does not fit into a time is left out, and the journal says so.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from eval.world import models
from eval.world_training import prediction_errors
from eval.world_training.context import Context, published_base, published_image_encoder
from eval.world_training.gpu.adapter_stages import i2v_task
from eval.world_training.gpu.base_stages import clean_first_task, mixed_rows, text_task
from eval.world_training.gpu.stage_setup import StageSetup, set_motion_attention
from eval.world_training.gpu.trainer import Task
from eval.world_training.stages import epsilon, motion
from eval.world_training.trainer import Recipe

_SPARE = 5.0  # seconds an arm takes beside its training


@dataclass(frozen=True)
class Arm:
    """One thing changed: `layers` that learn (a pattern of their names, the others stay at zero),
    the floor of the loss's weights, or a base that is trained on first, with or without clips whose
    first frame is clean."""

    name: str
    layers: str = ""
    floor: float = epsilon.SNR_FLOOR
    more_base: bool = False
    clean_first: bool = False

    @property
    def trainings(self) -> int:
        return 2 if self.more_base else 1


_FINEST = r"down_blocks\.0|up_blocks\.1"
ARMS = (
    Arm("as it is"),
    Arm("base trained on, half of its clips with a clean first frame", more_base=True,
        clean_first=True),
    Arm("base trained on as before", more_base=True),
    Arm("not in the finest layers", layers=f"^(?!.*({_FINEST}))"),
    Arm("errors at high noise weigh up to four times as much", floor=1.0),
    Arm("in the finest layers alone", layers=f"({_FINEST})"),
)  # fmt: skip


@dataclass(frozen=True)
class Budget:
    """What every training of an arm gets: `seconds`, or `steps`."""

    seconds: float | None = None
    steps: int = 10**7

    def recipe(self, rate: float, seed: int, device: str) -> Recipe:
        minutes = None if self.seconds is None else self.seconds / 60.0
        return Recipe(self.steps, rate, seed, minutes=minutes, device=device)


def ablate(
    setup: StageSetup,
    seconds: float,
    ends: float,
    held_out: int,
    out: Path | None,
    say: Callable[..., None],
) -> None:
    """Runs what fits before `ends` (of the monotonic clock), compared on `held_out` clips, and
    writes `ablations.json`: the errors of each arm, and their paired differences from the first
    arm's."""
    each = seconds / sum(arm.trainings for arm in ARMS) - _SPARE
    each = max(each, min(10.0, seconds))

    def fits(arm: Arm) -> bool:
        return ends - time.monotonic() >= arm.trainings * (each + _SPARE) + 5.0

    folders = [path for path in (setup.context.work, out) if path is not None]
    _compare(setup, Budget(seconds=each), held_out, folders, say, fits)


def ablate_what_ships(context: Context, batch: int = 8, clips: int = 4000) -> None:
    """The same on the published weights, every arm for `context.steps` steps (500) of `batch`
    clips: what a CPU can do in an hour. A killed arm goes on."""
    from diffusers.models.attention_processor import AttnProcessor

    from eval.world.tokenizer import build_clip_tokenizer
    from eval.world_training.context import published_vae
    from eval.world_training.gpu.base_stages import read
    from eval.world_training.gpu.device_clips import Clips
    from eval.world_training.gpu.rendering import Rendering, parts
    from eval.world_training.gpu.size import COARSE

    known = Clips(Rendering(parts(clips), workers=1), context.device)
    setup = StageSetup(context, known, COARSE, batch, torch.float32, AttnProcessor())
    known.finish()
    known.tokenize(build_clip_tokenizer())
    known.encode(setup.here(published_vae(context)))
    read(setup)

    def say(event: str, **facts: object) -> None:
        print(json.dumps({"event": event, **facts}), flush=True)

    budget = Budget(steps=context.steps or 500)
    _compare(setup, budget, prediction_errors.CLIPS, [context.work], say, lambda arm: True)


def _compare(
    setup: StageSetup,
    budget: Budget,
    held_out: int,
    folders: list[Path],
    say: Callable[..., None],
    fits: Callable[[Arm], bool],
) -> None:
    work = setup.context.work
    tokenizer, text_encoder, _ = published_base(setup.context)
    known = prediction_errors.held_out(setup.context, tokenizer, held_out)
    text_encoder.to(setup.device)
    image_encoder = published_image_encoder(setup.context).to(setup.device)
    found: dict[str, np.ndarray] = {}
    steps: dict[str, int] = {}
    for number, arm in enumerate(ARMS):
        if found and not fits(arm):
            say("left out", arm=arm.name)
            continue
        unet, steps[arm.name] = _train(setup, arm, budget, work / "ablations" / str(number))

        def predict(noisy, times, states, shown, _, unet=unet):
            return unet(noisy, times, states, added_cond_kwargs=shown).sample

        found[arm.name] = prediction_errors.errors(
            known, text_encoder, image_encoder, predict, device=setup.device, clean_first=True
        )
        say("arm", arm=arm.name, errors=[round(float(v), 4) for v in found[arm.name].mean(axis=1)])
        _write(found, steps, budget, folders)


def _write(found: dict, steps: dict[str, int], budget: Budget, folders: list[Path]) -> None:
    first = next(iter(found.values()))
    table = {
        name: {
            "steps": steps[name],
            "errors": prediction_errors.summary(values),
            "difference": prediction_errors.summary(values - first),
        }
        for name, values in found.items()
    }
    for folder in folders:
        facts = {"seconds": budget.seconds, "clips": first.shape[1], "arms": table}
        text = json.dumps(facts, indent=1)
        (folder / "ablations.json").write_text(text + "\n")


def _train(setup: StageSetup, arm: Arm, budget: Budget, folder: Path) -> tuple[Any, int]:
    """The system with its adapter trained, in float32, and the adapter's steps."""
    from i2v_adapter import I2VAdapter

    _, text_encoder, unet = published_base(setup.context)
    set_motion_attention(unet, setup.temporal)
    if arm.more_base:
        setup.here(unet, learns=True)
        tasks = _base_tasks(setup, setup.here(text_encoder), unet, arm.clean_first)
        setup.train(
            f"{folder.relative_to(setup.context.work)}/base",
            unet,
            tasks,
            budget.recipe(3e-4, 31, setup.device),
        )
        unet = unet.to(setup.device)
    unet._load_ip_adapter_weights(
        [models.published_ip_adapter(setup.context.weights)], low_cpu_mem_usage=False
    )
    setup.here(unet)
    adapter = I2VAdapter.from_unet(unet)
    setup.here(adapter, learns=True)
    for name, value in adapter.named_parameters():
        value.requires_grad_(re.search(arm.layers, name) is not None)
    adapter.attach(unet)
    outcome = setup.train(
        f"{folder.relative_to(setup.context.work)}/adapter",
        adapter,
        [i2v_task(setup, unet, arm.floor)],
        budget.recipe(1e-3, 32, setup.device),
    )
    for module in (unet, outcome.module):
        nn.Module.to(module, setup.device, torch.float32)
    return unet.eval(), outcome.steps


def _base_tasks(setup: StageSetup, text_encoder: Any, unet: Any, clean_first: bool) -> list[Task]:
    usual = text_task(
        setup,
        text_encoder,
        unet,
        lambda draws, count: mixed_rows(setup, draws, count),
        clips=True,
        high_noise=motion.HIGH_NOISE,
    )
    if not clean_first:
        return [usual]
    half = usual._replace(share=0.5)
    return [half, clean_first_task(setup, text_encoder, unet, half)]
