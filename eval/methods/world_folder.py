"""A glyph world of one's own as a base: a folder of weights that `nox -s world` has made. The
world's methods run on it as on the one that comes with the package.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from eval.errors import EvalError, NotServedError, WeightsMissingError, nearest
from eval.io.files import file_sha256
from eval.io.model_json import read_object
from eval.io.validation import validated
from eval.methods.faster_sampling import NAMES
from eval.methods.model_folder import AGAIN, check_component, check_whole
from eval.samples import Sample

_KEY = "base.world"
_BASE = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")
_STAGES = {"i2v_adapter": "i2v", "ip_adapter": "content", "style_lora": "lora"}
SETTINGS = (
    *("steps", "guidance_scale", "frames", "fps", "lora", "lora_scale", "controlnet", "t0", "p"),
    *NAMES,
)
"""All settings that some method of a glyph world has."""
_FRAMES, _FPS = 8, 8.0
"""Of the worlds whose cards do not state them."""


class World(BaseModel):
    """The keys of a suite's ``base:`` that names a folder of a world's weights.

    Attributes:
        world: the folder; a relative path starts from the file that contains it.
        settings: sampling settings that its methods take unless the suite says otherwise.
    """

    model_config = ConfigDict(extra="forbid")
    world: str = Field(min_length=1)
    settings: dict[str, Any] = {}
    _folder: Path = PrivateAttr(default=Path())

    @cached_property
    def weights(self) -> Path:
        """The folder. Raises WeightsMissingError if it does not exist."""
        path = Path(self.world).expanduser()
        path = path if path.is_absolute() else self._folder / path
        if not path.is_dir():
            raise WeightsMissingError(f"{_KEY}: there is no folder '{self.world}' (it is {path})")
        return path

    @cached_property
    def side(self) -> int:
        """Of its frames, px: the latents' side times the VAE's factor. Raises EvalError."""
        unet, vae = self._configuration("unet"), self._configuration("vae")
        side, blocks = unet.get("sample_size"), vae.get("block_out_channels")
        if not isinstance(side, int) or not isinstance(blocks, list):
            raise EvalError(
                f"{_KEY}: the configurations of unet and vae in {self.weights} do not state "
                f"sample_size and block_out_channels; {AGAIN}"
            )
        return side * 2 ** (len(blocks) - 1)

    def settings_of(self, model: type[BaseModel]) -> dict[str, Any]:
        """Its sampling settings, those that `model` has: frames and rate as it was trained, and
        what the suite states.
        """
        card = self._card("unet")
        trained = {"frames": card.get("frames", _FRAMES), "fps": card.get("fps", _FPS)}
        stated = trained | self.settings
        return {key: value for key, value in stated.items() if key in model.model_fields}

    def check(self, parts: Iterable[str]) -> None:
        """Whether the parts that a method loads are here and whole, by their names, configurations
        and cards. Weights are hashed, not loaded.

        Raises:
            NotServedError: an adapter that this world does not have.
            WeightsMissingError: a part of the base, or a file, is missing.
            EvalError: a file is torn, or not the one that its card describes.
        """
        for name in parts:
            folder = self.weights / name
            if not folder.is_dir():
                if name in _BASE:
                    raise WeightsMissingError(
                        f"{_KEY}: {self.weights} has no folder {name}, so it is no whole world; "
                        f"{AGAIN}"
                    )
                raise NotServedError(
                    f"{_KEY}: {self.weights} has no {name}, which this method needs; train it "
                    f"with `nox -s world -- {_STAGES.get(name, name)}`"
                )
            self._check_part(folder)

    def check_samples(self, samples: Sequence[Sample]) -> None:
        """Raises EvalError for an image of another size than the world's frames."""
        for sample in samples:
            height, width = sample.image.shape[:2]
            if (height, width) != (self.side, self.side):
                raise EvalError(
                    f"{_KEY}: {self.weights} draws {self.side}x{self.side} px, and the image of "
                    f"sample '{sample.id}' is {width}x{height}; give samples of its size (source: "
                    f"glyph-world takes side: {self.side})"
                )

    def _check_part(self, folder: Path) -> None:
        files = sorted(folder.glob("*.safetensors"))
        if folder.name == "feature_extractor":
            self._read(folder / "preprocessor_config.json")
        elif folder.name in _BASE or (folder / "config.json").is_file():
            check_component(_KEY, self.weights, folder.name, None)
        elif not files:
            raise WeightsMissingError(f"{_KEY}: {folder} holds no weights; {AGAIN}")
        check_whole(_KEY, files)
        stated = self._card(folder.name).get("sha256", {})
        for file in files:
            wanted, found = stated.get(file.name), file_sha256(file)
            if wanted not in (None, found):
                raise EvalError(
                    f"{_KEY}: {file} is not the file that {folder / 'card.json'} describes: its "
                    f"sha256 begins with {found[:12]}, the card's with {str(wanted)[:12]}; {AGAIN}"
                )

    def _configuration(self, part: str) -> Mapping[str, Any]:
        return self._read(self.weights / part / "config.json")

    def _card(self, part: str) -> Mapping[str, Any]:
        file = self.weights / part / "card.json"
        return read_object(_KEY, file) if file.is_file() else {}

    def _read(self, file: Path) -> Mapping[str, Any]:
        if not file.is_file():
            raise WeightsMissingError(
                f"{_KEY}: {file.parent} has no {file.name}, so it is no part of a glyph world; "
                f"{AGAIN}"
            )
        return read_object(_KEY, file)


def is_world(folder: Path) -> bool:
    """Whether a folder holds weights of a glyph world, all or some: parts with cards, without the
    index of the hub's layout.
    """
    return any(folder.glob("*/card.json")) and not (folder / "model_index.json").exists()


def read_world(value: Mapping[str, Any], folder: Path, where: str) -> World:
    """The world that a suite's ``base:`` states.

    Args:
        value: the mapping, with the key ``world``.
        folder: what relative paths start from.
        where: prefix of messages.

    Raises:
        EvalError: naming the key, the value and what is allowed; there is no such folder.
    """
    world = validated(World, value, where=where)
    world._folder = folder
    for key in world.settings:
        if key not in SETTINGS:
            raise EvalError(
                f"{where}.settings: unknown key '{key}'. Allowed: {', '.join(SETTINGS)}."
                f"{nearest(str(key), SETTINGS)}"
            )
    try:
        _ = world.side  # there is a folder, and it holds a UNet and a VAE
    except EvalError as error:
        raise type(error)(f"{where.removesuffix('base')}{error}") from error
    return world
