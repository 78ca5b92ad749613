"""The networks of VBench's other dimensions: published layouts with random weights through the real
loading path, and published values where the weights are there.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch.nn import functional
from torchvision import transforms

from eval.encoders import load_encoder
from eval.encoders.musiq import Musiq, prepared
from eval.errors import EvalError, WeightsMissingError
from eval.measure.catalogue import parse_metric
from eval.measure.evaluator import Evaluator
from eval.samples import Sample


def _noisy(module: torch.nn.Module) -> torch.nn.Module:
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return module.eval()


def test_aesthetic_is_the_linear_head_on_clips_unit_feature(root: Path, frames: np.ndarray) -> None:
    import open_clip
    from safetensors.torch import save_file

    folder = root / "clip_vitl14_laion"
    folder.mkdir()
    vision = {"image_size": 224, "layers": 1, "width": 64, "patch_size": 56, "head_width": 32}
    text = {"context_length": 77, "vocab_size": 60, "width": 32, "heads": 2, "layers": 1}
    config: dict[str, Any] = {"embed_dim": 768, "vision_cfg": vision, "text_cfg": text}
    clip = open_clip.CLIP(**config).eval()
    state = {name: value.contiguous() for name, value in clip.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    head = _noisy(torch.nn.Linear(768, 1))
    torch.save(head.state_dict(), folder / "sa_0_4_vit_l_14_linear.pth")
    encoder: Any = load_encoder("clip_vitl14_laion")

    published = transforms.Compose(  # VBench's clip_transform
        [
            transforms.Resize(
                224, interpolation=transforms.InterpolationMode.BICUBIC, antialias=False
            ),
            transforms.CenterCrop(224),
            transforms.Lambda(lambda x: x.float().div(255.0)),
            transforms.Normalize(
                (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
            ),
        ]
    )
    with torch.no_grad():
        pixels = published(torch.from_numpy(frames).permute(0, 3, 1, 2).float())
        feature = functional.normalize(clip.encode_image(pixels).float(), dim=-1)
        expected = head(feature)[:, 0].numpy()
    assert_allclose(encoder.encode_scores(frames), expected, atol=1e-5)
    assert_allclose(encoder.encode_scores(frames[1:2]), expected[1:2], atol=1e-5)

    torch.save(torch.nn.Linear(512, 1).state_dict(), folder / "sa_0_4_vit_l_14_linear.pth")
    with pytest.raises(EvalError, match="does not hold the weights of LAION's linear head"):
        load_encoder("clip_vitl14_laion")


def test_clip_vit_l14_has_the_published_number_of_weights() -> None:
    import open_clip

    with torch.device("meta"):
        model = open_clip.CLIP(**open_clip.get_model_config("ViT-L-14"))
    assert sum(p.numel() for p in model.parameters()) == 427_616_513


def test_musiq_at_its_published_configuration(root: Path) -> None:
    model = _noisy(Musiq())
    state = model.state_dict()
    assert sum(value.numel() for value in state.values()) == 27_125_825
    assert state["embedding.weight"].shape == (384, 64 * 4 * 8 * 8)
    assert state["transformer_encoder.posembed_input.position_emb"].shape == (1, 100, 384)
    assert state["transformer_encoder.transformer.encoderblock_13.mlp.fc1.weight"].shape == (
        1152,
        384,
    )
    folder = root / "musiq_spaq"
    folder.mkdir()
    torch.save(state, folder / "musiq_spaq.pth")
    encoder: Any = load_encoder("musiq_spaq")
    frames = np.random.default_rng(1).integers(0, 256, (2, 40, 70, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = [model(prepared(frame[None])).item() for frame in frames]
    scores = encoder.encode_scores(frames)
    assert_allclose(scores, expected, rtol=1e-5)
    assert scores[0] != scores[1]
    torch.save({"head.bias": torch.zeros(1)}, folder / "musiq_spaq.pth")
    with pytest.raises(EvalError, match="does not hold the weights of MUSIQ"):
        load_encoder("musiq_spaq")


@pytest.mark.parametrize(("height", "width"), [(480, 832), (513, 201), (40, 72)])
def test_frames_are_shrunk_for_musiq_as_torchvision_does(height: int, width: int) -> None:
    frames = np.random.default_rng(2).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    if max(height, width) > 512:
        scale = 512.0 / max(height, width)
        size = (int(scale * height), int(scale * width))
        pixels = transforms.Resize(size=size, antialias=False)(pixels)
    assert_array_equal(prepared(frames).numpy(), ((pixels / 255.0 - 0.5) * 2).numpy())


def test_musiq_cuts_the_three_views_into_padded_patches() -> None:
    """What the first convolution sees, against patches cut with numpy."""
    model = _noisy(Musiq(width=12, inner=8, heads=2, layers=1))
    seen: list[Any] = []
    model.conv_root.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    places: list[Any] = []
    model.transformer_encoder.register_forward_pre_hook(
        lambda module, given: places.append(given[1:])
    )
    frame = torch.randn(1, 3, 70, 100)
    with torch.no_grad():
        model(frame)
    [patches], [(positions, scales)] = seen, places
    assert scales.tolist() == [0] * 7 * 5 + [1] * 12 * 9 + [2] * 4 * 3  # 157 x 224, 269 x 384
    own = patches[-12:].numpy()  # 70 x 100 in 96 x 128: 13 px above, 14 left
    canvas = np.zeros((3, 96, 128), np.float32)
    canvas[:, 13:83, 14:114] = frame[0].numpy()
    for row in range(3):
        for column in range(4):
            expected = canvas[:, 32 * row : 32 * row + 32, 32 * column : 32 * column + 32]
            assert_array_equal(own[4 * row + column], expected)
    rows, columns = (0, 3, 6), (0, 2, 5, 7)  # floor(10 i / 3), floor(10 i / 4)
    assert positions[-12:].tolist() == [10 * r + c for r in rows for c in columns]


GOLDENS = (
    ("vbench.subject_consistency.dino_vitb16.v1", 0.9549573574747358, 1e-3),
    ("vbench.background_consistency.clip_vitb32_openai.v1", 0.9454950925682774, 2e-3),
    ("vbench.motion_smoothness.amt_s.v1", 0.9897254431173182, 1e-3),
    ("vbench.dynamic_degree.raft_things.v2", 1.0, 0),
    ("vbench.aesthetic_quality.clip_vitl14_laion.v1", 0.5733335614204407, 2e-3),
    ("vbench.imaging_quality.musiq_spaq.v1", 0.6644590053558349, 1e-3),
    ("vbench.temporal_flickering.pixels.v1", 0.979451680650898, 1e-4),
)
"""Id, value that VBench's own code gives for FastVideo's test clip, tolerance."""


@pytest.mark.parametrize(("id", "expected", "tolerance"), GOLDENS)
def test_the_published_value_of_a_dimension(id: str, expected: float, tolerance: float) -> None:
    path = Path(os.environ.get("I2V_EVAL_WEIGHTS", "/nowhere")) / "goldens" / "ltx2.mp4"
    if not path.is_file():
        pytest.skip(f"{id}: no I2V_EVAL_WEIGHTS/goldens/ltx2.mp4 (FastVideo, tests/eval/asset)")
    from eval.clips.media import read_media

    clip = read_media(path).clip
    try:
        value = Evaluator([parse_metric(id)]).per_clip(Sample("a", clip.frames[0], "x"), clip)[id]
    except WeightsMissingError as error:
        pytest.skip(f"{id}: {error}")
    assert value == pytest.approx(expected, abs=tolerance)


MUSIQ_GOLDENS = {"I03": 17.6808, "I04": 70.6541, "I06": 79.0371, "I08": 79.3199, "I19": 50.4550}
"""Picture of IQA-PyTorch's ResultsCalibra/dist_dir -> score with the weights trained on SPAQ."""


def test_the_published_scores_of_musiq() -> None:
    folder = Path(os.environ.get("I2V_EVAL_WEIGHTS", "/nowhere")) / "goldens"
    if not all((folder / f"{name}.bmp").is_file() for name in MUSIQ_GOLDENS):
        pytest.skip("musiq_spaq: no I2V_EVAL_WEIGHTS/goldens/I03.bmp (IQA-PyTorch, dist_dir)")
    from PIL import Image

    from eval.encoders import ENCODERS, weights

    source = ENCODERS["musiq_spaq"].source
    assert source
    try:
        [file] = weights.find("musiq_spaq", source).files.values()
    except WeightsMissingError as error:
        pytest.skip(f"musiq_spaq: {error}")
    model = Musiq().eval()
    model.load_state_dict(torch.load(file, "cpu", weights_only=True))
    for name, expected in MUSIQ_GOLDENS.items():
        pixels = np.array(Image.open(folder / f"{name}.bmp").convert("RGB"))
        frame = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1  # at its own size
        with torch.no_grad():
            assert model(frame).item() == pytest.approx(expected, abs=0.05), name
