"""Pipelines of each kind from folders in the hub's layout: SD 1.5, SDXL, ControlNet; what each must
do.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    ControlNetModel,
    MotionAdapter,
    UNetMotionModel,
)
from PIL import Image
from torch import Tensor

from i2v_adapter import (
    I2VAdapter,
    I2VAdapterControlNetPipeline,
    I2VAdapterPipeline,
    I2VAdapterSDXLPipeline,
)

Trained = Callable[..., I2VAdapter]


def load(kind: type, folder: Path, base: str, trained: Trained, **parts: Any) -> Any:
    motion = MotionAdapter.from_pretrained(folder / "motion")
    pipe = kind.from_pretrained(folder / base, motion_adapter=motion, **parts)
    trained(pipe.unet).save_pretrained(folder / f"adapter-{base}")
    pipe.load_i2v_adapter(folder / f"adapter-{base}")
    pipe.set_progress_bar_config(disable=True)
    return pipe


def run(pipe: Any, image: Any, **options: Any) -> Tensor:
    defaults: dict[str, Any] = {
        "prompt": "a cat",
        "num_frames": 3,
        "num_inference_steps": 2,
        "output_type": "latent",
    }
    return pipe(image, generator=torch.Generator().manual_seed(0), **{**defaults, **options}).frames


def check_first_frame(pipe: Any, images: list[Image.Image], **options: Any) -> Tensor:
    """Finite; frame 0 is the posterior's sample; another image changes every frame."""
    latents = run(pipe, images[0], **options)
    pixels = torch.tensor(np.asarray(images[0])).float().permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        posterior = pipe.vae.encode(pixels).latent_dist
    expected = posterior.sample(torch.Generator().manual_seed(0)) * pipe.vae.config.scaling_factor
    torch.testing.assert_close(latents[:, :, 0], expected, rtol=0, atol=1e-6)
    assert latents.isfinite().all()
    options = {"prior": None, **options}
    changed = (
        (run(pipe, images[1], **options) - run(pipe, images[0], **options))
        .abs()
        .amax(dim=(0, 1, 3, 4))
    )
    assert (changed > 1e-4).all()
    return latents


def test_stable_diffusion_folder(
    folder: Path, pictures: list[Image.Image], trained: Trained, tmp_path: Path
) -> None:
    pipe = load(I2VAdapterPipeline, folder, "sd15", trained)
    latents = check_first_frame(pipe, pictures)
    pipe.save_pretrained(tmp_path)
    assert torch.equal(run(I2VAdapterPipeline.from_pretrained(tmp_path), pictures[0]), latents)


def test_sdxl_folder(
    folder: Path, pictures: list[Image.Image], trained: Trained, tmp_path: Path
) -> None:
    pipe = load(I2VAdapterSDXLPipeline, folder, "sdxl", trained)
    latents = check_first_frame(pipe, pictures)
    assert (run(pipe, pictures[0], guidance_rescale=0.7) - latents)[:, :, 1:].abs().max() > 1e-4
    assert (run(pipe, pictures[0], original_size=(64, 8)) - latents)[:, :, 1:].abs().max() > 1e-5
    frames = run(pipe, pictures[0], output_type="np", match_colors=True)
    assert frames.shape == (1, 3, 16, 16, 3)
    together = run(pipe, pictures, prompt=["a", "b"], guidance_scale=1)
    assert together.shape == (2, 4, 3, 8, 8)
    pipe.save_pretrained(tmp_path)
    assert torch.equal(run(I2VAdapterSDXLPipeline.from_pretrained(tmp_path), pictures[0]), latents)


def test_an_adapter_for_another_base_is_refused(
    folder: Path, unet: UNetMotionModel, trained: Trained, tmp_path: Path
) -> None:
    pipe = load(I2VAdapterSDXLPipeline, folder, "sdxl", trained)
    before = pipe.i2v_adapter
    I2VAdapter.from_unet(unet).save_pretrained(tmp_path / "own")
    torch.save(before.state_dict() | {"extra": torch.ones(1)}, tmp_path / "released.pth")
    with pytest.raises(
        ValueError, match=r"does not fit this UNet: layer \S+: expected no such layer, found chan"
    ):
        pipe.load_i2v_adapter(tmp_path / "own")
    with pytest.raises(ValueError, match=r"unexpected: extra$"):
        pipe.load_i2v_adapter(tmp_path, weight_name="released.pth")
    assert pipe.i2v_adapter is before


def test_sdxl_vae_in_float16_works_in_float32(
    folder: Path, pictures: list[Image.Image], trained: Trained
) -> None:
    pipe = load(I2VAdapterSDXLPipeline, folder, "sdxl", trained)
    expected = run(pipe, pictures[0])[:, :, 0]
    pipe.vae.to(torch.float16)
    torch.testing.assert_close(run(pipe, pictures[0])[:, :, 0], expected, rtol=0, atol=1e-2)
    assert pipe.vae.dtype == torch.float16


def test_sizes_on_the_sdxl_shape() -> None:
    with torch.device("meta"):
        unet = UNetMotionModel(
            block_out_channels=(320, 640, 1280),
            down_block_types=(
                "DownBlockMotion",
                "CrossAttnDownBlockMotion",
                "CrossAttnDownBlockMotion",
            ),
            up_block_types=("CrossAttnUpBlockMotion", "CrossAttnUpBlockMotion", "UpBlockMotion"),
            transformer_layers_per_block=(1, 2, 10),
            num_attention_heads=(5, 10, 20),
            cross_attention_dim=2048,
            use_linear_projection=True,
            use_motion_mid_block=False,
        )
        adapter = I2VAdapter.from_unet(unet)
    parameters = dict(adapter.named_parameters())
    assert len(adapter.config["layers"]) == 70
    assert (
        sum(value.numel() for name, value in parameters.items() if name.endswith("weight"))
        == 204_800_000
    )
    assert (
        sum(value.numel() for name, value in parameters.items() if name.endswith("bias")) == 83_200
    )
    assert "up_blocks.0.attentions.2.transformer_blocks.9.attn1.to_q_ff.weight" in parameters


@pytest.fixture
def controlled(folder: Path, trained: Trained) -> I2VAdapterControlNetPipeline:
    nets = [ControlNetModel.from_pretrained(folder / f"controlnet-{name}") for name in "ab"]
    return load(I2VAdapterControlNetPipeline, folder, "sd15", trained, controlnet=nets)


def drawings(count: int, seed: int = 0) -> list[Image.Image]:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 24, 40, 3), np.uint8)
    return [Image.fromarray(entry) for entry in pixels]


def test_several_controlnets_each_frame_its_own(
    controlled: I2VAdapterControlNetPipeline, pictures: list[Image.Image], tmp_path: Path
) -> None:
    frames = [drawings(3, 1), drawings(3, 2)]
    latents = check_first_frame(controlled, pictures, conditioning_frames=frames)
    off = run(
        controlled, pictures[0], conditioning_frames=frames, controlnet_conditioning_scale=0.0
    )
    base = run(
        I2VAdapterPipeline(**{k: v for k, v in controlled.components.items() if k != "controlnet"}),
        pictures[0],
    )
    assert torch.equal(off, base)
    one = run(
        controlled,
        pictures[0],
        conditioning_frames=frames,
        controlnet_conditioning_scale=[1.0, 0.0],
    )
    changed = run(
        controlled, pictures[0], conditioning_frames=[[*frames[0][:2], frames[1][0]], frames[1]]
    )
    assert len({float(result[:, :, 2].sum()) for result in (latents, off, one, changed)}) == 4
    controlled.save_pretrained(tmp_path)
    again = I2VAdapterControlNetPipeline.from_pretrained(tmp_path)
    assert torch.equal(run(again, pictures[0], conditioning_frames=frames), latents)


def test_one_controlnet_guess_mode_and_odd_sizes(
    controlled: I2VAdapterControlNetPipeline, pictures: list[Image.Image]
) -> None:
    controlled.controlnet = controlled.controlnet.nets[0]
    options: dict[str, Any] = {"height": 24, "width": 56, "conditioning_frames": drawings(3)}
    latents = run(controlled, pictures[0], **options)
    assert latents.shape == (1, 4, 3, 12, 28)
    guessed = run(controlled, pictures[0], guess_mode=True, **options)
    assert (guessed - latents)[:, :, 1:].abs().max() > 1e-4
    generator = torch.Generator().manual_seed(0)
    starts, noise = (
        torch.randn(2, 4, *size, generator=generator) for size in ((12, 28), (3, 12, 28))
    )
    options |= {"prior": None, "height": None, "width": None}
    both = run(
        controlled, None, prompt=["a cat"] * 2, image_latents=starts, latents=noise, **options
    )
    alone = run(controlled, None, image_latents=starts[1:], latents=noise[1:], **options)
    torch.testing.assert_close(both[1:], alone, rtol=1e-5, atol=5e-5)
    options = {"image_latents": starts[:1], **options}
    latents = run(controlled, pictures[0], **options)
    late = run(controlled, pictures[0], control_guidance_start=0.5, **options)
    early = run(controlled, pictures[0], control_guidance_end=0.5, **options)
    assert len({float(result[:, :, 1:].sum()) for result in (latents, late, early)}) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"conditioning_frames": [drawings(3)]}, "1 lists for 2 ControlNets"),
        ({"conditioning_frames": [drawings(3), drawings(2)]}, "has 2 images for 3 frames"),
        ({"controlnet_conditioning_scale": [1.0]}, "1 values for 2 ControlNets"),
        ({"control_guidance_start": 0.5, "control_guidance_end": 0.5}, "0 <= start < end <= 1"),
    ],
)
def test_control_that_does_not_fit(
    controlled: I2VAdapterControlNetPipeline,
    pictures: list[Image.Image],
    options: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        run(controlled, pictures[0], **{"conditioning_frames": [drawings(3)] * 2, **options})
