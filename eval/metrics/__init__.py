"""The catalogue of metrics: which numbers exist, what they mean, and which encoder each of them
needs.

A metric id is ``<family>.<encoder>.<version>``, for example ``identity.dino_vits16.v1`` or
``vbench.i2v_subject.dino_vitb16.v1``. The encoder's name is part of the id because two encoders of
one family give different numbers, and the version is frozen: a change of preprocessing or
arithmetic is a new version, never an edit.
An encoder is a name of `ENCODERS`, or a scheme of `SCHEMES` with a hub id, a tag or a path behind a
colon: ``identity.dino:facebook/dinov2-large.v1``. This package only holds data and arithmetic; it
needs no network.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from eval.errors import EvalError, nearest
from eval.metrics.families import FAMILIES, EncoderKind, Family, Scope, View

__all__ = [
    "ENCODERS",
    "FAMILIES",
    "SCHEMES",
    "EncoderKind",
    "Family",
    "Metric",
    "Scope",
    "catalogue",
    "parse_metric",
]

ENCODERS: Mapping[str, EncoderKind] = {
    "dino_glyph": "image",
    "dino_vits16": "image",
    "dino_vitb16": "image",
    "dinov2_vits14": "image",
    "dinov2_vitb14": "image",
    "dinov3_vits16": "image",
    "dinov3_vitb16": "image",
    "clip_glyph": "image-text",
    "clip_vitb32_openai": "image-text",
    "flow_dis": "flow",
    "raft_large": "flow",
    "raft_things": "flow",
    "raft_small": "flow",
    "videomae_glyph": "video",
    "videomae": "video",
    "i3d": "video",
    "pixels": "pixels",
    "lpips_alex": "perceptual",
    "lpips_vgg": "perceptual",
    "dover_technical": "quality",
    "style_glyph": "style",
}
"""The encoders that have a name, and what each one looks at."""

EMBEDDED = ("dino_glyph", "clip_glyph", "flow_dis", "videomae_glyph", "pixels")
"""Encoders that come with the package; the catalogue lists a published protocol with its own
encoder and with these.
"""

SCHEMES: Mapping[str, EncoderKind] = {
    "dino": "image",
    "open_clip": "image-text",
    "videomae": "video",
    "i3d": "video",
}
"""Encoders named by hub id, tag or path: ``dino:<hub id or folder>``,
``open_clip:<model>/<pretrained tag>``, ``videomae:<hub id or folder>``, ``i3d:<file>``."""


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
        view: how the encoder is shown the clip, see `eval.metrics.families.View`.
        truth: whether samples must bring the glyph world's ground truth.
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
    view: View = "standard"
    truth: bool = False


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
        view=family.view,
        truth=family.truth,
    )


def parse_metric(id: str) -> Metric:
    """The metric with this id.

    Args:
        id: ``<family>.<encoder>.<version>``.

    Raises:
        EvalError: the id does not have three parts, or names an unknown family, encoder or
            version, or an encoder of another kind than the family reads. The message lists what is
            allowed and the nearest valid name.

    Example:
        >>> parse_metric("identity.dino_vits16.v1").unit
        'cosine'
        >>> parse_metric("vbench.i2v_subject.dino:facebook/dino-vitb16.v1").encoder
        'dino:facebook/dino-vitb16'
    """
    named, _, version = id.rpartition(".")
    name = max((name for name in FAMILIES if named.startswith(f"{name}.")), key=len, default=None)
    if name is None:
        if named.count(".") < 1:
            raise EvalError(
                f"metric {id!r}: expected "
                f"<family>.<encoder>.<version>.{nearest(id, [m.id for m in catalogue()])}"
            )
        publishers = {family.split(".")[0] for family in FAMILIES if "." in family}
        first, second = named.split(".")[:2]
        wrong = f"{first}.{second}" if first in publishers else first
        raise EvalError(
            f"metric {id!r}: unknown family {wrong!r}; allowed: "
            f"{', '.join(FAMILIES)}.{nearest(wrong, list(FAMILIES))}"
        )
    family, encoder = FAMILIES[name], named.removeprefix(f"{name}.")
    _check_encoder(id, family, encoder)
    if version not in family.versions:
        hint = nearest(version, list(family.versions))
        raise EvalError(
            f"metric {id!r}: unknown version {version!r}; allowed: "
            f"{', '.join(family.versions)}.{hint}"
        )
    return _metric(family, encoder, version)


def _check_encoder(id: str, family: Family, encoder: str) -> None:
    scheme, colon, name = encoder.partition(":")
    kind = SCHEMES.get(scheme) if colon and name else ENCODERS.get(encoder)
    if kind == family.kind:
        return
    allowed = [encoder_id for encoder_id, known in ENCODERS.items() if known == family.kind]
    schemes = [f"{scheme}:..." for scheme, known in SCHEMES.items() if known == family.kind]
    state = f"is of kind {kind!r}, not {family.kind!r}" if kind else "is unknown"
    raise EvalError(
        f"metric {id!r}: encoder {encoder!r} {state}; allowed: {', '.join(allowed + schemes)}."
        f"{nearest(encoder, allowed)}"
    )


def catalogue() -> list[Metric]:
    """Every family in each version with each named encoder of its kind; a published protocol with
    the encoder that it was published with and with those that come with the package."""
    return [
        _metric(family, encoder, version)
        for family in FAMILIES.values()
        for encoder, kind in ENCODERS.items()
        if kind == family.kind and (family.published in (None, encoder) or encoder in EMBEDDED)
        for version in family.versions
    ]
