"""One training step: the adapter on a frozen base, against fine-tuning the base on concatenated
channels.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler
from torch import Tensor, nn

from benchmarks.memory import parameter_bytes
from benchmarks.motion_unets import DTYPES, Shape, make_unet, unet_inputs
from benchmarks.scenario import Bench, Variant
from i2v_adapter import I2VAdapter
from i2v_adapter.training import i2v_loss


def cases(device: str) -> list[Shape]:
    if device == "cpu":
        return [Shape("sd15/4", 128, 128, 8)]
    return [
        Shape("sd15", 256, 256, dtype="bf16"),
        Shape("sd15", 512, 512, dtype="bf16"),
        Shape("sdxl", 512, 512, dtype="bf16"),
    ]


def test_training_step(bench: Bench, case: Shape) -> None:
    device, dtype = bench.device, DTYPES[case.dtype]
    scheduler = DDIMScheduler(beta_schedule="linear", clip_sample=False)
    timesteps = torch.full((case.batch,), 500, device=device)

    def variant(unet: Any, trained: nn.Module, loss: Any) -> Variant:
        optimizer = torch.optim.AdamW(trained.parameters(), lr=1e-5)

        def step() -> None:
            loss().backward()
            optimizer.step()
            optimizer.zero_grad()

        parameters = sum(p.numel() for p in trained.parameters())
        state = 2 * parameter_bytes(trained)  # two moments of AdamW
        notes = {"trained_parameters": parameters, "optimizer_bytes": state}
        return Variant(step, weights=parameter_bytes(unet, trained), notes=notes)

    def adapter() -> Variant:
        unet = make_unet(case.model, device, dtype).requires_grad_(False)
        adapter = I2VAdapter.from_unet(unet).attach(unet).train()
        inputs = unet_inputs(case, device)
        noise = torch.randn_like(inputs["sample"])

        def loss() -> Tensor:
            conditions = inputs.get("added_cond_kwargs")
            return i2v_loss(
                unet,
                scheduler,
                inputs["sample"],
                timesteps,
                noise,
                inputs["encoder_hidden_states"],
                conditions,
            )

        return variant(unet, adapter, loss)

    def concatenation() -> Variant:
        unet = make_unet(case.model, device, dtype, channels=9)
        inputs = unet_inputs(case, device, channels=9)
        target = torch.randn_like(inputs["sample"][:, :4])

        def loss() -> Tensor:
            return F.mse_loss(unet(**inputs).sample.float(), target.float())

        return variant(unet, unet, loss)

    bench.compare(
        f"training step {case}",
        {"adapter": adapter, "concatenation": concatenation},
        rounds=5 if device.type == "cpu" else 10,
        warmups=1 if device.type == "cpu" else 5,
        ratios=[("concatenation", "adapter")],
        memory=True,
    )
