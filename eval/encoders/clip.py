"""CLIP: frames and prompts in one space, by open_clip."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from eval.encoders.frame_features import FrameEncoder
from eval.encoders.preprocessing import Preprocessing
from eval.encoders.pretrained import unit_rows
from eval.encoders.weights import Location
from eval.errors import EvalError
from eval.io.model_json import read_object

BATCH = 32


def protocol() -> str:
    """What the features are, apart from the preprocessing."""
    return (
        "clip 1: projected image and text features, length 1; prompts cut so that the end token "
        "survives"
    )


class ClipEncoder(FrameEncoder):
    """open_clip `CLIP`; frames and prompts to float32 (N, D) of length 1.

    Source: Radford et al. 2021, "Learning Transferable Visual Models From Natural Language
    Supervision".
    """

    kind = "image-text"
    batch = BATCH

    def __init__(
        self,
        id: str,
        model: Any,
        tokenize: Callable[[list[str]], Any],
        truncated: Callable[[str], bool],
        preprocessing: Preprocessing,
        device: str = "cpu",
    ) -> None:
        super().__init__(id, preprocessing, device)
        self._model = model
        self._tokenize = tokenize
        self._truncated = truncated
        self._dtype = next(model.parameters()).dtype

    def _encode(self, pixels: Any) -> npt.NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            return unit_rows(self._model.encode_image(pixels.to(self._dtype)))

    def encode_text(self, prompts: Sequence[str]) -> npt.NDArray[np.float32]:
        """N prompts -> float32 (N, D). Works through fixed batches of 32 prompts.

        Raises:
            EvalError: no prompts.
        """
        import torch

        if not prompts:
            raise EvalError(f"encoder {self.id!r}: no prompts to encode.")
        features = []
        for start in range(0, len(prompts), BATCH):
            tokens = self._tokenize(list(prompts[start : start + BATCH])).to(self._device)
            with torch.inference_mode():
                features.append(unit_rows(self._model.encode_text(tokens)))
        return np.concatenate(features)

    def truncated(self, prompt: str) -> bool:
        """Whether the prompt has more tokens than the model reads, so that its last words do not
        count.
        """
        return self._truncated(prompt)


def _tokenizer(
    location: Location, model_config: dict[str, Any]
) -> tuple[Callable[[list[str]], Any], Callable[[str], bool]]:
    if "vocab.json" in location.files:
        from eval.world.tokenizer import WordTokenizer

        words = WordTokenizer.load(location.files["vocab.json"])
        return words, words.truncated
    from open_clip.tokenizer import SimpleTokenizer

    length = int(model_config["text_cfg"]["context_length"])
    byte_pairs = SimpleTokenizer(context_length=length)
    return byte_pairs, lambda prompt: len(byte_pairs.encode(prompt)) + 2 > length


def load(
    id: str, location: Location, preprocessing: Preprocessing, device: str, dtype: str
) -> ClipEncoder:
    """Builds `open_clip.CLIP` from ``open_clip_config.json`` and loads its weights strictly.

    The tokenizer is the glyph world's word table where the folder is expected to hold
    ``vocab.json``, else open_clip's byte pairs.

    Raises:
        EvalError: an unreadable configuration, one whose mean or deviation is not this
            encoder's, or weights that do not fit.
    """
    import open_clip
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    config_file = location.files["open_clip_config.json"]
    [weights_file] = [path for path in location.files.values() if path.suffix == ".safetensors"]
    config = read_object(f"encoder {id!r}", config_file)
    try:
        model_config = dict(config["model_cfg"])
        model = open_clip.CLIP(**model_config)
        model.load_state_dict(load_file(weights_file), strict=True)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EvalError(
            f"encoder {id!r}: {config_file} does not describe an open_clip model: {error!r}"
        ) from error
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise EvalError(
            f"encoder {id!r}: {weights_file} does not fit {config_file.name}: {reason}"
        ) from error
    for name, expected in (("mean", preprocessing.mean), ("std", preprocessing.std)):
        stated = config.get("preprocess_cfg", {}).get(name, expected)
        if not np.allclose(stated, expected, atol=1e-6):
            raise EvalError(
                f"encoder {id!r}: {config_file} states {name} {stated}, but the encoder is defined "
                f"with {expected}."
            )
    import torch

    tokenize, truncated = _tokenizer(location, model_config)
    return ClipEncoder(
        id,
        model.to(device, getattr(torch, dtype)).eval(),
        tokenize,
        truncated,
        preprocessing,
        device,
    )
