"""The catalogue of metrics: which numbers exist, what they mean, and which encoder each of them needs.

A metric id is ``<family>.<encoder id>.<version>``, for example ``identity.dino_vits16.v1``. The encoder's name is part
of the id because two encoders of one family give different numbers, and the version is frozen: a change of
preprocessing or arithmetic is a new version, never an edit. This module only holds data; the arithmetic is in the
modules beside it and needs no network.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from eval.errors import EvalError, nearest

EncoderKind = Literal["image", "image-text", "flow", "video"]
Scope = Literal["clip", "set"]

ENCODERS: Mapping[str, EncoderKind] = {
    "dino_glyph": "image",
    "dino_vits16": "image",
    "dino_vitb16": "image",
    "clip_glyph": "image-text",
    "clip_vitb32_openai": "image-text",
    "flow_dis": "flow",
    "raft_large": "flow",
    "videomae_glyph": "video",
}
"""The encoders a metric may name, and what each one looks at."""


@dataclass(frozen=True)
class Family:
    """What all metrics of one name share, whatever encoder they use."""

    name: str
    kind: EncoderKind
    scope: Scope
    unit: str
    higher_is_better: bool | None
    description: str
    source: str
    versions: tuple[str, ...] = ("v1",)


@dataclass(frozen=True)
class Metric:
    """One number of the suite.

    Attributes:
        id: ``<family>.<encoder>.<version>``.
        family: name of the definition, a key of `FAMILIES`.
        encoder: id of the encoder whose features it reads.
        version: frozen protocol version, for example ``v1``.
        scope: ``clip`` for one value per clip, ``set`` for one value per set of clips.
        unit: unit of the value, for axis labels and tables.
        higher_is_better: None where neither direction is better (amount of motion).
        description: one sentence that defines the value.
        source: protocol or paper the definition comes from.
    """

    id: str
    family: str
    encoder: str
    version: str
    scope: Scope
    unit: str
    higher_is_better: bool | None
    description: str
    source: str


_IDENTITY = "Caron et al. 2021 (DINO features); Ruiz et al. 2023 (DreamBooth's DINO score), against the input image"
_TEXT = "Hessel et al. 2021 (CLIPScore without rescaling), per frame"
_MOTION = "Flow score of EvalCrafter and dynamic degree of VBench, made continuous and free of frame size and rate"

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family(
            "identity",
            "image",
            "clip",
            "cosine",
            True,
            "Mean cosine between the input image and frames 1, 2, ... (frame 0 left out).",
            _IDENTITY,
        ),
        Family(
            "identity_min",
            "image",
            "clip",
            "cosine",
            True,
            "Smallest cosine between the input image and any of frames 1, 2, ....",
            _IDENTITY,
        ),
        Family(
            "identity_last",
            "image",
            "clip",
            "cosine",
            True,
            "Cosine between the input image and the last frame.",
            _IDENTITY,
        ),
        Family(
            "text",
            "image-text",
            "clip",
            "100 x cosine",
            True,
            "Mean over frames of 100 times the cosine between prompt and frame.",
            _TEXT,
        ),
        Family(
            "text_min",
            "image-text",
            "clip",
            "100 x cosine",
            True,
            "Smallest over frames of 100 times the cosine between prompt and frame.",
            _TEXT,
        ),
        Family(
            "motion",
            "flow",
            "clip",
            "frame sizes/s",
            None,
            "Mean optical-flow magnitude, divided by the shorter frame side, times frames per second.",
            _MOTION,
        ),
        Family(
            "motion_top5",
            "flow",
            "clip",
            "frame sizes/s",
            None,
            "As motion, over the fastest 5 % of the pixels of each pair of frames.",
            _MOTION,
        ),
        Family(
            "fvd",
            "video",
            "set",
            "squared feature distance",
            False,
            "Fréchet distance between Gaussians fitted to the video features of true and generated clips.",
            "Unterthiner et al. 2018 (FVD); Ge et al. 2024 (VideoMAE features)",
        ),
        Family(
            "kvd",
            "video",
            "set",
            "squared feature distance",
            False,
            "Unbiased squared maximum mean discrepancy (cubic kernel) between features of true and generated clips.",
            "Binkowski et al. 2018 (KID); Unterthiner et al. 2018 (KVD)",
        ),
    )
}
"""All families by name, in the order in which tables show them."""


def _metric(family: Family, encoder: str, version: str) -> Metric:
    return Metric(
        id=f"{family.name}.{encoder}.{version}",
        family=family.name,
        encoder=encoder,
        version=version,
        scope=family.scope,
        unit=family.unit,
        higher_is_better=family.higher_is_better,
        description=family.description,
        source=family.source,
    )


def parse_metric(id: str) -> Metric:
    """The metric with this id.

    Args:
        id: ``<family>.<encoder>.<version>``.

    Raises:
        EvalError: the id does not have three parts, or names an unknown family, encoder or version, or an encoder of
            another kind than the family reads. The message lists what is allowed and the nearest valid name.

    Example:
        >>> parse_metric("identity.dino_vits16.v1").unit
        'cosine'
    """
    parts = id.split(".")
    if len(parts) != 3:
        raise EvalError(
            f"metric {id!r}: expected <family>.<encoder>.<version>.{nearest(id, [m.id for m in catalogue()])}"
        )
    name, encoder, version = parts
    if name not in FAMILIES:
        raise EvalError(
            f"metric {id!r}: unknown family {name!r}; allowed: {', '.join(FAMILIES)}.{nearest(name, list(FAMILIES))}"
        )
    family = FAMILIES[name]
    allowed = [encoder_id for encoder_id, kind in ENCODERS.items() if kind == family.kind]
    if encoder not in allowed:
        state = f"is of kind {ENCODERS[encoder]!r}, not {family.kind!r}" if encoder in ENCODERS else "is unknown"
        raise EvalError(
            f"metric {id!r}: encoder {encoder!r} {state}; allowed: {', '.join(allowed)}.{nearest(encoder, allowed)}"
        )
    if version not in family.versions:
        hint = nearest(version, list(family.versions))
        raise EvalError(f"metric {id!r}: unknown version {version!r}; allowed: {', '.join(family.versions)}.{hint}")
    return _metric(family, encoder, version)


def catalogue() -> list[Metric]:
    """Every metric: each family with each encoder of the kind it reads, in each version."""
    return [
        _metric(family, encoder, version)
        for family in FAMILIES.values()
        for encoder, kind in ENCODERS.items()
        if kind == family.kind
        for version in family.versions
    ]
