"""A world that is trained on: where its stages start, what its base sees, and where it lies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import load_file

from eval.errors import EvalError
from eval.world.models import WEIGHTS
from eval.world_training.context import Context, published_base, published_vae
from eval.world_training.gpu import adapter_stages, base_stages, timed_training
from eval.world_training.gpu.device_clips import Clips
from eval.world_training.gpu.rendering import Rendering, parts
from eval.world_training.gpu.size import SIZES
from eval.world_training.gpu.stage_setup import StageSetup
from eval.world_training.gpu.start import size_of, start_folder
from eval.world_training.gpu.trainer import Draws
from eval.world_training.trainer import Recipe


class Stopped(Exception):
    """A stage has said what it would train."""


class Held(StageSetup):
    def train(self, stage: str, module: Any, tasks: Any, recipe: Recipe) -> Any:
        raise Stopped(module, tasks)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Held:
    context = Context(tmp_path_factory.mktemp("work"), WEIGHTS, None, "a test", go_on=True)
    clips = Clips(Rendering(parts(12), workers=1), "cpu")
    clips.finish()
    tokenizer, text_encoder, _ = published_base(context)
    clips.tokenize(tokenizer)
    clips.encode(published_vae(context))
    clips.read(text_encoder)
    return Held(context, clips, SIZES["coarse"], 2, torch.float32, AttnProcessor())


def _started(setup: Held, stage: Any) -> tuple[Any, Any]:
    with pytest.raises(Stopped) as stopped:
        stage(setup, Recipe(1, 1e-3, 1))
    return stopped.value.args[0], stopped.value.args[1]


@pytest.mark.parametrize(
    ("stage", "part"),
    [
        (adapter_stages.train_i2v, "i2v_adapter"),
        (adapter_stages.train_concat, "concat"),
        (adapter_stages.train_controlnet, "controlnet"),
    ],
)
def test_stages_start_from_the_published_weights(setup: Held, stage: Any, part: str) -> None:
    module, _ = _started(setup, stage)
    stated = load_file(WEIGHTS / part / "diffusion_pytorch_model.safetensors")
    found = module.state_dict()
    for name, value in stated.items():
        assert torch.equal(found[name], value.float()), name
    assert all(value.requires_grad for value in module.parameters())


def test_the_lora_and_the_content_adapter_start_from_the_published_ones(setup: Held) -> None:
    module, _ = _started(setup, adapter_stages.train_lora)
    stated = load_file(WEIGHTS / "style_lora" / "pytorch_lora_weights.safetensors")
    found = module.released_state()
    assert set(found) == {name.removeprefix("unet.") for name in stated}
    assert all(torch.equal(found[name.removeprefix("unet.")], stated[name]) for name in stated)
    module, _ = _started(setup, adapter_stages.train_content)
    stated = load_file(WEIGHTS / "image_encoder" / "model.safetensors")
    found = module.image_encoder.state_dict()
    assert all(torch.equal(found[name], value.float()) for name, value in stated.items())


def test_half_of_the_clips_of_the_base_have_a_clean_first_frame(setup: Held) -> None:
    _, tasks = _started(setup, base_stages.train_motion)
    assert [task.share for task in tasks] == [0.375, 0.375, 0.25]
    batch = tasks[0].draw(Draws("cpu", 1, 1))
    assert batch["latents"].shape[:3] == (2, 8, 8)
    other = {**batch, "noise": batch["noise"].clone()}
    other["noise"][:, :, 0] += 1.0
    with torch.no_grad():
        losses = [[float(task.loss(**known)) for known in (batch, other)] for task in tasks[:2]]
    assert abs(losses[0][1] - losses[0][0]) > 1e-4
    assert losses[1][1] == losses[1][0]  # its first frame has no noise
    assert losses[1][0] != losses[0][0]


def test_a_copy_of_the_shipped_weights_is_trained(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    start_folder(folder)
    assert size_of(folder) == "coarse"
    mine = folder / "unet" / "config.json"
    assert mine.read_bytes() == (WEIGHTS / "unet" / "config.json").read_bytes()
    assert not (folder / "clip").exists()  # encoders are no part of it
    config = json.loads(mine.read_text()) | {"block_out_channels": [5, 6]}
    mine.write_text(json.dumps(config))
    start_folder(folder)  # leaves what is there
    with pytest.raises(EvalError, match="has none of the sizes coarse, fine, sixteen"):
        size_of(folder)
    with pytest.raises(EvalError, match="trains a copy of the weights that ship"):
        start_folder(WEIGHTS)


def test_each_training_of_a_part_draws_a_stream_of_its_own(tmp_path: Path) -> None:
    [motion] = [stage for stage in timed_training.TRAINED_ON if stage.name == "motion"]
    first = Context(tmp_path, tmp_path / "weights", 1.0, "a test", go_on=True)
    assert timed_training._recipe(first, motion, 9.0, 64).seed == motion.seed
    shipped = first._replace(weights=WEIGHTS)
    card = json.loads((WEIGHTS / "unet" / "card.json").read_text())
    trainings = 1 + len(card.get("before", []))
    found = timed_training._recipe(shipped, motion, 9.0, 64)
    assert found.seed == motion.seed + 10_000 * trainings
    assert found.minutes == pytest.approx(0.15)


def test_clips_that_are_trained_on_are_new() -> None:
    seeds = {part.seed for part in parts(12)}
    assert not seeds & {part.seed for part in parts(12, timed_training._NEW_CLIPS)}
