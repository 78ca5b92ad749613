"""Looking weights up, naming what is missing, and fingerprints."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from eval.encoders import ENCODERS, encoder_fingerprint, load_encoder
from eval.errors import EvalError, WeightsMissingError


@pytest.mark.parametrize("id", [id for id, entry in ENCODERS.items() if entry.source])
def test_missing_weights_name_encoder_option_and_folder(id: str, no_weights: Path) -> None:
    for call in (load_encoder, encoder_fingerprint):
        with pytest.raises(WeightsMissingError, match=f"encoder '{id}'.*I2V_EVAL_WEIGHTS") as error:
            call(id)
        assert str(no_weights / id) in str(error.value)
        assert "\n" not in str(error.value)


def test_a_missing_file_is_named(
    make_weights: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from eval.encoders import weights

    folder = make_weights("clip_glyph")
    monkeypatch.setattr(weights, "EMBEDDED", folder.parent / "embedded")
    (folder / "vocab.json").unlink()
    with pytest.raises(WeightsMissingError, match=r"clip_glyph \(no vocab.json\)"):
        load_encoder("clip_glyph")


def test_an_unset_option_is_said(no_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("I2V_EVAL_WEIGHTS")
    with pytest.raises(WeightsMissingError, match="now not set"):
        encoder_fingerprint("dino_vits16")


def test_unknown_encoders_get_the_nearest_name() -> None:
    with pytest.raises(
        EvalError,
        match=r"unknown encoder 'dino_glyf'; allowed: dino_glyph, .* Did you mean 'dino_glyph'",
    ):
        load_encoder("dino_glyf")


def test_the_fingerprint_follows_the_bytes_of_every_file(make_weights: Callable[..., Path]) -> None:
    folder = make_weights("clip_glyph")
    seen = [encoder_fingerprint("clip_glyph")]
    assert load_encoder("clip_glyph").fingerprint == seen[0]
    assert len(seen[0]) == 64
    for name in ("model.safetensors", "open_clip_config.json", "vocab.json"):
        with (folder / name).open("ab") as file:
            file.write(b" ")
        seen.append(encoder_fingerprint("clip_glyph"))
    assert len(set(seen)) == 4


def test_equal_weights_under_another_protocol_have_another_fingerprint(
    make_weights: Callable[..., Path],
) -> None:
    small, large = make_weights("dino_glyph"), make_weights("dino_vits16")
    assert (small / "model.safetensors").read_bytes() == (large / "model.safetensors").read_bytes()
    assert encoder_fingerprint("dino_glyph") != encoder_fingerprint("dino_vits16")


def test_fingerprints_need_no_torch(make_weights: Callable[..., Path]) -> None:
    make_weights("dino_glyph")
    make_weights("clip_glyph")
    make_weights("videomae_glyph")
    code = (
        "import sys\nfrom eval.encoders import encoder_fingerprint\n"
        "for id in ('dino_glyph', 'clip_glyph', 'videomae_glyph', 'flow_dis'): "
        "encoder_fingerprint(id)\n"
        "assert not {'torch', 'transformers', 'open_clip'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
