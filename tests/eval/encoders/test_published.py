"""Published models: their configurations and file layouts through the real loading path, with
random weights.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from eval.encoders import ENCODERS, encoder_fingerprint, load_encoder
from eval.errors import EvalError

VIT_S16 = {
    "hidden_size": 384,
    "num_hidden_layers": 12,
    "num_attention_heads": 6,
    "intermediate_size": 1536,
}


def _saved(model: Any, folder: Path) -> Any:
    from transformers.utils import logging

    logging.disable_progress_bar()
    model.save_pretrained(folder)
    return model.eval()


def test_dino_vits16_at_its_full_published_configuration(root: Path, frames: np.ndarray) -> None:
    from transformers import ViTConfig, ViTModel

    model = _saved(
        ViTModel(ViTConfig(**VIT_S16, layer_norm_eps=1e-12), add_pooling_layer=False),
        root / "dino_vits16",
    )
    assert (
        sum(p.numel() for p in model.parameters()) == 21_665_664
    )  # the published ViT-S/16 without its head
    encoder: Any = load_encoder("dino_vits16")
    frames = frames[:1]
    features = encoder.encode_frames(frames)
    pixels = torch.nn.functional.interpolate(
        torch.from_numpy(frames.transpose(0, 3, 1, 2) / np.float32(255)),
        (256, 460),
        mode="bicubic",
        antialias=True,
    )
    pixels = pixels.clamp(0, 1)[:, :, 16:240, 118:342]
    mean, std = (
        torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    with torch.no_grad():
        expected = torch.nn.functional.normalize(
            model((pixels - mean) / std).last_hidden_state[:, 0]
        )
    assert features.shape == (1, 384)
    assert_allclose(features, expected.numpy(), atol=1e-5)


def test_published_configurations_have_the_published_numbers_of_weights() -> None:
    import open_clip
    from torchvision.models.optical_flow import raft_large, raft_small
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification, ViTConfig, ViTModel

    with torch.device("meta"):
        models = {
            85_798_656: ViTModel(ViTConfig(), add_pooling_layer=False),  # DINO ViT-B/16
            86_227_200 + 768 * 174 + 174 + 2 * 768: VideoMAEForVideoClassification(
                VideoMAEConfig(num_labels=174, use_mean_pooling=True)
            ),
            151_277_313: open_clip.CLIP(**_clip_config("ViT-B-32")),
            5_257_536: raft_large(),
            990_162: raft_small(),
        }
    for count, model in models.items():
        assert sum(p.numel() for p in model.parameters()) == pytest.approx(count, rel=0.001), type(
            model
        ).__name__


@pytest.mark.parametrize(
    "id", ["dino_vitb16", "dinov2_vitb14", "videomae", "open_clip:ViT-B-32/openai"]
)
def test_full_published_configurations_load(id: str, root: Path) -> None:
    import shutil

    import open_clip
    import transformers
    from safetensors.torch import save_file

    make = {
        "dino_vitb16": lambda: transformers.ViTModel(
            transformers.ViTConfig(), add_pooling_layer=False
        ),
        "dinov2_vitb14": lambda: transformers.Dinov2Model(
            transformers.Dinov2Config(image_size=518, patch_size=14)
        ),
        "videomae": lambda: transformers.VideoMAEForVideoClassification(
            transformers.VideoMAEConfig(num_labels=174, use_mean_pooling=True)
        ),
    }.get(id, lambda: open_clip.CLIP(**_clip_config("ViT-B-32")))
    with torch.device("meta"):
        model = make()
    model = model.to_empty(device="cpu").eval()
    with torch.no_grad():
        for value in model.state_dict().values():
            value.fill_(0.01) if value.is_floating_point() else value.zero_()
    folder = root / id.removeprefix("open_clip:")
    if id in ENCODERS:
        _saved(model, folder)
    else:
        folder.mkdir(parents=True)
        save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    try:
        encoder: Any = load_encoder(id)
    finally:
        shutil.rmtree(folder)  # up to 600 MB
    assert sum(parameter.numel() for parameter in encoder._model.parameters()) > 85e6
    frames = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
    features = (
        encoder.encode_clips(frames[None])
        if encoder.kind == "video"
        else encoder.encode_frames(frames[:1])
    )
    assert features.shape == (1, 512 if "ViT-B-32" in id else 768)
    assert np.isfinite(features).all()


def _clip_config(name: str) -> dict[str, Any]:
    import open_clip

    config = open_clip.get_model_config(name)
    return {key: config[key] for key in ("embed_dim", "vision_cfg", "text_cfg")}


@pytest.mark.parametrize("kind", ["Dinov2", "Dinov2WithRegisters", "DINOv3ViT"])
def test_later_dinos_by_hub_name_and_by_path(kind: str, root: Path, frames: np.ndarray) -> None:
    import transformers

    size = {
        "hidden_size": 24,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "patch_size": 14,
        "image_size": 518,
    }
    config = getattr(transformers, f"{kind}Config")(**size, intermediate_size=48)
    folder = root / "somebody" / "dino"
    model = _saved(getattr(transformers, f"{kind}Model")(config), folder)
    by_name: Any = load_encoder("dino:somebody/dino")
    by_path: Any = load_encoder(f"dino:{folder}")
    features = by_name.encode_frames(frames)
    assert_allclose(by_path.encode_frames(frames), features, atol=0)
    assert by_name.fingerprint == by_path.fingerprint
    pixels = ENCODERS["dinov2_vits14"].protocol.apply(frames)  # type: ignore[union-attr]
    with torch.no_grad():
        expected = torch.nn.functional.normalize(model(pixels).last_hidden_state[:, 0])
    assert_allclose(features, expected.numpy(), atol=1e-5)


def test_the_uncropped_view_sees_what_a_crop_cuts_off(make_weights: Callable[..., Path]) -> None:
    make_weights("dino_glyph")
    encoder: Any = load_encoder("dino_glyph")
    wide = np.random.default_rng(1).integers(0, 256, (2, 64, 128, 3), dtype=np.uint8)
    outside = wide.copy()
    outside[:, :, :32] = 0
    assert_allclose(encoder.encode_frames(outside), encoder.encode_frames(wide), atol=1e-6)
    difference = encoder.encode_frames(outside, view="uncropped") - encoder.encode_frames(
        wide, view="uncropped"
    )
    assert np.abs(difference).max() > 1e-3


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_near_and_has_another_fingerprint(
    dtype: str, make_weights: Callable[..., Path]
) -> None:
    frames = np.random.default_rng(2).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    for id in ("dino_glyph", "clip_glyph"):
        make_weights(id)
        full, half = load_encoder(id), load_encoder(id, dtype=dtype)
        features = half.encode_frames(frames)  # type: ignore[attr-defined]
        assert features.dtype == np.float32
        assert_allclose(features, full.encode_frames(frames), atol=0.02)  # type: ignore[attr-defined]
        assert half.fingerprint != full.fingerprint
    with pytest.raises(EvalError, match="'flow_dis': computes in float32, not in 'bfloat16'"):
        load_encoder("flow_dis", dtype="bfloat16")


def test_any_open_clip_model_and_tag(
    root: Path, frames: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    import open_clip
    from safetensors.torch import save_file

    config = _clip_config("ViT-B-32")
    config["vision_cfg"] |= {"layers": 1, "width": 64, "image_size": 64}
    config["text_cfg"] |= {"layers": 1, "width": 64, "heads": 2}
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "ViT-B-32", config | {"embed_dim": 16})
    folder = root / "ViT-B-32" / "laion2b_s34b_b79k"
    folder.mkdir(parents=True)
    model = open_clip.CLIP(**(config | {"embed_dim": 16})).eval()
    torch.nn.init.zeros_(model.positional_embedding)  # random places would hide what the words do
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    encoder: Any = load_encoder("open_clip:ViT-B-32/laion2b_s34b_b79k")
    with torch.no_grad():
        expected = model.encode_text(
            open_clip.get_tokenizer("ViT-B-32")(["a star"]), normalize=True
        ).numpy()
    assert_allclose(encoder.encode_text(["a star"]), expected, atol=1e-5)
    assert encoder.encode_frames(frames).shape == (3, 16)

    # an end token that is cut off would leave the last word's place to be read instead
    lengths = {n: encoder.encode_text([" ".join(["star"] * n)])[0] for n in (74, 75, 76, 90)}
    assert_allclose(lengths[76], lengths[75], atol=1e-6)
    assert_allclose(lengths[90], lengths[75], atol=1e-6)
    assert lengths[76] @ lengths[74] > 0.99
    sliced = open_clip.get_tokenizer("ViT-B-32", context_length=100)([" ".join(["star"] * 76)])[
        :, :77
    ]
    with torch.no_grad():
        lost = model.encode_text(sliced, normalize=True).numpy()[0]
    assert lost @ lengths[74] < 0.9
    assert [encoder.truncated(" ".join(["star"] * n)) for n in (75, 76)] == [False, True]

    with pytest.raises(
        EvalError, match=r"open_clip has no model 'ViT-B-23'.* Did you mean 'ViT-B-32'"
    ):
        load_encoder("open_clip:ViT-B-23/openai")
    with pytest.raises(
        EvalError, match=r"ViT-B-32 has the tags openai, .*Did you mean 'laion2b_e16'"
    ):
        encoder_fingerprint("open_clip:ViT-B-32/laion2b_e61")
    save_file({"weight": torch.zeros(1)}, folder / "open_clip_model.safetensors")
    with pytest.raises(EvalError, match="does not hold the weights of ViT-B-32"):
        load_encoder("open_clip:ViT-B-32/laion2b_s34b_b79k")


def test_a_wrong_sha256_or_shape_is_named(make_weights: Callable[..., Path]) -> None:
    from safetensors.torch import load_file, save_file

    folder = make_weights("dino_glyph")
    (folder.parent / "raft_small").mkdir()
    (folder.parent / "raft_small" / "raft_small_C_T_V2-01064c6d.pth").write_bytes(b"another file")
    found = hashlib.sha256(b"another file").hexdigest()[:16]
    with pytest.raises(
        EvalError, match=f"C_T_V2-01064c6d.pth has sha256 {found}, but its name states 01064c6d"
    ):
        load_encoder("raft_small")

    path = folder / "model.safetensors"
    sums = folder / "SHA256SUMS"
    sums.write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  model.safetensors\n")
    load_encoder("dino_glyph")
    state = load_file(path)
    name = "layernorm.weight"
    save_file(state | {name: torch.zeros(25)}, path, metadata={"format": "pt"})
    with pytest.raises(
        EvalError,
        match=r"model.safetensors has sha256 [0-9a-f]{64}, but SHA256SUMS states [0-9a-f]{64}",
    ):
        load_encoder("dino_glyph")
    sums.write_text("not a sum\n")
    with pytest.raises(EvalError, match="SHA256SUMS:1: expected a sha256 and a file name"):
        load_encoder("dino_glyph")
    sums.unlink()
    with pytest.raises(
        EvalError, match=r"1 tensors .* another shape .* layernorm.weight \(25,\), not \(24,\)"
    ):
        load_encoder("dino_glyph")
