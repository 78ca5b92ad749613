"""DINO, CLIP and VideoMAE through their real loading path, with tiny random models."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from eval.clips.lossless import Clip
from eval.encoders import load_encoder
from eval.encoders.video import renamed_biases
from eval.errors import EvalError
from eval.measure.catalogue import parse_metric
from eval.measure.evaluator import Evaluator
from eval.samples import Sample


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (37, 64, 64, 3), dtype=np.uint8)


def test_dino_is_the_normalised_class_token(
    make_weights: Callable[..., Path], frames: np.ndarray
) -> None:
    from transformers import ViTModel

    folder = make_weights("dino_glyph")
    features = load_encoder("dino_glyph").encode_frames(frames)  # type: ignore[attr-defined]
    model = ViTModel.from_pretrained(folder, add_pooling_layer=False).eval()
    pixels = torch.from_numpy(frames.transpose(0, 3, 1, 2) / np.float32(127.5) - 1)
    with torch.no_grad():
        expected = model(pixels).last_hidden_state[:, 0].numpy()
    assert features.dtype == np.float32
    assert_allclose(features, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


def test_dino_at_full_size_resizes_and_crops(make_weights: Callable[..., Path]) -> None:
    make_weights("dino_vits16", image_size=224, patch_size=32)
    encoder: Any = load_encoder("dino_vits16")
    frames = np.random.default_rng(1).integers(0, 256, (2, 40, 72, 3), dtype=np.uint8)
    features = encoder.encode_frames(frames)
    outside = frames.copy()
    outside[:, :, :12] = 0  # left of the central square, with a margin for the filter
    assert features.shape == (2, 24)
    assert_allclose(encoder.encode_frames(outside), features, atol=1e-5)


@pytest.mark.parametrize("id", ["dino_glyph", "clip_glyph"])
def test_batch_size_does_not_change_a_feature(
    id: str, make_weights: Callable[..., Path], frames: np.ndarray
) -> None:
    make_weights(id)
    encoder: Any = load_encoder(id)
    together = encoder.encode_frames(frames)
    assert_allclose(
        together,
        np.concatenate([encoder.encode_frames(frame[None]) for frame in frames]),
        atol=1e-5,
    )
    assert_allclose(together[5:12], encoder.encode_frames(frames[5:12]), atol=1e-5)
    assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)


def test_clip_text_is_open_clips_and_long_prompts_are_flagged(
    make_weights: Callable[..., Path],
) -> None:
    import open_clip
    from safetensors.torch import load_file

    from eval.world.tokenizer import WordTokenizer

    folder = make_weights("clip_glyph")
    prompts = [
        "a red star moving left over a navy background",
        "a blue heart standing still over a gray background",
    ]
    encoder: Any = load_encoder("clip_glyph")
    features = encoder.encode_text(prompts)
    model = open_clip.CLIP(
        **json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
    ).eval()
    model.load_state_dict(load_file(folder / "model.safetensors"))
    with torch.no_grad():
        expected = model.encode_text(WordTokenizer()(prompts), normalize=True).numpy()
    assert_allclose(features, expected, atol=1e-5)
    assert_allclose(
        np.concatenate([encoder.encode_text([prompt]) for prompt in prompts]), features, atol=1e-5
    )
    assert encoder.truncated("star " * 15)
    assert not encoder.truncated("star " * 14)
    with pytest.raises(EvalError, match="no prompts"):
        encoder.encode_text([])


@pytest.mark.parametrize("pooled", [True, False])
def test_video_features_are_what_the_classifier_reads(
    pooled: bool, make_weights: Callable[..., Path]
) -> None:
    from transformers import VideoMAEForVideoClassification

    folder = make_weights("videomae_glyph", use_mean_pooling=pooled)
    clips = np.random.default_rng(2).integers(0, 256, (11, 10, 64, 64, 3), dtype=np.uint8)
    encoder: Any = load_encoder("videomae_glyph")
    features = encoder.encode_clips(clips)
    assert_allclose(
        np.concatenate([encoder.encode_clips(clip[None]) for clip in clips]), features, atol=1e-5
    )
    assert_allclose(encoder.encode_clips(clips[:2, :8]), features[:2], atol=1e-5)
    if pooled:
        model = VideoMAEForVideoClassification.from_pretrained(folder).eval()
        pixels = torch.from_numpy(clips[:, :8].transpose(0, 1, 4, 2, 3) / np.float32(127.5) - 1)
        with torch.no_grad():
            expected = model(pixels).logits.numpy()
            read = model.classifier(torch.from_numpy(features)).numpy()
        assert_allclose(read, expected, atol=1e-5)
    with pytest.raises(EvalError, match="has 7 frames; 8 or more"):
        encoder.encode_clips(clips[:, :7])


LAYOUTS = {
    "transformers 5.0": ("q_bias", "v_bias"),
    "transformers 5.17": ("query.bias", "value.bias", "key.bias"),
    "transformers 5.23": ("query.bias", "value.bias"),
}


@pytest.mark.parametrize("stored", LAYOUTS)
@pytest.mark.parametrize("model", LAYOUTS)
def test_biases_of_every_layout_reach_every_model(stored: str, model: str) -> None:
    prefix = "videomae.encoder.layer.1.attention.attention."
    values = {"q": torch.tensor([1.0, 2.0]), "v": torch.tensor([3.0, 4.0]), "k": torch.zeros(2)}
    named = {
        layout: {f"{prefix}{name}": values[name[0]] for name in names}
        for layout, names in LAYOUTS.items()
    }
    other = {"classifier.bias": torch.ones(3)}
    renamed = renamed_biases(named[stored] | other, (named[model] | other).keys())
    assert renamed.keys() == (named[model] | other).keys()
    assert all(torch.equal(renamed[name], value) for name, value in named[model].items())


@pytest.mark.parametrize("stored", LAYOUTS)
def test_files_of_every_layout_give_the_same_features(
    stored: str, make_weights: Callable[..., Path]
) -> None:
    from safetensors.torch import load_file, save_file

    path = make_weights("videomae_glyph") / "model.safetensors"
    clips = np.random.default_rng(2).integers(0, 256, (2, 8, 64, 64, 3), dtype=np.uint8)
    generator = torch.Generator().manual_seed(5)
    state = {}
    for name, tensor in load_file(path).items():
        found = re.fullmatch(r"(.*\.attention\.attention\.)([qkv]).*bias", name)
        if found is None:
            state[name] = tensor
        elif found.group(2) != "k":
            value = torch.randn(tensor.shape, generator=generator)
            state[f"{found.group(1)}{found.group(2)}_bias"] = value
    save_file(state, path, metadata={"format": "pt"})
    encoder: Any = load_encoder("videomae_glyph")
    expected = encoder.encode_clips(clips)
    saved = {}
    for name, tensor in state.items():
        found = re.fullmatch(r"(.*)([qv])_bias", name)
        if found is None:
            saved[name] = tensor
            continue
        for part in LAYOUTS[stored]:
            if part[0] in (found.group(2), "k"):
                saved[f"{found.group(1)}{part}"] = tensor * (part[0] != "k")
    save_file(saved, path, metadata={"format": "pt"})
    encoder = load_encoder("videomae_glyph")
    assert_array_equal(encoder.encode_clips(clips), expected)


def test_weights_that_lack_a_tensor_are_refused(make_weights: Callable[..., Path]) -> None:
    from safetensors.torch import load_file, save_file

    for id, message in (
        ("dino_glyph", "lack 1 tensors"),
        ("clip_glyph", "does not fit open_clip_config.json: .*Missing"),
    ):
        path = make_weights(id) / "model.safetensors"
        state = load_file(path)
        state.pop(next(name for name in state if name.endswith("bias")))
        save_file(state, path, metadata={"format": "pt"})
        with pytest.raises(EvalError, match=message):
            load_encoder(id)


def test_broken_files_are_named(make_weights: Callable[..., Path]) -> None:
    for id in ("dino_glyph", "clip_glyph", "videomae_glyph"):
        folder = make_weights(id)
        (folder / "model.safetensors").write_bytes(b"no tensors here")
        with pytest.raises(EvalError, match=f"encoder '{id}'.*weights") as error:
            load_encoder(id)
        assert "\n" not in str(error.value)


def test_weights_that_are_not_numbers_give_no_score(
    make_weights: Callable[..., Path], frames: np.ndarray
) -> None:
    from safetensors.torch import load_file, save_file

    sample, clip = Sample("s", frames[0], "a star"), Clip(frames[1:9], 8.0)
    for id, metric in (
        ("dino_glyph", "identity"),
        ("clip_glyph", "text"),
        ("videomae_glyph", "fvd"),
    ):
        path = make_weights(id) / "model.safetensors"
        state = {
            name: torch.full_like(tensor, float("nan")) for name, tensor in load_file(path).items()
        }
        save_file(state, path, metadata={"format": "pt"})
        evaluator = Evaluator([parse_metric(f"{metric}.{id}.v1")])
        with pytest.raises(EvalError, match=f"{id}.*not finite"):
            evaluator.video_features([clip], id) if metric == "fvd" else evaluator.measure(
                [sample], [clip]
            )


def test_a_configuration_for_other_preprocessing_is_refused(
    make_weights: Callable[..., Path],
) -> None:
    path = make_weights("clip_glyph") / "open_clip_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"preprocess_cfg": {"mean": [0.4, 0.4, 0.4]}}))
    with pytest.raises(
        EvalError, match=r"states mean \[0.4, 0.4, 0.4\], but the encoder is defined with"
    ):
        load_encoder("clip_glyph")
    path.write_text("{}")
    with pytest.raises(EvalError, match="does not describe an open_clip model: KeyError"):
        load_encoder("clip_glyph")


@pytest.mark.parametrize("content", [b"", b'{"a', b'{"a": "\xff"}', b"[1]", b"[" * 100_000])
@pytest.mark.parametrize(
    ("encoder", "name"), [("dino_glyph", "config.json"), ("clip_glyph", "open_clip_config.json")]
)
def test_a_damaged_configuration_is_named(
    encoder: str, name: str, content: bytes, make_weights: Callable[..., Path]
) -> None:
    path = make_weights(encoder) / name
    path.write_bytes(content)
    with pytest.raises(EvalError) as error:
        load_encoder(encoder)
    message = str(error.value)
    assert message.startswith(f"encoder '{encoder}': {path} ")
    assert message.endswith("; copy or download it again")
    assert "\n" not in message


@pytest.mark.parametrize("shape", [(64, 64, 3), (0, 64, 64, 3), (1, 64, 64, 4)])
def test_frames_of_another_shape_are_refused(
    shape: tuple[int, ...], make_weights: Callable[..., Path]
) -> None:
    make_weights("dino_glyph")
    with pytest.raises(EvalError, match=r"frames must be uint8 \(N, H, W, 3\)"):
        load_encoder("dino_glyph").encode_frames(np.zeros(shape, np.uint8))  # type: ignore[attr-defined]
