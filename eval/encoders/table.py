"""The encoders of this package: how each is found and built. Data; the modules that it names are
imported when one is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from eval.encoders import weights
from eval.encoders.dreamsim import FILES as DREAMSIM_FILES
from eval.encoders.judge import judge_encoder
from eval.encoders.kinds import OwnEncoder
from eval.encoders.preprocessing import (
    CDFVD_224,
    CLIP_224,
    DINO_224,
    DREAMSIM_224,
    GLYPH_64,
    I3D_224,
    I3D_SQUASH_224,
    VIDEOMAE_224,
    VJEPA1_224,
    VJEPA2_256,
    Preprocessing,
)
from eval.metrics.definitions import EncoderKind


@dataclass(frozen=True)
class EncoderEntry:
    """How an encoder is found and built: ``module.load(id, location, protocol, device, dtype)``.

    Attributes:
        kind: what it looks at.
        module: module below this package with the `load` function.
        protocol: frozen preprocessing; its text is part of the fingerprint.
        source: where its weights are looked for; None for an encoder without weights.
        dtypes: torch dtypes in which it can compute; the first is the default, and another one
            is another fingerprint.
        revision: counts changes of its preprocessing, from 1. Versions of metrics that were made
            with an earlier revision are refused.
        change: what the last revision changed, for that message.
        loader: environment variable that names the loader of a network which this package does
            not bring.
        own: class of an encoder that is not part of this package, see `OwnEncoder`; `module` and
            `protocol` are not used.
    """

    kind: EncoderKind
    module: str
    protocol: Preprocessing | None = None
    source: weights.Source | None = None
    dtypes: tuple[str, ...] = ("float32",)
    revision: int = 1
    change: str = ""
    loader: str = ""
    own: type[OwnEncoder] | None = None


DTYPES = ("float32", "bfloat16", "float16")
"""What vision transformers compute in; preprocessing stays in float32, and features come out in it.
"""

_RESIZED = (
    "it rounded the long side of a resized frame where the published preprocessing rounds it down "
    "(I3D: up), and cropped one pixel off at odd widths, which changes values unless frames are "
    "square"
)
_CENTRED = (
    "it padded frames right and below to multiples of 8, where RAFT's users centre the padding, "
    "which changes values unless the sides are such multiples"
)

_SAFETENSORS = ("config.json", "model.safetensors")
_TRANSFORMERS = ("config.json", "model.safetensors|pytorch_model.bin")


def _hub(kind: EncoderKind, module: str, protocol: Preprocessing, repository: str) -> EncoderEntry:
    source = weights.Source(_TRANSFORMERS, hub=repository)
    return EncoderEntry(kind, module, protocol, source, DTYPES, 2, _RESIZED)


def _torchvision(kind: EncoderKind, module: str, file: str) -> EncoderEntry:
    unpinned = f"{file.split('-')[0]}.pth"
    return EncoderEntry(
        kind,
        module,
        source=weights.Source((f"{file}|{unpinned}|model.safetensors",), torch_hub=True),
        revision=2 if module == "raft" else 1,
        change=_CENTRED if module == "raft" else "",
    )


_CLIP_FILES = ("open_clip_config.json", "model.safetensors", "vocab.json")
_CLIP_HUB_FILES = ("open_clip_config.json", "open_clip_model.safetensors|model.safetensors")

_I3D_PORT_FILE = weights.Source(("i3d_pretrained_400.pt",))
_I3D_FILE = weights.Source(("i3d_torchscript.pt",))

ENCODERS: Mapping[str, EncoderEntry] = {
    "dino_glyph": EncoderEntry(
        "image", "dino", GLYPH_64, weights.Source(_SAFETENSORS, embedded="dino"), DTYPES
    ),
    "dino_vits16": _hub("image", "dino", DINO_224, "facebook/dino-vits16"),
    "dino_vitb16": _hub("image", "dino", DINO_224, "facebook/dino-vitb16"),
    "dinov2_vits14": _hub("image", "dino", DINO_224, "facebook/dinov2-small"),
    "dinov2_vitb14": _hub("image", "dino", DINO_224, "facebook/dinov2-base"),
    "dinov3_vits16": _hub("image", "dino", DINO_224, "facebook/dinov3-vits16-pretrain-lvd1689m"),
    "dinov3_vitb16": _hub("image", "dino", DINO_224, "facebook/dinov3-vitb16-pretrain-lvd1689m"),
    "clip_glyph": EncoderEntry(
        "image-text", "clip", GLYPH_64, weights.Source(_CLIP_FILES, embedded="clip"), DTYPES
    ),
    "clip_vitb32_openai": EncoderEntry(
        "image-text",
        "clip",
        CLIP_224,
        weights.Source(_CLIP_HUB_FILES, hub="timm/vit_base_patch32_clip_224.openai"),
        DTYPES,
        revision=2,
        change=_RESIZED,
    ),
    "clip_vitl14_openai": EncoderEntry(
        "image-text",
        "clip",
        CLIP_224,
        weights.Source(_CLIP_HUB_FILES, hub="timm/vit_large_patch14_clip_224.openai"),
        DTYPES,
    ),
    "dreamsim_ensemble": EncoderEntry(
        "image", "dreamsim", DREAMSIM_224, weights.Source(DREAMSIM_FILES)
    ),
    "flow_dis": EncoderEntry("flow", "flow"),
    "tracks_klt": EncoderEntry("tracks", "tracks"),
    "cotracker2": EncoderEntry("tracks", "cotracker2", loader="I2V_EVAL_COTRACKER2"),
    "pips2": EncoderEntry("tracks", "pips2", loader="I2V_EVAL_PIPS2"),
    "flow_dis_fast": EncoderEntry("flow", "flow_fast"),
    "raft_large": EncoderEntry(
        "flow",
        "raft",
        source=weights.Source(
            ("raft_large_C_T_SKHT_V2-ff5fadd5.pth|model.safetensors",), torch_hub=True
        ),
        revision=2,
        change=_CENTRED,
    ),
    "raft_things": _torchvision("flow", "raft", "raft_large_C_T_V1-22a6c225.pth"),
    "raft_small": _torchvision("flow", "raft", "raft_small_C_T_V2-01064c6d.pth"),
    "videomae_glyph": EncoderEntry(
        "video", "video", GLYPH_64, weights.Source(_SAFETENSORS, embedded="videomae"), DTYPES
    ),
    "videomae": _hub("video", "video", VIDEOMAE_224, "MCG-NJU/videomae-base-finetuned-ssv2"),
    "videomae2_vitg_ssv2": EncoderEntry(
        "video",
        "videomae2",
        CDFVD_224,
        weights.Source(("vit_g_hybrid_pt_1200e_ssv2_ft.pth",)),
        DTYPES,
    ),
    "vjepa1_vith16_ssv2": EncoderEntry(
        "video",
        "vjepa1",
        VJEPA1_224,
        weights.Source(("vith16.pth.tar", "ssv2-probe.pth.tar")),
        DTYPES,
    ),
    "vjepa2_vitl_ssv2": EncoderEntry(
        "video",
        "vjepa2",
        VJEPA2_256,
        weights.Source(_TRANSFORMERS, hub="facebook/vjepa2-vitl-fpc16-256-ssv2"),
        DTYPES,
    ),
    "i3d": EncoderEntry(
        "video",
        "i3d",
        I3D_224,
        _I3D_FILE,
        revision=2,
        change=_RESIZED,
    ),
    "i3d_resize": EncoderEntry("video", "i3d", source=_I3D_FILE),
    "i3d_squash_ts": EncoderEntry("video", "i3d", I3D_SQUASH_224, _I3D_FILE),
    "i3d_squash": EncoderEntry("video", "i3d_port", I3D_SQUASH_224, _I3D_PORT_FILE),
    "i3d_videogpt": EncoderEntry("video", "i3d_port", I3D_224, _I3D_PORT_FILE),
    "pixels": EncoderEntry("pixels", "pixels"),
    "lpips_alex": _torchvision("perceptual", "perceptual", "alexnet-owt-7be5be79.pth"),
    "lpips_vgg": _torchvision("perceptual", "perceptual", "vgg16-397923af.pth"),
    "dover_technical": EncoderEntry("quality", "quality", loader="I2V_EVAL_DOVER"),
    "clip_vitl14_laion": EncoderEntry(
        "frame-score",
        "aesthetic",
        CLIP_224,
        weights.Source((*_CLIP_HUB_FILES, "sa_0_4_vit_l_14_linear.pth")),
        DTYPES,
    ),
    "musiq_spaq": EncoderEntry(
        "frame-score",
        "musiq",
        source=weights.Source(("musiq_spaq_ckpt-358bb6af.pth|musiq_spaq.pth",), torch_hub=True),
    ),
    "amt_s": EncoderEntry("interpolation", "interpolation", loader="I2V_EVAL_AMT"),
    "style_glyph": EncoderEntry(
        "style", "style", GLYPH_64, weights.Source(_SAFETENSORS, embedded="style"), DTYPES
    ),
}
"""All named encoders. The modules they name are imported when one is asked for."""


EMBEDDED = (
    "dino_glyph",
    "clip_glyph",
    "flow_dis",
    "flow_dis_fast",
    "tracks_klt",
    "videomae_glyph",
    "pixels",
)
"""Encoders that come with the package; the catalogue lists a published protocol with its own
encoder and with these.
"""


def _folder(name: str) -> Path | None:
    """The name as a path if it starts like one, else None."""
    return Path(name).expanduser() if name.startswith(("/", "./", "../", "~")) else None


def _transformers(
    kind: EncoderKind, module: str, protocol: Preprocessing
) -> Callable[[str], EncoderEntry]:
    def entry(name: str) -> EncoderEntry:
        folder = _folder(name)
        source = weights.Source(_TRANSFORMERS, hub=None if folder else name, folder=folder)
        return EncoderEntry(kind, module, protocol, source, DTYPES, 2, _RESIZED)

    return entry


def _open_clip(name: str) -> EncoderEntry:
    from eval.encoders import open_clip_tags

    protocol, source = open_clip_tags.describe(name)
    return EncoderEntry("image-text", "open_clip_tags", protocol, source, DTYPES, 2, _RESIZED)


def _torchscript(name: str) -> EncoderEntry:
    path = Path(name).expanduser()
    source = weights.Source((path.name,), folder=path.parent)
    return EncoderEntry("video", "i3d", I3D_224, source, revision=2, change=_RESIZED)


def _judge(name: str) -> EncoderEntry:
    return EncoderEntry("judge", "", own=judge_encoder(name))


@dataclass(frozen=True)
class Scheme:
    """Encoders of one kind that are named by what follows the colon.

    Attributes:
        kind: what they look at.
        entry: what follows the colon -> how the encoder is found and built.
        revision: as of `EncoderEntry`, of all of them.
        change: as of `EncoderEntry`.
    """

    kind: EncoderKind
    entry: Callable[[str], EncoderEntry]
    revision: int = 2
    change: str = _RESIZED


SCHEMES: Mapping[str, Scheme] = {
    "dino": Scheme("image", _transformers("image", "dino", DINO_224)),
    "open_clip": Scheme("image-text", _open_clip),
    "videomae": Scheme("video", _transformers("video", "video", VIDEOMAE_224)),
    "i3d": Scheme("video", _torchscript),
    "judge": Scheme("judge", _judge, revision=1, change=""),
}
"""Encoders named ``scheme:place``. The place is, in the order above: a hub id or folder,
``<model>/<tag>``, a hub id or folder, a file, the name of a learned judge. Only an ``open_clip:``
id needs open_clip, hence torch, to be looked up.
"""
