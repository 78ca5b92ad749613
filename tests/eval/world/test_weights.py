"""What ships: the weights are those of the cards, and every method of the glyph world runs on
them."""

from __future__ import annotations

import numpy as np
import pytest

from eval.errors import WeightsMissingError
from eval.io.files import file_sha256
from eval.methods import load_method
from eval.samples.glyph_world import GlyphWorldSettings, load
from eval.samples.seeds import derive_seed
from eval.world.cards import read_cards
from eval.world.glyphs import UNSEEN
from eval.world.models import WEIGHTS
from eval.world.pipelines import require

PARTS = (
    "vae",
    "text_encoder",
    "unet",
    "ip_adapter",
    "i2v_adapter",
    "dino",
    "clip",
    "videomae",
    "style",
)
METHODS = ("i2v-adapter", "content-adapter", "text-to-video")


@pytest.fixture(scope="module")
def samples():
    return load(GlyphWorldSettings(seen=1, unseen=1, seed=3))


def test_cards_state_the_files_that_lie_there():
    cards = read_cards()
    assert set(PARTS) <= set(cards)
    for name, card in cards.items():
        files = list((WEIGHTS / name).glob("*.safetensors"))
        assert card["sha256"] == {path.name: file_sha256(path) for path in files}
        assert name not in PARTS or (files and card["steps"] > 0)


def test_all_weights_together_stay_small():
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*") if path.is_file()) < 70_000_000


def test_samples_are_balanced_and_reproducible(samples):
    again = load(GlyphWorldSettings(seen=1, unseen=1, seed=3))
    assert [sample.fingerprint for sample in samples] == [sample.fingerprint for sample in again]
    many = load(GlyphWorldSettings(seen=0, unseen=24, seed=3))
    glyphs = [sample.truth["glyph"] for sample in many]
    assert {glyphs.count(glyph) for glyph in UNSEEN} == {2}
    assert many[:12][0].id == load(GlyphWorldSettings(seen=0, unseen=12, seed=3))[0].id


@pytest.mark.parametrize("name", METHODS)
def test_a_clip_does_not_depend_on_its_batch(samples, name):
    method_class = load_method(name)
    method = method_class(method_class.Settings(steps=2, frames=3))
    seeds = [derive_seed(sample.id, 0) for sample in samples]
    together = method.generate(samples, seeds)
    for sample, seed, clip in zip(samples, seeds, together, strict=True):
        alone = method.generate([sample], [seed])[0]
        # Float noise of 1e-5 can move a value across a rounding border, by one grey level.
        assert np.abs(alone.frames.astype(int) - clip.frames.astype(int)).max() <= 1
        assert clip.frames.shape == (3, 64, 64, 3)


def test_the_adapter_starts_at_the_image(samples):
    method_class = load_method("i2v-adapter")
    clip = method_class(method_class.Settings(steps=2, frames=3)).generate(samples[:1], [5])[0]
    error = np.square(clip.frames[0].astype(float) - samples[0].image).mean()
    assert 10 * np.log10(255**2 / error) > 25.0  # dB; what is left is the VAE's round trip


def test_fingerprints_tell_methods_apart_and_need_no_model():
    prints = {
        name: load_method(name)(load_method(name).Settings()).fingerprint() for name in METHODS
    }
    assert len(set(prints.values())) == len(METHODS)


def test_a_missing_part_is_named(tmp_path):
    with pytest.raises(WeightsMissingError, match=r"part 'vae' is missing.*nox -s world"):
        require(("vae",), tmp_path)
