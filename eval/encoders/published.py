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
        size: of the download, MB.
        licence: of the weights.
        hub: repository on the Hugging Face hub; None: a file of torch.hub.
        revision: commit of that repository, pinned; None: its latest one, which is recorded.
        files: files to get; ``a|b`` is the first that the repository has. A torch.hub file's name
            holds the start of its sha256.
        sha256: file -> sha256 hex, where it is pinned besides.
        gated: whether a licence has to be accepted on the hub first.
    """

    size: int
    licence: str
    hub: str | None
    revision: str | None
    files: tuple[str, ...]
    sha256: Mapping[str, str] = field(default_factory=dict)
    gated: bool = False

    def line(self, id: str, folder: str) -> str:
        """The command that gets them into `folder`, for a machine without this package."""
        if self.hub is None:
            [file] = self.files
            return f"curl -L --create-dirs -o {folder}/{id}/{file} {TORCH_HUB}{file}"
        files = " ".join(name.split("|")[0] for name in self.files)
        revision = f" --revision {self.revision}" if self.revision else ""
        return f"hf download {self.hub} {files}{revision} --local-dir {folder}/{id}"


_TRANSFORMERS = ("config.json", "model.safetensors|pytorch_model.bin")


def _torch_hub(file: str, size: int) -> Published:
    return Published(size, "BSD-3-Clause", None, None, (file,))


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
    "videomae": Published(
        346, "CC-BY-NC-4.0", "MCG-NJU/videomae-base-finetuned-ssv2", None, _TRANSFORMERS
    ),
    "raft_large": _torch_hub("raft_large_C_T_SKHT_V2-ff5fadd5.pth", 21),
    "raft_things": _torch_hub("raft_large_C_T_V1-22a6c225.pth", 21),
    "raft_small": _torch_hub("raft_small_C_T_V2-01064c6d.pth", 4),
    "lpips_alex": _torch_hub("alexnet-owt-7be5be79.pth", 244),
    "lpips_vgg": _torch_hub("vgg16-397923af.pth", 554),
}
"""Encoder id -> its published weights. `i3d` and `dover_technical` have no source that pins them;
docs/weights.md says how to bring them.
"""


def way_out(ids: Sequence[str]) -> str:
    """What to type to get the weights of these encoders, of those that can be got."""
    known = [id for id in ids if id in PUBLISHED]
    return f"`i2v-eval weights get {' '.join(known)}`" if known else "`i2v-eval weights` lists them"
