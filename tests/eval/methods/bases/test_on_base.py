"""The paper's methods on a base of one's own: suites by YAML alone, and pipelines by hand."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from eval.clips.lossless import rounded_clip
from eval.errors import EvalError, NotServedError, WeightsMissingError
from eval.io.loading import loaded
from eval.methods import first_frame, method_on_base
from eval.methods.base import read_base
from eval.methods.base_pipelines import release
from eval.plan.planning import make_plan
from eval.samples.seeds import derive_seed


def method(document: dict[str, Any], name: str = "i2v-adapter", **settings: Any) -> Any:
    base = read_base(document, Path(), "base")
    assert base is not None
    build, model = method_on_base(name, base)
    found = build(model(**(base.settings_of(model) | settings)))
    found.to("cpu", "float32")
    return found


def by_hand(root: Path, image: Any, prompt: str, seed: int, *, xl: bool = False, **call: Any):
    """The pipeline as a user of diffusers would build and call it."""
    from diffusers import MotionAdapter

    from i2v_adapter import I2VAdapter, I2VAdapterPipeline, I2VAdapterSDXLPipeline

    kind = I2VAdapterSDXLPipeline if xl else I2VAdapterPipeline
    pipeline = kind.from_pretrained(
        root / "model", motion_adapter=MotionAdapter.from_pretrained(root / "motion")
    )
    pipeline.register_modules(i2v_adapter=I2VAdapter.from_pretrained(root / "ours"))
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(seed)
    found = pipeline(image=image, prompt=prompt, generator=generator, output_type="np", **call)
    return rounded_clip(found.frames[0], 8.0)


@pytest.mark.parametrize("kind", ["sd15", "sdxl"])
def test_a_clip_is_bit_by_bit_that_of_the_pipeline_called_by_hand(request, base, photographs, kind):
    from i2v_adapter import FrameSimilarityPrior

    root = request.getfixturevalue(kind)
    sample, seed = photographs[0], 11
    made = method(
        base(root), "i2v-adapter-alone", t0=0.5, p=0.8, guidance_scale=5.0, negative_prompt="blur"
    ).generate([sample], [seed])[0]
    expected = by_hand(
        root,
        sample.image,
        sample.prompt,
        seed,
        xl=kind == "sdxl",
        num_frames=3,
        num_inference_steps=2,
        guidance_scale=5.0,
        negative_prompt="blur",
        prior=FrameSimilarityPrior(0.5, 0.8),
    )
    assert np.array_equal(made.frames, expected.frames)
    assert made.frames.shape == (3, *sample.image.shape)


def test_loading_a_base_is_no_part_of_a_clips_time(base, photographs):
    release()
    made = method(base())
    (blocks, seconds), start = loaded(), time.perf_counter()
    made.generate(photographs[:1], [1])
    whole = time.perf_counter() - start
    more, longer = loaded()
    assert more == blocks + 1
    assert 0 < longer - seconds < whole
    made.generate(photographs[:1], [1])
    assert loaded() == (more, longer)


@pytest.mark.parametrize("kind", ["sd15", "sdxl"])
def test_frame_0_is_the_image_through_the_vae_whatever_else_is_asked(
    request, base, photographs, kind
):
    root = request.getfixturevalue(kind)
    sample = photographs[0]
    clips = [
        method(base(root), t0=t0, guidance_scale=guidance).generate([sample], [3])[0]
        for t0, guidance in ((0.5, 1.0), (1.0, 7.0))
    ]
    assert np.array_equal(clips[0].frames[0], clips[1].frames[0])
    assert not np.array_equal(clips[0].frames[1], clips[1].frames[1])
    from diffusers import AutoencoderKL

    vae = AutoencoderKL.from_pretrained(root / "model", subfolder="vae").eval()
    pixels = torch.from_numpy(sample.image).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        latent = vae.encode(pixels).latent_dist.sample(torch.Generator().manual_seed(3))
        decoded = vae.decode(latent).sample[0].permute(1, 2, 0)
    expected = rounded_clip((decoded / 2 + 0.5).clamp(0, 1).numpy()[None], 8.0).frames[0]
    assert np.abs(clips[0].frames[0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    "adapter",
    [
        "ours",
        "official",
        {"model": "official", "weight_name": "i2v_module.pth"},
        {"model": "unofficial", "weight_name": "adapter.safetensors"},
        "unofficial/adapter.safetensors",
    ],
)
def test_an_adapter_in_any_layout_gives_the_same_clip(base, sd15, photographs, adapter):
    part = adapter if isinstance(adapter, dict) else {"model": adapter}
    part = {"pooled_group_norm": False, **part, "model": str(sd15 / part["model"])}
    clips = [
        method(base(i2v_adapter=which), "i2v-adapter-alone").generate(photographs[:1], [1])[0]
        for which in (str(sd15 / "ours"), part)
    ]
    assert np.array_equal(clips[0].frames, clips[1].frames)


@pytest.mark.parametrize(
    "name", ["i2v-adapter", "i2v-adapter-alone", "content-adapter", "image-prior", "text-to-video"]
)
def test_a_clip_does_not_depend_on_its_batch_and_states_its_first_frame(base, photographs, name):
    from eval.methods import load_method

    found = method(base(), name)
    assert first_frame(found) == first_frame(load_method(name))  # as on the glyph world
    together = found.generate(photographs, [1, 2])
    alone = found.generate(photographs[1:], [2])[0]
    assert np.abs(alone.frames.astype(int) - together[1].frames).max() <= 1
    assert (
        np.abs(found.generate(photographs[1:], [9])[0].frames.astype(int) - alone.frames).max() > 5
    )


def test_every_scale_moves_the_clip_and_zero_switches_its_part_off(base, sd15, photographs):
    document = base(loras=[str(sd15 / "lora")])

    def clip(name: str = "i2v-adapter", **settings: Any) -> np.ndarray:
        return method(document, name, **settings).generate(photographs[:1], [1])[0].frames

    whole = clip()
    for setting in ("scale", "content_scale", "lora_scale"):
        assert not np.array_equal(clip(**{setting: 0.3}), whole), setting
    plain = method(base(), "i2v-adapter").generate(photographs[:1], [1])[0].frames
    assert np.array_equal(clip(lora_scale=0.0), plain)
    alone = clip("i2v-adapter-alone")
    assert np.array_equal(clip(content_scale=0.0), alone)


def test_two_controlnets_see_a_folder_of_frames_for_each_sample(base, sd15, photographs, tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    for sample in photographs:
        (tmp_path / sample.id).mkdir()
        for frame in range(3):
            pixels = rng.integers(0, 256, sample.image.shape, dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / sample.id / f"{frame}.png")
    nets = [
        {"model": str(sd15 / f"control-{number}"), "frames": str(tmp_path), "scale": 0.5 * number}
        for number in (1, 2)
    ]
    both = method(base(controlnets=nets)).generate(photographs, [1, 2])
    without = method(base()).generate(photographs, [1, 2])
    one = method(base(controlnets=nets[:1])).generate(photographs[:1], [1])
    off = method(base(controlnets=nets), control_scale=0.0).generate(photographs[:1], [1])
    assert not np.array_equal(both[0].frames, without[0].frames)
    assert not np.array_equal(both[0].frames, one[0].frames)
    assert np.abs(off[0].frames.astype(int) - without[0].frames).max() <= 1
    with pytest.raises(EvalError, match="no conditioning frames for sample 'cat'"):
        method(base(controlnets=[str(sd15 / "control-1")])).generate(photographs[:1], [1])


def test_a_changed_file_of_the_base_changes_the_cells_that_use_it_alone(base, sd15, tmp_path):
    import shutil

    shutil.copytree(sd15 / "ours", tmp_path / "ours")
    document = base(i2v_adapter=str(tmp_path / "ours"))
    names = ("i2v-adapter", "i2v-adapter-alone", "text-to-video", "content-adapter")

    def prints() -> dict[str, str]:
        return {name: method(document, name).fingerprint() for name in names}

    before = prints()
    assert len(set(before.values())) == len(names)
    assert method(base(), "i2v-adapter").fingerprint() == before["i2v-adapter"]  # wherever it lies
    path = tmp_path / "ours" / "diffusion_pytorch_model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    after = prints()
    changed = {name for name in names if after[name] != before[name]}
    assert changed == {"i2v-adapter", "i2v-adapter-alone"}
    half = method(document, "text-to-video")
    half.to("cpu", "bfloat16")
    assert half.fingerprint() != after["text-to-video"]


@pytest.fixture
def write_suite(tmp_path, photographs, write_images):
    """(keys) -> a suite file over the photographs."""

    def write(**keys: Any) -> Path:
        write_images(tmp_path, photographs)
        suite = {
            "name": "own",
            "samples": {"source": "manifest", "path": "samples.jsonl"},
            "methods": [{"method": "i2v-adapter", "sweep": {"t0": [0.5, 1.0], "p": [0.5, 1.0]}}],
            "metrics": ["flicker.pixels.v1"],
            **keys,
        }
        path = tmp_path / "suite.yaml"
        path.write_text(yaml.safe_dump(suite, sort_keys=False))
        return path

    return write


def test_a_suite_by_yaml_alone_sweeps_t0_and_p_and_the_claims_leave_out_what_is_not_served(
    base, photographs, tmp_path, write_suite
):
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(base()))
    plan = make_plan(write_suite(base="base.yaml"))
    assert [cell.id for cell in plan.cells] == [
        f"i2v-adapter[t0={t0},p={p}]" for t0 in (0.5, 1.0) for p in (0.5, 1.0)
    ]
    assert plan.cells[0].settings["frames"] == 3  # the base's own
    from eval.execute.run import run

    outcome = run(str(tmp_path / "suite.yaml"), tmp_path / "run")
    assert (outcome.made, outcome.failures) == (8, [])
    again = run(str(tmp_path / "suite.yaml"), tmp_path / "run")
    assert (again.made, again.measured) == (0, 0)
    cell, sample = plan.cells[1], photographs[1]
    from eval.store.store import Store

    with Store(tmp_path / "run") as store:
        stored = store.read(cell.clip_key(plan.samples[1], 0))
    seed = derive_seed(sample.id, 0)
    hand = method(base(), t0=0.5, p=1.0).generate([sample], [seed])[0]
    assert np.abs(stored.frames.astype(int) - hand.frames).max() <= 1

    from eval.plan.suite import locate_suite

    claims = make_plan(locate_suite("claims"), {"base": str(tmp_path / "base.yaml")})
    left_out = " ".join(claims.notes)
    assert "full+style" in left_out
    assert "no lora named 'style_lora'" in left_out
    assert "concatenation" in left_out
    kept = {cell.id for cell in claims.cells}
    assert {"full", "prior[t0=0.6]", "true-clip"} <= kept
    with pytest.raises(
        NotServedError, match="cell concatenation: base: it has no concatenation_unet"
    ):
        make_plan(_with_base(locate_suite("claims"), tmp_path))


def _with_base(path: Path, folder: Path) -> Path:
    suite = yaml.safe_load(path.read_text())
    suite["base"] = "base.yaml"
    (folder / "claims.yaml").write_text(yaml.safe_dump(suite, sort_keys=False))
    return folder / "claims.yaml"


def test_the_glyph_world_takes_no_settings_of_a_base_and_other_methods_no_base(write_suite):
    entry = {"method": "still-image", "base": "glyph-world"}
    with pytest.raises(EvalError, match="method 'still-image' takes no base"):
        make_plan(write_suite(methods=[entry]))
    entry = {"method": "i2v-adapter", "settings": {"negative_prompt": "x"}}
    with pytest.raises(EvalError, match="unknown key 'negative_prompt'"):
        make_plan(write_suite(methods=[entry]))


def test_a_checkpoint_file_needs_the_configuration_of_its_kind(base, sd15, photographs, tmp_path):
    import diffusers

    from tests.eval.methods.bases import original_layout

    file = tmp_path / "model.safetensors"
    original_layout.save(diffusers.StableDiffusionPipeline.from_pretrained(sd15 / "model"), file)
    with pytest.raises(WeightsMissingError, match="give config: FOLDER"):
        method(base(model=str(file))).generate(photographs[:1], [1])


def test_a_method_on_a_base_goes_to_another_process_and_its_clips_elsewhere(
    base, photographs, tmp_path, write_suite
):
    import pickle

    from eval.execute.options import Options
    from eval.execute.run import run

    found = method(base())
    sent = pickle.loads(pickle.dumps(found))  # as Ray sends it
    assert sent.fingerprint() == found.fingerprint()
    clips = [each.generate(photographs[:1], [1])[0].frames for each in (found, sent)]
    assert np.array_equal(*clips)
    suite = write_suite(base=base(), methods=[{"method": "i2v-adapter", "sweep": {"p": [0.2, 1]}}])
    options = Options(storage=str(tmp_path / "elsewhere"))
    assert run(str(suite), tmp_path / "run", options=options).made == 4
    assert len(list((tmp_path / "elsewhere").rglob("*.mkv"))) == 4
