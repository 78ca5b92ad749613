"""A whole clip through the pipeline: seconds a stage, and how time grows with frames, size and
batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from benchmarks.memory import parameter_bytes
from benchmarks.motion_unets import CONFIGS, DTYPES, TOKENS, make_unet
from benchmarks.scenario import Bench, Variant
from eval.world.models import WEIGHTS
from i2v_adapter import I2VAdapter, I2VAdapterPipeline

STAGES = {
    "image encode": ("vae", "encode"),
    "text encode": ("text_encoder", "forward"),
    "denoising": ("unet", "forward"),
    "VAE decode": ("vae", "decode"),
}


@dataclass(frozen=True)
class Case:
    """A clip: model, side in px, frames, clips in a batch, DDIM steps; guidance is on."""

    model: str
    side: int
    frames: int
    batch: int = 1
    steps: int = 25
    dtype: str = "fp16"

    def __str__(self) -> str:
        return (
            f"{self.model} {self.side}x{self.side}x{self.frames} batch {self.batch}, "
            f"{self.steps} steps, {self.dtype}"
        )


def cases(device: str) -> list[Case]:
    if device == "cpu":
        smallest = ("sd15/4", 64, 8)
        return [
            Case(*smallest, steps=2, dtype="fp32"),
            Case("sd15/4", 64, 16, steps=2, dtype="fp32"),
            Case("sd15/4", 128, 8, steps=2, dtype="fp32"),
            Case(*smallest, batch=2, steps=2, dtype="fp32"),
        ]
    return [
        Case("sd15", 512, 16),
        Case("sd15", 512, 32),
        Case("sd15", 256, 16),
        Case("sd15", 768, 16),
        Case("sd15", 512, 16, batch=2),
        Case("sd15", 512, 16, batch=4),
    ]


def make_pipeline(case: Case, device: torch.device) -> I2VAdapterPipeline:
    """SD 1.5's parts with random weights, widths as the UNet's; the tokenizer is the one that
    ships.
    """
    full = "/" not in case.model
    width = CONFIGS[case.model]["cross_attention_dim"]
    channels = (128, 256, 512, 512) if full else (32, 64, 128, 128)
    with torch.device(device):
        vae = AutoencoderKL(
            block_out_channels=channels,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            latent_channels=4,
        )
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                hidden_size=width,
                intermediate_size=4 * width,
                num_hidden_layers=12,
                num_attention_heads=12,
            )
        )
    dtype = DTYPES[case.dtype]
    unet = make_unet(case.model, device, dtype)
    pipeline = I2VAdapterPipeline(
        vae=vae.to(dtype).eval(),
        text_encoder=text_encoder.to(dtype).eval(),
        tokenizer=CLIPTokenizer.from_pretrained(WEIGHTS / "tokenizer", model_max_length=TOKENS),
        unet=unet,
        motion_adapter=None,
        scheduler=DDIMScheduler(beta_schedule="linear", clip_sample=False),
        i2v_adapter=I2VAdapter.from_unet(unet),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@contextmanager
def stage_times(pipeline: Any, timed: Callable[[Variant], float]) -> Iterator[dict[str, float]]:
    """Seconds in each of `STAGES` within the block."""
    seconds = dict.fromkeys(STAGES, 0.0)

    def watch(stage: str, part: Any, name: str) -> None:
        original = getattr(part, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            result: list[Any] = []
            seconds[stage] += timed(Variant(lambda: result.append(original(*args, **kwargs))))
            return result[0]

        setattr(part, name, watched)

    for stage, (part, name) in STAGES.items():
        watch(stage, getattr(pipeline, part), name)
    try:
        yield seconds
    finally:
        for part, name in STAGES.values():
            delattr(getattr(pipeline, part), name)


def test_clip(bench: Bench, case: Case) -> None:
    pipeline = make_pipeline(case, bench.device)
    pixels = np.random.default_rng(0).integers(0, 256, (case.side, case.side, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)

    def make(pipe: Any = pipeline) -> Any:
        return pipe(
            image=[image] * case.batch,
            prompt=["a red star moving left over a navy background"] * case.batch,
            num_frames=case.frames,
            num_inference_steps=case.steps,
            generator=torch.Generator().manual_seed(0),
            output_type="np",
        )

    @contextmanager
    def sliced() -> Iterator[None]:
        pipeline.vae.enable_slicing()
        try:
            yield
        finally:
            pipeline.vae.disable_slicing()

    def offloaded() -> Variant:
        if bench.device.type == "cpu":
            raise RuntimeError("offload moves weights between CPU and GPU; there is no GPU here")
        other = make_pipeline(case, torch.device("cpu"))
        other.enable_model_cpu_offload()
        return Variant(lambda: make(other))

    parts = [
        module for module in pipeline.components.values() if isinstance(module, torch.nn.Module)
    ]
    variants = {"plain": lambda: Variant(make, weights=parameter_bytes(*parts))}
    centre = case == cases(bench.device.type)[0]
    if centre:
        variants |= {"VAE slicing": lambda: Variant(make, sliced), "model offload": offloaded}
    rounds = 2 if bench.device.type == "cpu" else 5
    ratios = [("VAE slicing", "plain")] if centre else []
    row = bench.compare(f"clip {case}", variants, rounds=rounds, memory=True, ratios=ratios)
    with stage_times(pipeline, bench.timed) as seconds:
        total = bench.timed(Variant(make))
    row["shares"] = {stage: value / total for stage, value in seconds.items()}
    row["shares"]["the rest"] = 1 - sum(row["shares"].values())
    row["clips"], row["frames"] = case.batch, case.batch * case.frames
