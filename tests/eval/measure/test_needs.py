"""What each metric says that it needs of a sample is what its formula asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eval.clips.lossless import Clip
from eval.errors import EvalError
from eval.measure.catalogue import definitions, find_definition
from eval.measure.feature_cache import FeatureCache
from eval.measure.kept_features import Memory
from eval.measure.look import Look
from eval.samples import Sample

GENERATOR = np.random.default_rng(3)
FRAMES = GENERATOR.integers(0, 256, (56, 16, 16, 3), dtype=np.uint8)
"""As many as AIGCBench's reference has."""
CLIP = Clip(FRAMES, 8.0)


class Encoder:
    """Answers to everything that a formula may ask for, by chance."""

    id, fingerprint, kind, styles = "toy", "toy", "any", ("plain", "inverted")
    pairs_at_once = 4

    def __getattr__(self, name: str) -> Any:
        def encode(*arrays: Any, **options: Any) -> Any:
            count = len(arrays[-1]) if isinstance(arrays[-1], (list, np.ndarray)) else len(FRAMES)
            count = len(arrays[0]) if name == "encode_quality" else count
            shape = {
                "encode_image": (5,),
                "encode_pairs": (*np.shape(arrays[0])[:3], 2),
                "encode_distances": (count,),
                "encode_quality": (1,),
                "encode_tracks": (len(FRAMES), count, 2),
                "encode_styles": (count, 2),
                "encode_scores": (count,),
                "encode_interpolation": (count // 2,),
            }.get(name, (count, 5))
            made = GENERATOR.normal(size=shape).astype(np.float32)
            return np.abs(made) if name == "encode_interpolation" else made

        return encode


def names() -> list[str]:
    return [n for n, found in definitions().items() if not found.truth and found.kind != "style"]


@pytest.mark.parametrize("name", names())
def test_a_metric_needs_what_its_formula_reads(name: str) -> None:
    registered = find_definition(name)
    if registered.definition.scope == "set":
        assert registered.definition.needs == ()
        return
    for unknown in ((), ("image",), ("prompt",), ("clip",)):
        prompt = "" if unknown == ("prompt",) else "x, camera static"
        true = None if unknown == ("clip",) else CLIP
        sample = Sample("a", FRAMES[0], prompt, clip=true, unknown=unknown)
        look: Any = Look(
            Encoder(), registered.definition.view, sample, CLIP, Memory(FeatureCache())
        )
        if set(unknown) <= set(registered.definition.needs) and unknown:
            with pytest.raises(EvalError, match=f"the sample's (true )?{unknown[0]} is not known"):
                registered.formula(look)
        else:
            registered.formula(look)
