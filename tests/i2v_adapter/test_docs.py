"""The pages, followed literally: every Python block of the README's ten lines and of
docs/checkpoints.md is run.

The hub ids stay as they are written: the working directory holds folders of these names in the
hub's layout, with tiny random models. Only the number of steps and the size of one call are made
smaller.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    MotionAdapter,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNetMotionModel,
)
from PIL import Image
from safetensors.torch import save_file

from i2v_adapter import I2VAdapter

ROOT = Path(__file__).parents[2]
FOLDERS = {
    "guoyww/animatediff-motion-adapter-v1-5": "motion",
    "guoyww/animatediff-motion-adapter-sdxl-beta": "motion",
    "stable-diffusion-v1-5/stable-diffusion-v1-5": "sd15",
    "stabilityai/stable-diffusion-xl-base-1.0": "sdxl",
    "lllyasviel/control_v11p_sd15_openpose": "controlnet-a",
}


def blocks(page: str) -> dict[str, str]:
    """Heading -> the first Python block below it."""
    _, *parts = re.split(r"^## (.+)$", (ROOT / page).read_text(), flags=re.MULTILINE)
    found = {
        heading: re.search(r"```python\n(.*?)```", text, flags=re.DOTALL)
        for heading, text in zip(parts[::2], parts[1::2], strict=True)
    }
    return {heading: match[1] for heading, match in found.items() if match}


def shortened(code: str) -> str:
    """The code with two denoising steps in each call that makes `video` or `latents`."""
    tree = ast.parse(code.replace("height=512, width=512", "height=16, width=16"))
    calls = [
        statement.value
        for statement in tree.body
        if isinstance(statement, ast.Assign)
        and isinstance(statement.value, ast.Call)
        and ast.unparse(statement.targets[0]) in ("video", "latents")
    ]
    for call in calls:
        call.keywords.append(ast.keyword("num_inference_steps", ast.Constant(2)))
    return ast.unparse(tree)


@pytest.fixture
def hub(
    folder: Path,
    content_adapter: Callable[..., Any],
    shared_components: dict[str, Any],
    trained: Callable[..., Any],
    pictures: list[Image.Image],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Any]:
    """The working directory as the pages suppose it, and the names that they leave to the
    reader."""
    monkeypatch.chdir(tmp_path)
    for name, local in FOLDERS.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(folder / local)
    motion = MotionAdapter.from_pretrained(folder / "motion")
    for kind, base, name in (
        (StableDiffusionPipeline, "sd15", "my-adapter"),
        (StableDiffusionXLPipeline, "sdxl", "my-sdxl-adapter"),
    ):
        unet = UNetMotionModel.from_unet2d(kind.from_pretrained(folder / base).unet, motion)
        adapter = trained(unet)
        adapter.save_pretrained(tmp_path / name)
        if base == "sd15":
            (tmp_path / "folder-of-the-download").mkdir()
            torch.save(
                {"state_dict": adapter.state_dict()},
                tmp_path / "folder-of-the-download" / "i2v_module.pth",
            )
            weights = content_adapter(unet)
    models = tmp_path / "h94" / "IP-Adapter" / "models"
    models.mkdir(parents=True)
    flat = {
        f"{part}.{key}": value.contiguous()
        for part, values in weights.items()
        for key, value in values.items()
    }
    save_file(flat, models / "ip-adapter-plus_sd15.safetensors")
    shared_components["image_encoder"].save_pretrained(models / "image_encoder")
    pictures[0].save("cat.png")
    return {"image": pictures[0], "prompt": "a cat", "poses": [pictures[1]] * 16}


def test_the_ten_lines_of_the_readme(hub: dict[str, Any]) -> None:
    exec(shortened(blocks("README.md")["Ten lines of Python"]), hub)
    with Image.open("cat.gif") as made:
        assert made.n_frames == 16
        assert made.size == (16, 16)
    assert len({frame.tobytes() for frame in hub["video"].frames[0]}) == 16


def test_docs_checkpoints(hub: dict[str, Any], pictures: list[Image.Image]) -> None:
    found = blocks("docs/checkpoints.md")
    assert list(found) == ["SD 1.5", "The official weights", "SDXL", "ControlNet", "Longer clips"]
    exec(shortened(found["SD 1.5"]), hub)
    with Image.open("cat.gif") as made:
        assert made.n_frames == 16
    assert not hub["pipe"].i2v_adapter.config.pooled_group_norm

    exec(shortened(found["The official weights"]), hub)
    assert hub["pipe"].i2v_adapter.config.pooled_group_norm
    assert len(hub["video"].frames[0]) == 16
    sd15 = hub["pipe"]

    exec(shortened(found["SDXL"]), hub)
    assert hub["pipe"].unet.dtype == torch.float16
    assert isinstance(hub["pipe"].i2v_adapter, I2VAdapter)
    assert "add_embedding.linear_1" in dict(hub["pipe"].unet.named_modules())

    hub["motion"] = MotionAdapter.from_pretrained("guoyww/animatediff-motion-adapter-v1-5")
    exec(shortened(found["ControlNet"]), hub)
    followed = np.asarray(hub["video"].frames[0][5])
    hub["poses"] = [pictures[0]] * 16
    torch.manual_seed(0)
    exec(shortened(found["ControlNet"]), hub)
    assert (np.asarray(hub["video"].frames[0][5]) != followed).any()

    hub["pipe"] = sd15
    exec(shortened(found["Longer clips"]), hub)
    assert len(hub["frames"]) > 16
