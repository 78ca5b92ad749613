"""Where the published weights of encoders come from: repository, pinned revision, size, licence.

Facts as their publishers state them. Nothing here reaches the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

TORCH_HUB = "https://download.pytorch.org/models/"
MINIMUM = ("dino_vits16", "clip_vitb32_openai", "raft_large")
"""The smallest set that measures identity, text and motion of photographs."""


@dataclass(frozen=True)
class Published:
    """Weights that anyone can get.

    Attributes:
        size: of the download, MB; None: not known.
        licence: of the weights.
        hub: repository on the Hugging Face hub; None: every file has an address in `urls`.
        revision: commit of that repository, pinned; None: its latest one, which is recorded.
        files: files to get from the repository; ``a|b`` is the first that it has.
        sha256: file -> sha256 hex or its start, where it is pinned besides.
        gated: whether a licence has to be accepted on the hub first.
        urls: file -> address of files that lie elsewhere. A name that ends in eight hex digits,
            as torch.hub's do, holds the start of its sha256.
        unpack: files of `urls` that are zip archives, to be unpacked in the encoder's folder.
        by_hand: why ``weights get`` cannot get them; then `urls` only say where they are.
    """

    size: int | None
    licence: str
    hub: str | None
    revision: str | None
    files: tuple[str, ...]
    sha256: Mapping[str, str] = field(default_factory=dict)
    gated: bool = False
    urls: Mapping[str, str] = field(default_factory=dict)
    unpack: tuple[str, ...] = ()
    by_hand: str = ""

    def line(self, id: str, folder: str) -> str:
        """The command that gets them into `folder`, for a machine without this package."""
        steps = []
        if self.hub is not None:
            files = " ".join(name.split("|")[0] for name in self.files)
            revision = f" --revision {self.revision}" if self.revision else ""
            steps.append(f"hf download {self.hub} {files}{revision} --local-dir {folder}/{id}")
        for file, url in self.urls.items():
            steps.append(f"curl -L --create-dirs -o {folder}/{id}/{file} {url}")
            if file in self.unpack:
                steps.append(f"unzip -o {folder}/{id}/{file} -d {folder}/{id}")
        return " && ".join(steps) + (f"; {self.by_hand}" if self.by_hand else "")


_TRANSFORMERS = ("config.json", "model.safetensors|pytorch_model.bin")


def _torch_hub(file: str, size: int) -> Published:
    return Published(size, "BSD-3-Clause", None, None, (), urls={file: f"{TORCH_HUB}{file}"})


def _i3d(file: str, url: str) -> Published:
    return Published(51, "not stated", None, None, (), urls={file: url})


_I3D_TORCHSCRIPT = _i3d(
    "i3d_torchscript.pt", "https://www.dropbox.com/s/ge9e5ujwgetktms/i3d_torchscript.pt?dl=1"
)
_I3D_PORT = _i3d(
    "i3d_pretrained_400.pt",
    "https://github.com/songweige/TATS/raw/main/tats/fvd/i3d_pretrained_400.pt",
)
_JEPA = "https://dl.fbaipublicfiles.com/jepa/vith16"


PUBLISHED: Mapping[str, Published] = {
    "dino_vits16": Published(
        87,
        "Apache-2.0",
        "facebook/dino-vits16",
        "abe3b354cb6a9b6f146096b14a4a9d7eecbcb4bd",
        ("config.json", "pytorch_model.bin"),
    ),
    "dino_vitb16": Published(343, "Apache-2.0", "facebook/dino-vitb16", None, _TRANSFORMERS),
    "dinov2_vits14": Published(
        88,
        "Apache-2.0",
        "facebook/dinov2-small",
        "ed25f3a31f01632728cabb09d1542f84ab7b0056",
        ("config.json", "model.safetensors"),
        {"model.safetensors": "ae1e99fcefd534ed978cdeb8326f08030c96e28b7a81ffcbc98a857c84d14be1"},
    ),
    "dinov2_vitb14": Published(
        346,
        "Apache-2.0",
        "facebook/dinov2-base",
        "f9e44c814b77203eaa57a6bdbbd535f21ede1415",
        ("config.json", "model.safetensors"),
    ),
    "dinov3_vits16": Published(
        87,
        "DINOv3 License",
        "facebook/dinov3-vits16-pretrain-lvd1689m",
        "114c1379950215c8b35dfcd4e90a5c251dde0d32",
        ("config.json", "model.safetensors"),
        gated=True,
    ),
    "dinov3_vitb16": Published(
        343,
        "DINOv3 License",
        "facebook/dinov3-vitb16-pretrain-lvd1689m",
        "3a0fa61ff39414e2d3be4a1d50c7dfbf459aa8b8",
        ("config.json", "model.safetensors"),
        gated=True,
    ),
    "clip_vitb32_openai": Published(
        605,
        "MIT",
        "timm/vit_base_patch32_clip_224.openai",
        "a6f597a30f7b82c51704746581f9a4e41421e878",
        ("open_clip_config.json", "open_clip_model.safetensors"),
        {
            "open_clip_model.safetensors": "e6d1bd7789aa45192b3bf90570a789b4"
            "78bae1b74ebcce7eddd908e83a2b7c31"
        },
    ),
    "clip_vitl14_openai": Published(
        1711,
        "MIT",
        "timm/vit_large_patch14_clip_224.openai",
        None,
        ("open_clip_config.json", "open_clip_model.safetensors"),
    ),
    "clip_vitl14_laion": Published(
        1711,
        "MIT",
        "timm/vit_large_patch14_clip_224.openai",
        None,
        ("open_clip_config.json", "open_clip_model.safetensors"),
        urls={
            "sa_0_4_vit_l_14_linear.pth": "https://raw.githubusercontent.com/LAION-AI/"
            "aesthetic-predictor/main/sa_0_4_vit_l_14_linear.pth"
        },
    ),
    "musiq_spaq": Published(
        109,
        "Apache-2.0 (MUSIQ); the file is a conversion by pyiqa, which is PolyForm-Noncommercial",
        None,
        None,
        (),
        urls={
            "musiq_spaq_ckpt-358bb6af.pth": "https://huggingface.co/chaofengc/"
            "IQA-PyTorch-Weights/resolve/main/musiq_spaq_ckpt-358bb6af.pth"
        },
    ),
    "dreamsim_ensemble": Published(
        1300,
        "MIT",
        None,
        None,
        (),
        urls={
            "dreamsim_ensemble_checkpoint.zip": "https://github.com/ssundaram21/dreamsim/releases/"
            "download/v0.2.0-checkpoints/dreamsim_ensemble_checkpoint.zip",
            "checkpoints/dino_vitbase16_pretrain.pth": "https://dl.fbaipublicfiles.com/dino/"
            "dino_vitbase16_pretrain/dino_vitbase16_pretrain.pth",
        },
        unpack=("dreamsim_ensemble_checkpoint.zip",),
    ),
    "amt_s": Published(
        12,
        "CC-BY-NC-4.0",
        None,
        None,
        (),
        urls={"amt-s.pth": "https://huggingface.co/lalala125/AMT/resolve/main/amt-s.pth"},
        by_hand="its code is research code: write a loader and name it in I2V_EVAL_AMT",
    ),
    "videomae": Published(
        346, "CC-BY-NC-4.0", "MCG-NJU/videomae-base-finetuned-ssv2", None, _TRANSFORMERS
    ),
    "videomae2_vitg_ssv2": Published(
        2030,
        "not stated (VideoMAE-v2's code: MIT)",
        None,
        None,
        (),
        urls={
            "vit_g_hybrid_pt_1200e_ssv2_ft.pth": "https://huggingface.co/OpenGVLab/"
            "InternVideoMAE_models/resolve/main/mae-g/vit_g_hybrid_pt_1200e_ssv2_ft.pth"
        },
    ),
    "vjepa1_vith16_ssv2": Published(
        10800,
        "CC-BY-NC-4.0",
        None,
        None,
        (),
        urls={name: f"{_JEPA}/{name}" for name in ("vith16.pth.tar", "ssv2-probe.pth.tar")},
    ),
    "vjepa2_vitl_ssv2": Published(
        1500, "MIT", "facebook/vjepa2-vitl-fpc16-256-ssv2", None, _TRANSFORMERS
    ),
    "i3d": _I3D_TORCHSCRIPT,
    "i3d_resize": _I3D_TORCHSCRIPT,
    "i3d_squash_ts": _I3D_TORCHSCRIPT,
    "i3d_squash": _I3D_PORT,
    "i3d_videogpt": _I3D_PORT,
    "cotracker2": Published(
        204,
        "CC-BY-NC-4.0",
        None,
        None,
        (),
        urls={
            "cotracker2.pth": "https://huggingface.co/facebook/cotracker/resolve/main/"
            "cotracker2.pth"
        },
        by_hand="its code is not for commercial use either: write a loader and name it in "
        "I2V_EVAL_COTRACKER2",
    ),
    "pips2": Published(
        None,
        "not stated (PIPs++'s code: MIT)",
        None,
        None,
        (),
        urls={
            "pips2_weights.pth": "https://github.com/ljh0v0/FVMD-frechet-video-motion-distance/"
            "releases/download/pips2_weights/pips2_weights.pth"
        },
        by_hand="FVMD's copy; its code is research code (aharley/pips2): write a loader and name "
        "it in I2V_EVAL_PIPS2",
    ),
    "dover_technical": Published(
        200,
        "S-Lab License 1.0, Non-commercial",
        None,
        None,
        (),
        urls={"DOVER.pth": "https://huggingface.co/teowu/DOVER/resolve/main/DOVER.pth"},
        by_hand="its code is not for commercial use either (VQAssessment/DOVER): write a loader "
        "and name it in I2V_EVAL_DOVER",
    ),
    "raft_large": _torch_hub("raft_large_C_T_SKHT_V2-ff5fadd5.pth", 21),
    "raft_things": _torch_hub("raft_large_C_T_V1-22a6c225.pth", 21),
    "raft_small": _torch_hub("raft_small_C_T_V2-01064c6d.pth", 4),
    "lpips_alex": _torch_hub("alexnet-owt-7be5be79.pth", 244),
    "lpips_vgg": _torch_hub("vgg16-397923af.pth", 554),
}
"""Encoder id -> its published weights. Sizes are about right."""


def how_to_get(ids: Sequence[str]) -> str:
    """The command that gets the weights of these encoders, as far as they can be downloaded."""
    known = [id for id in ids if id in PUBLISHED and not PUBLISHED[id].by_hand]
    return f"`i2v-eval weights get {' '.join(known)}`" if known else "`i2v-eval weights` lists them"
