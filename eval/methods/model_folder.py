"""Whether the folders of a model hold what their loaders read; no weights are loaded.

Libraries fill what is missing with defaults or with random weights, or name a file and not who
asked for it. So the files are looked at first.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from eval.errors import EvalError, WeightsMissingError
from eval.io.model_json import read_object
from eval.methods.model_files import CHECKPOINTS
from eval.methods.tensor_headers import fault
from eval.methods.weights_fit import check_weights_fit

AGAIN = "copy or download it again"
STEMS = ("diffusion_pytorch_model", "pytorch_model", "model")
"""How the weights files begin that diffusers and transformers look for."""
VOCABULARIES = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("spiece.model",))
"""Files of which a tokenizer's folder holds one set. Without them transformers makes a tokenizer
that knows no word."""


def check_pipeline(key: str, path: Path, replaced: Collection[str], variant: str | None) -> None:
    """Whether a model's folder holds the files of all parts that its ``model_index.json`` lists.

    Args:
        key: of the suite that names the model.
        path: of the model, in the hub's layout.
        replaced: parts that come from elsewhere.
        variant: of the weights files that are asked for.

    Raises:
        WeightsMissingError: a file is missing.
        EvalError: one is torn.
    """
    for name, entry in read_object(key, path / "model_index.json").items():
        whole = isinstance(entry, list) and len(entry) == 2
        if name in replaced or not whole or entry[0] not in ("diffusers", "transformers"):
            continue
        if not (path / name).is_dir():
            raise WeightsMissingError(
                f"{key}: {path} lacks the folder {name} that its model_index.json lists; {AGAIN}"
            )
        if "Processor" in str(entry[1]) or "FeatureExtractor" in str(entry[1]):
            if not any(path.joinpath(name).glob("*processor_config.json")):
                raise WeightsMissingError(
                    f"{key}: {path / name} has no preprocessor_config.json; {AGAIN}"
                )
            continue
        check_component(key, path, name, variant)


def check_component(key: str, path: Path, name: str, variant: str | None) -> None:
    """Whether a model's folder holds the files of one of its parts.

    Args:
        key: of the suite that names the model.
        path: of the model, in the hub's layout.
        name: of the part, such as ``unet``.
        variant: of the weights files that are asked for.

    Raises:
        WeightsMissingError: a file is missing.
        EvalError: one is torn.
    """
    folder = path / name
    if name.startswith("tokenizer"):
        if not (folder / "tokenizer_config.json").is_file():  # it states the longest prompt
            raise WeightsMissingError(f"{key}: {folder} has no tokenizer_config.json; {AGAIN}")
        if not any(all((folder / file).is_file() for file in files) for files in VOCABULARIES):
            raise WeightsMissingError(
                f"{key}: {folder} holds no vocabulary (tokenizer.json, or vocab.json with "
                f"merges.txt); {AGAIN}"
            )
        return
    configuration = folder / ("scheduler_config.json" if name == "scheduler" else "config.json")
    if not configuration.is_file():
        raise WeightsMissingError(f"{key}: {folder} has no {configuration.name}; {AGAIN}")
    own = read_object(key, configuration)
    if name == "scheduler":
        return
    files = weights_in(key, folder)
    if variant is None and all(".fp16." in file.name for file in files):
        raise WeightsMissingError(f"{key}: {folder} holds fp16 weights alone; add variant: fp16")
    read = [file for file in files if (".fp16." in file.name) == (variant == "fp16")]
    check_whole(key, read)
    check_weights_fit(key, folder, own, read)
    for index in folder.glob("*.index*.json"):
        stated = read_object(key, index).get("weight_map")
        shards = set(stated.values()) if isinstance(stated, dict) else set()
        absent = sorted(shard for shard in shards if not (folder / str(shard)).is_file())
        if absent and len(absent) < len(shards):
            raise WeightsMissingError(f"{key}: {folder} lacks {', '.join(absent)}; {AGAIN}")


def weights_in(key: str, folder: Path) -> list[Path]:
    """The weights files of a model's folder: ``.safetensors`` ones where there are any, as its
    loader takes them. Raises WeightsMissingError where there are none.
    """
    files = sorted(file for file in folder.iterdir() if file.suffix in CHECKPOINTS)
    named = [file for file in files if file.name.startswith(STEMS)]
    if not named:
        other = f"; it has {files[0].name}, and its loader looks for {STEMS[0]}*" if files else ""
        raise WeightsMissingError(
            f"{key}: {folder} holds no weights ({', '.join(CHECKPOINTS)}){other}; {AGAIN}"
        )
    safe = [file for file in named if file.suffix == ".safetensors"]
    return safe or named


def check_whole(key: str, files: Sequence[Path]) -> None:
    """Raises EvalError for a file of weights that is cut short or is no such file. Reads headers
    alone; of a file of torch, no code in it is run.
    """
    for file in files:
        if why := fault(file):
            kind = "safetensors file" if file.suffix == ".safetensors" else "file of tensors alone"
            raise EvalError(f"{key}: {file} is torn or no {kind} ({why}); {AGAIN}")
