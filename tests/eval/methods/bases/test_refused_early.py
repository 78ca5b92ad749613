"""What cannot work is refused while the suite is read, before anything is made."""

from __future__ import annotations

from pathlib import Path

import diffusers
import pytest
import torch
import yaml

from eval.errors import EvalError
from eval.plan.planning import make_plan
from tests.eval.methods.bases.test_on_base import method


@pytest.fixture
def planned(base, photographs, write_images, tmp_path):
    """(changes of the base) -> the plan of a suite on it."""

    def plan(**changes):
        suite = {
            "name": "mine",
            "samples": {"source": "manifest", "path": write_images(tmp_path, photographs).name},
            "base": base(**changes),
            "methods": [{"method": "i2v-adapter-alone"}, {"method": "text-to-video"}],
            "metrics": ["flicker.pixels.v1"],
        }
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(suite))
        return make_plan(path)

    return plan


def test_a_setting_that_no_family_has_is_named(planned):
    planned(settings={"steps": 2, "t0": 0.8, "content_scale": 0.5})  # text-to-video has no t0
    with pytest.raises(EvalError, match=r"base\.settings: unknown key 'stpes'.*Did you mean 'step"):
        planned(settings={"stpes": 2})


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": "float16"}, "dtype float16 needs a GPU"),
        ({"device": "cuda"}, "device 'cuda': torch .* finds no CUDA GPU here; use --device cpu"),
        ({"offload": "model"}, "offload: model moves parts from the CPU to a GPU"),
        ({"device": "tpu"}, "base.device: 'tpu' is not allowed: give one of auto, cpu, cuda, "),
        ({"device": "cuda:x"}, "base.device: 'cuda:x' is not allowed"),
    ],
)
def test_a_base_that_this_machine_cannot_hold_is_refused_with_the_plan(planned, changes, message):
    with pytest.raises(EvalError, match=message):
        planned(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"beta_shedule": "linear"}, "DDIMScheduler has no 'beta_shedule'. Did you mean 'beta_s"),
        ({"beta_schedule": "lin"}, "lin is not implemented"),
        ({"num_train_timesteps": "many"}, "'many'.* cannot be used"),
        ({"class": "FlowMatchEulerDiscreteScheduler"}, "models of another kind"),
        ({"class": 5}, "no scheduler '5'"),
    ],
)
def test_a_scheduler_that_cannot_be_made_is_refused(base, changes, message):
    with pytest.raises(EvalError, match=f"scheduler: .*{message}"):
        method(base(scheduler=changes)).fingerprint()


def test_changes_without_a_class_are_those_of_the_models_own_scheduler(base, sd15: Path):
    found = method(base(scheduler={"beta_schedule": "scaled_linear"})).prepared().scheduler
    own = diffusers.DDIMScheduler.from_pretrained(sd15 / "model", subfolder="scheduler")
    assert own.config.beta_schedule == "linear"
    wanted = diffusers.DDIMScheduler.from_config(own.config, beta_schedule="scaled_linear")
    assert type(found) is diffusers.DDIMScheduler
    assert torch.equal(found.betas, wanted.betas)
    assert not torch.equal(found.betas, own.betas)
