"""What a base may switch on, each against the pipeline called by hand or against its absence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from eval import device as devices
from eval.clips.lossless import Clip, rounded_clip, write_clip
from eval.errors import EvalError
from eval.execute.run import run
from eval.methods.base import read_base
from eval.plan.suite import locate_suite
from eval.samples import load_samples
from tests.eval.methods.bases.test_on_base import method


def frames(document: dict[str, Any], sample: Any, name: str = "i2v-adapter-alone", **settings: Any):
    return method(document, name, **settings).generate([sample], [1])[0].frames


def by_hand(root: Path, sample: Any, prepare: Any = None, *, single: bool = False, **call: Any):
    """Frames of `I2VAdapterPipeline`, built from its parts; `single`: one generator, no list."""
    from diffusers import MotionAdapter

    from i2v_adapter import I2VAdapter, I2VAdapterPipeline

    pipeline = I2VAdapterPipeline.from_pretrained(
        root / "model", motion_adapter=MotionAdapter.from_pretrained(root / "motion")
    )
    pipeline.register_modules(i2v_adapter=I2VAdapter.from_pretrained(root / "ours"))
    pipeline.set_progress_bar_config(disable=True)
    if prepare is not None:
        prepare(pipeline)
    generator = torch.Generator().manual_seed(1)
    found = pipeline(
        image=[sample.image],
        prompt=[sample.prompt],
        generator=generator if single else [generator],
        output_type="np",
        num_inference_steps=2,
        guidance_scale=7.5,
        **({"num_frames": 3} | call),
    )
    return rounded_clip(found.frames[0], 8.0).frames


def test_clip_skip_takes_the_text_encoders_last_layer_but_one(base, sd15, photographs):
    from i2v_adapter import FrameSimilarityPrior

    prior = FrameSimilarityPrior(1.0, 0.5)
    made = frames(base(), photographs[0], clip_skip=1)
    assert np.array_equal(made, by_hand(sd15, photographs[0], clip_skip=1, prior=prior))
    assert not np.array_equal(made, frames(base(), photographs[0]))


def test_free_init_refines_the_start_of_one_cell_and_leaves_the_next_alone(base, sd15, photographs):
    from i2v_adapter import FrameSimilarityPrior

    options = {"num_iters": 2, "method": "gaussian"}
    plain = frames(base(), photographs[0])
    made = frames(base(), photographs[0], free_init=options)
    expected = by_hand(
        sd15,
        photographs[0],
        lambda pipeline: pipeline.enable_free_init(**options),
        prior=FrameSimilarityPrior(1.0, 0.5),
    )
    assert np.array_equal(made, expected)
    assert not np.array_equal(made, plain)
    assert np.array_equal(frames(base(), photographs[0]), plain)


def test_free_noise_makes_a_long_clip_in_windows(base, sd15, photographs):
    from i2v_adapter import FrameSimilarityPrior

    options = {"context_length": 4, "context_stride": 2}
    plain = frames(base(), photographs[0], frames=6)
    made = frames(base(), photographs[0], frames=6, free_noise=options)
    expected = by_hand(
        sd15,
        photographs[0],
        lambda pipeline: pipeline.enable_free_noise(**options),
        single=True,
        num_frames=6,
        prior=FrameSimilarityPrior(1.0, 0.5),
    )
    assert np.array_equal(made, expected)
    assert not np.array_equal(made, plain)
    assert np.array_equal(frames(base(), photographs[0], frames=6), plain)


def test_a_compiled_base_makes_the_clips_of_one_that_is_not(base, photographs):
    """Without a compiler: the compiled UNet runs eagerly, with all that hangs on it."""
    plain = frames(base(), photographs[0], "i2v-adapter")
    torch.compiler.set_stance("force_eager")
    try:
        made = frames(base(compile=True), photographs[0], "i2v-adapter")
    finally:
        torch.compiler.set_stance("default")
    assert np.array_equal(made, plain)


def test_memory_savers_change_a_clip_by_rounding_at_most(base, sd15, photographs):
    from i2v_adapter import FrameSimilarityPrior

    plain = frames(base(), photographs[0])
    keys = ("vae_slicing", "attention_slicing", "forward_chunking")
    saved = frames(base(**dict.fromkeys(keys, True)), photographs[0])
    assert np.abs(saved.astype(int) - plain).max() <= 1
    prior = FrameSimilarityPrior(1.0, 0.5)
    tiled = by_hand(sd15, photographs[0], lambda pipe: pipe.vae.enable_tiling(), prior=prior)
    assert np.array_equal(frames(base(vae_tiling=True), photographs[0]), tiled)


@pytest.mark.parametrize("offload", ["model", "sequential"])
def test_offload_needs_a_gpu_and_gives_the_same_clip_there(base, photographs, offload):
    if not torch.cuda.is_available():
        with pytest.raises(EvalError, match=f"offload: {offload} moves parts .* the CPU; remove"):
            frames(base(offload=offload), photographs[0])
        with pytest.raises(EvalError, match="offload moves parts from the CPU to a GPU"):
            read_base(base(offload=offload, device="cpu"), Path(), "base")
        return
    clips = []
    for changes in ({}, {"offload": offload}):
        clips.append(frames(base(device="cuda", **changes), photographs[0]))
    assert np.abs(clips[0].astype(int) - clips[1]).max() <= 1


def test_channel_concatenation_sees_the_image_through_the_widened_unet_alone(
    base, widened, photographs
):
    cat, coffee = photographs
    other = replace(cat, image=coffee.image)  # the same prompt, another image

    def clip(kind: str, sample: Any, name: str = "channel-concatenation") -> np.ndarray:
        return frames(base(concatenation_unet=str(widened / kind)), sample, name)

    assert np.array_equal(clip("plain", cat), clip("plain", other))
    seen = clip("seeing", cat)
    assert np.abs(seen.astype(int) - clip("seeing", other)).max() > 5
    blind = [clip("seeing", sample, "concatenation-text") for sample in (cat, other)]
    assert np.array_equal(*blind)
    assert np.abs(seen.astype(int) - blind[0]).max() > 5


def test_conditioning_frames_come_from_a_column_of_the_manifest(
    base, sd15, photographs, write_images, tmp_path
):
    rng = np.random.default_rng(0)
    manifest = write_images(tmp_path, photographs)
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    for row in rows:
        pixels = rng.integers(0, 256, (3, 32, 48, 3), dtype=np.uint8)
        (tmp_path / "maps").mkdir(exist_ok=True)
        write_clip(tmp_path / "maps" / f"{row['id']}.mkv", Clip(pixels, 8.0))
        row["conditioning"] = f"maps/{row['id']}.mkv"
    manifest.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    samples = load_samples({"source": "manifest", "path": manifest.name}, folder=tmp_path)
    assert samples.notes == []
    assert samples[0].fingerprint != replace(samples[0], conditioning=None).fingerprint

    def clip(sample: Any, **net: Any) -> np.ndarray:
        nets = [{"model": str(sd15 / "control-1"), **net}]
        return frames(base(controlnets=nets), sample)

    own = clip(samples[0])
    assert np.array_equal(own, clip(photographs[0], frames=str(tmp_path / "maps")))
    swapped = replace(samples[0], conditioning=samples[1].conditioning)
    assert not np.array_equal(own, clip(swapped))
    document = base(controlnets=[str(sd15 / "control-1")])
    with pytest.raises(EvalError, match="conditioning of sample 'cat' has 3 frames; 4 are needed"):
        frames(document, samples[0], frames=4)


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("sd15", ".safetensors"), ("sd15", ".ckpt"), ("sdxl", ".safetensors"), ("sdxl", ".ckpt")],
)
def test_one_checkpoint_file_gives_the_clip_of_the_same_model_in_a_folder(
    request, base, photographs, tmp_path, kind, suffix
):
    import diffusers

    from tests.eval.methods.bases import original_layout

    root = request.getfixturevalue(kind)
    file = tmp_path / f"model{suffix}"
    original_layout.save(diffusers.DiffusionPipeline.from_pretrained(root / "model"), file)
    folder = frames(base(root), photographs[0])
    single = frames(base(root, model=str(file), config=str(root / "model")), photographs[0])
    assert np.array_equal(single, folder)


def test_a_file_that_is_no_base_is_refused_by_name(base, sd15, tmp_path):
    from safetensors.torch import save_file

    def refused(file: Path) -> str:
        with pytest.raises(EvalError) as error:
            method(base(model=str(file))).fingerprint()
        assert str(file) in str(error.value)
        return str(error.value)

    one = torch.zeros(1)
    names = {
        "lora": ["lora_unet_down.weight"],
        "sd2": ["model.diffusion_model.x", "cond_stage_model.model.y"],
        "refiner": ["model.diffusion_model.x", "conditioner.embedders.0.model.y"],
    }
    for name, tensors in names.items():
        save_file({tensor: one.clone() for tensor in tensors}, tmp_path / f"{name}.safetensors")
        torch.save({tensor: one.clone() for tensor in tensors}, tmp_path / f"{name}.ckpt")
    for suffix in ("safetensors", "ckpt"):
        assert "no Stable Diffusion checkpoint" in refused(tmp_path / f"lora.{suffix}")
        assert "of the SD 2 kind" in refused(tmp_path / f"sd2.{suffix}")
        assert "SDXL refiner" in refused(tmp_path / f"refiner.{suffix}")
    torch.save({"state_dict": {}, "code": Path("a")}, tmp_path / "code.ckpt")
    assert "code in a checkpoint is not run" in refused(tmp_path / "code.ckpt")
    (tmp_path / "cut.safetensors").write_bytes(b"\x08\x00")
    assert "is not readable" in refused(tmp_path / "cut.safetensors")
    (tmp_path / "model.zip").write_bytes(b"")
    assert "not one of .safetensors" in refused(tmp_path / "model.zip")


def test_out_of_memory_halves_the_batch_then_fails_the_clip_and_the_rest_goes_on(
    base, photographs, write_images, tmp_path, monkeypatch
):
    from eval.methods import on_base

    calls: list[int] = []
    build = on_base.pipeline

    def small(recipe: Any, device: str) -> Any:
        found = build(recipe, device)

        def call(**arguments: Any) -> Any:
            calls.append(len(arguments["image"]))
            if len(arguments["image"]) > 1 or "coffee" in arguments["prompt"][0]:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB")
            return found(**arguments)

        class Small:
            i2v_adapter = found.i2v_adapter
            __call__ = staticmethod(call)

        return Small()

    monkeypatch.setattr(on_base, "pipeline", small)
    write_images(tmp_path, photographs)
    suite = {
        "name": "small",
        "samples": {"source": "manifest", "path": "samples.jsonl"},
        "base": base(),
        "methods": [{"method": "i2v-adapter-alone"}, {"method": "still-image"}],
        "metrics": ["flicker.pixels.v1"],
    }
    suite["methods"][1]["settings"] = {"frames": 3, "fps": 8}
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(suite))
    devices.release("encoders")  # of earlier tests: a first attempt that frees them is repeated
    outcome = run(str(tmp_path / "suite.yaml"), tmp_path / "run")
    assert calls == [2, 1, 1]
    assert (outcome.made, outcome.measured) == (3, 3)
    [failure] = outcome.failures
    assert (failure.cell, failure.sample) == ("i2v-adapter-alone", "coffee")
    assert "out of memory" in failure.reason


def test_the_claims_run_on_another_base_without_the_cells_that_it_cannot_serve(base, tmp_path):
    suite = yaml.safe_load(locate_suite("claims").read_text())
    wanted = ("full", "prior", "concatenation", "full+style", "full+control")
    suite["methods"] = [entry for entry in suite["methods"] if entry["label"] in wanted]
    for entry in suite["methods"]:
        entry["settings"] |= {"steps": 1, "guidance_scale": 1.0}
        if "t0" in entry.get("sweep", {}):
            entry["sweep"]["t0"] = [1.0, 0.6]
    suite["samples"] |= {"seen": 2, "unseen": 2, "styled": 1, "controlled": 1}
    suite["metrics"] = ["paper.flow_score.flow_dis.v1"]
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(suite, sort_keys=False))
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(base(settings={"frames": 3})))
    changes = {"base": str(tmp_path / "own.yaml")}
    outcome = run(str(tmp_path / "suite.yaml"), tmp_path / "run", changes=changes)
    assert outcome.failures == []
    assert outcome.made == 5 + 2 * 4
    told = [line for line in outcome.warnings if line.startswith("left out")]
    for cell in ("concatenation", "full+style", "full+control"):
        assert any(cell in line for line in told), cell
    claims = json.loads((tmp_path / "run" / "claims.json").read_text())["claims"]
    tests = {test["title"]: test for claim in claims for test in claim["tests"]}
    assert tests["motion rises with t0 from 0.6 to 1.0 at p = 1"]["n"] == 4
    assert {claim["number"]: claim["verdict"] for claim in claims}[7] == "not measured"
