"""The networks of VBench's other dimensions: published layouts with random weights through the real
loading path, and published values where the weights are there.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch.nn import functional
from torchvision import transforms

from eval.clips.lossless import Clip
from eval.encoders import dreamsim, load_encoder
from eval.encoders.musiq import Musiq, prepared
from eval.errors import EvalError, WeightsMissingError
from eval.measure.catalogue import parse_metric
from eval.measure.evaluator import Evaluator
from eval.samples import Sample


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("I2V_EVAL_WEIGHTS", str(tmp_path))
    torch.manual_seed(0)
    return tmp_path


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 40, 72, 3), dtype=np.uint8)


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


def _reference_vit(
    state: Mapping[str, torch.Tensor],
    lora: Mapping[str, tuple[torch.Tensor, torch.Tensor]],
    pixels: torch.Tensor,
    *,
    scale: float,
    clip: bool,
    gelu: Any,
    final: bool,
) -> torch.Tensor:
    """A ViT of one block and two heads, whose LoRA is added to the output of qkv."""
    eps = 1e-5 if clip else 1e-6

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.layer_norm(
            x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], eps
        )

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    patches = functional.conv2d(
        pixels, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=16
    )
    x = torch.cat([state["cls_token"].expand(len(pixels), -1, -1), patches.flatten(2).mT], dim=1)
    x = x + state["pos_embed"]
    x = norm(x, "pos_drop") if clip else x
    inner = norm(x, "blocks.0.norm1")
    down, up = lora["blocks.0.attn.qkv"]
    qkv = linear(inner, "blocks.0.attn.qkv") + scale * (inner @ down.T) @ up.T
    width = x.shape[-1]
    mixed = []
    for head in range(2):
        part = slice(head * width // 2, (head + 1) * width // 2)
        query, key, value = (qkv[..., i * width : (i + 1) * width][..., part] for i in range(3))
        mixed.append((query @ key.mT / (width // 2) ** 0.5).softmax(dim=-1) @ value)
    x = x + linear(torch.cat(mixed, dim=-1), "blocks.0.attn.proj")
    x = x + linear(gelu(linear(norm(x, "blocks.0.norm2"), "blocks.0.mlp.fc1")), "blocks.0.mlp.fc2")
    return (norm(x, "norm") if final else x)[:, 0]


def _save_dreamsim(folder: Path, width: int = 24) -> tuple[list[Any], list[Any]]:
    """DreamSim's files with random weights of one small block; the states and the LoRA pairs."""
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "ensemble_lora").mkdir()
    shapes = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, 197, width),
        "patch_embed.proj.weight": (width, 3, 16, 16),
        "patch_embed.proj.bias": (width,),
        "blocks.0.attn.qkv.weight": (3 * width, width),
        "blocks.0.attn.qkv.bias": (3 * width,),
        "blocks.0.attn.proj.weight": (width, width),
        "blocks.0.attn.proj.bias": (width,),
        "blocks.0.mlp.fc1.weight": (4 * width, width),
        "blocks.0.mlp.fc1.bias": (4 * width,),
        "blocks.0.mlp.fc2.weight": (width, 4 * width),
        "blocks.0.mlp.fc2.bias": (width,),
    }
    norms = ["blocks.0.norm1", "blocks.0.norm2", "norm"]
    states = []
    for number in range(3):
        own = shapes | {
            f"{name}.{part}": (width,)
            for name in norms + ["pos_drop"] * (number > 0)
            for part in ("weight", "bias")
        }
        states.append({name: torch.randn(shape) * 0.3 for name, shape in own.items()})
    projections = [torch.randn(width, 512) * 0.1 for _ in range(2)]
    torch.save(states[0], folder / "checkpoints" / "dino_vitbase16_pretrain.pth")
    for name, state, projection in zip(("clip", "open_clip"), states[1:], projections, strict=True):
        torch.save(
            {"state_dict": state | {"proj": projection}}, folder / f"{name}_vitb16_pretrain.pth.tar"
        )
    pairs = [(torch.randn(4, width) * 0.3, torch.randn(3 * width, 4) * 0.3) for _ in range(3)]
    adapter = {
        f"base_model.model.extractor_list.{i}.model.blocks.0.attn.qkv.lora_{side}.weight": tensor
        for i, pair in enumerate(pairs)
        for side, tensor in zip("AB", pair, strict=True)
    }
    torch.save(adapter, folder / "ensemble_lora" / "adapter_model.bin")
    config = {"r": 4, "lora_alpha": 2, "target_modules": ["qkv"]}
    (folder / "ensemble_lora" / "adapter_config.json").write_text(json.dumps(config))
    return states, [*zip([None, *projections], pairs, strict=True)]


def test_dreamsim_is_three_transformers_with_lora(
    root: Path, frames: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dreamsim, "SHAPE", {"embed_dim": 24, "depth": 1, "num_heads": 2})
    folder = root / "dreamsim_ensemble"
    states, others = _save_dreamsim(folder)
    encoder: Any = load_encoder("dreamsim_ensemble")
    means = [((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))] + [
        ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
    ] * 2
    gelus = (functional.gelu, lambda x: x * torch.sigmoid(1.702 * x), functional.gelu)

    def expected(pixels: torch.Tensor) -> np.ndarray:
        parts = []
        for number, (state, (projection, pair)) in enumerate(zip(states, others, strict=True)):
            token = _reference_vit(
                state,
                {"blocks.0.attn.qkv": pair},
                transforms.Normalize(*means[number])(pixels),
                scale=0.5,
                clip=number > 0,
                gelu=gelus[number],
                final=number > 0,
            )
            parts.append(token if projection is None else token @ projection)
        joint = torch.cat(parts, dim=1)
        joint = joint - joint.mean(dim=1, keepdim=True)
        return functional.normalize(joint).numpy()

    bicubic = transforms.InterpolationMode.BICUBIC
    for view, antialias in (("vbench", True), ("vbench_noaa", False)):
        resize = transforms.Resize((224, 224), interpolation=bicubic, antialias=antialias)
        pixels = resize(torch.from_numpy(frames).permute(0, 3, 1, 2).float()).div(255.0)
        assert_allclose(encoder.encode_frames(frames, view=view), expected(pixels), atol=2e-5)
    from PIL import Image

    image = Image.fromarray(frames[0]).resize((224, 224), Image.Resampling.BICUBIC)
    pixels = transforms.functional.to_tensor(image)[None]
    assert_allclose(encoder.encode_image(frames[0], view="vbench"), expected(pixels)[0], atol=2e-5)


def test_dreamsim_files_that_do_not_fit_are_named(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = root / "dreamsim_ensemble"
    _save_dreamsim(folder)
    with pytest.raises(EvalError, match=r"dino_vitbase16_pretrain.pth does not fit ViT-B/16"):
        load_encoder("dreamsim_ensemble")
    monkeypatch.setattr(dreamsim, "SHAPE", {"embed_dim": 24, "depth": 1, "num_heads": 2})
    adapter = folder / "ensemble_lora" / "adapter_model.bin"
    state = torch.load(adapter, weights_only=True)
    torch.save(state | {"base_model.model.mlp.lora_A.weight": torch.zeros(1)}, adapter)
    with pytest.raises(EvalError, match=r"base_model.model.mlp.lora_A.weight is not of DreamSim"):
        load_encoder("dreamsim_ensemble")
    config = folder / "ensemble_lora" / "adapter_config.json"
    for content, message in (("{", "cannot be read"), ("{}", "is no LoRA configuration: KeyError")):
        config.write_text(content)
        with pytest.raises(EvalError, match=f"'dreamsim_ensemble': .*{config.name} {message}"):
            load_encoder("dreamsim_ensemble")
    (folder / "clip_vitb16_pretrain.pth.tar").unlink()
    with pytest.raises(WeightsMissingError, match=r"no clip_vitb16_pretrain.pth.tar.*weights get"):
        load_encoder("dreamsim_ensemble")


INTERPOLATORS = """
import numpy as np

class Mean:
    def __init__(self, *, device): self.device = device
    fingerprint = staticmethod(lambda: 'mean 1')
    def interpolate(self, first, last):
        assert first.dtype == np.float32 and first.max() <= 1
        assert not any(side % 16 for side in first.shape[:2])
        return (first + last) / 2

class NotFinite(Mean):
    def interpolate(self, first, last): return first * np.nan

class Wrong(Mean):
    def interpolate(self, first, last): return first[:-1]
"""


@pytest.fixture
def interpolators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_interpolators.py").write_text(INTERPOLATORS)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("my_interpolators", None)
    return "my_interpolators"


def test_motion_smoothness_is_what_the_interpolator_misses(
    interpolators: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("I2V_EVAL_AMT", f"{interpolators}:Mean")
    metric = parse_metric("vbench.motion_smoothness.amt_s.v1")
    evaluator = Evaluator([metric])

    def value(levels: list[int]) -> float:
        frames = np.stack([np.full((20, 36, 3), level, np.uint8) for level in levels])
        sample = Sample("a", frames[0], "x")
        return evaluator.per_clip(sample, Clip(frames, 8.0))[metric.id]

    assert value([40, 40, 40]) == 1
    assert value([10, 20, 30, 40, 50]) == pytest.approx(1, abs=1 / 255)  # by truncation
    assert value([0, 51, 0, 51, 0]) == pytest.approx(0.8)
    assert value([0, 51, 0, 255]) == pytest.approx(0.8)  # a last odd frame is not used
    assert value([0, 51, 1]) == pytest.approx((255 - 51) / 255)  # 0.5 becomes 0: cut, not rounded
    with pytest.raises(EvalError, match="the clip has 2 frames; 3 or more"):
        value([0, 1])
    for name, message in (
        ("Wrong", r"the interpolator gives \(31, 48, 3\) for \(32, 48, 3\)"),
        ("NotFinite", "values that are not finite for frames of 20 x 36 px"),
    ):
        monkeypatch.setenv("I2V_EVAL_AMT", f"{interpolators}:{name}")
        with pytest.raises(EvalError, match=message):
            Evaluator([metric]).per_clip(
                Sample("a", np.zeros((20, 36, 3), np.uint8), "x"),
                Clip(np.zeros((3, 20, 36, 3), np.uint8), 8.0),
            )


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


def test_the_published_distances_of_dreamsim() -> None:
    folder = Path(os.environ.get("I2V_EVAL_WEIGHTS", "/nowhere")) / "goldens"
    names = ("ref_1.png", "img_a_1.png", "img_b_1.png")
    if not all((folder / name).is_file() for name in names):
        pytest.skip("dreamsim_ensemble: no I2V_EVAL_WEIGHTS/goldens/ref_1.png (DreamSim, images)")
    from PIL import Image

    try:
        encoder: Any = load_encoder("dreamsim_ensemble")
    except WeightsMissingError as error:
        pytest.skip(f"dreamsim_ensemble: {error}")
    reference, first, second = (
        encoder.encode_image(np.array(Image.open(folder / n).convert("RGB")), view="vbench")
        for n in names
    )
    assert 1 - reference @ first == pytest.approx(0.4453, abs=1e-3)
    assert 1 - reference @ second == pytest.approx(0.2756, abs=1e-3)


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
