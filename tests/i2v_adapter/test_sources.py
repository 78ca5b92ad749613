"""`I2VAdapter.from_pretrained`: which source is meant, and in which dtype it is read."""

import json
import pickle
import random
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from i2v_adapter import I2VAdapter
from i2v_adapter.checkpoint_formats import TENSORS


@pytest.mark.parametrize(
    "name", ["./missing.pth", "missing.safetensors", "../none", "/no/such/file", "a/b/c"]
)
def test_a_missing_path_is_a_missing_file_and_no_hub_id(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        I2VAdapter.from_pretrained(name)
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        I2VAdapter.from_pretrained(Path(name))


@pytest.mark.parametrize("option", ["dtype", "torch_dtype"])
def test_the_dtype_is_honoured_for_files_and_folders(option: str, tmp_path: Path) -> None:
    layers = {"mid_block.attn1": {"channels": 8, "inner": 8, "heads": 2}}
    adapter = I2VAdapter(layers)
    adapter.save_pretrained(tmp_path / "saved")
    loaded = I2VAdapter.from_pretrained(tmp_path / "saved", **{option: torch.float16})
    assert {value.dtype for value in loaded.state_dict().values()} == {torch.float16}
    with pytest.raises(ValueError, match="differ; give one"):
        I2VAdapter.from_pretrained(
            tmp_path / "saved", dtype=torch.float16, torch_dtype=torch.float32
        )


def test_a_safetensors_header_that_promises_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.safetensors"
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with pytest.raises(ValueError, match=r"cannot be read as a checkpoint: .*header too large"):
        I2VAdapter.from_pretrained(path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="is no adapter checkpoint"):
        I2VAdapter.from_pretrained(path)


def test_an_archive_that_grows_when_opened_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 2**26)
    with pytest.raises(ValueError, match="bytes that unpack to 67,108,864"):
        I2VAdapter.from_pretrained(path)


def test_a_torn_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "torn.pth"
    torch.save({"x": torch.zeros(100)}, path)
    content = path.read_bytes()
    draw = random.Random(0)
    for _ in range(60):
        torn = bytearray(content[: draw.randrange(1, len(content) + 1)])
        torn[draw.randrange(len(torn))] ^= 1 << draw.randrange(8)
        path.write_bytes(bytes(torn))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, on pickles of other protocols
            with pytest.raises(ValueError, match=r"torn\.pth"):
                I2VAdapter.from_pretrained(path)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (Path(tmp_path / "ran"),))  # type: ignore[return-value]

    path = tmp_path / "bomb.pth"
    with path.open("wb") as file:
        pickle.dump({"state_dict": Bomb()}, file, protocol=2)
    with pytest.raises(ValueError, match=r"more .* than tensors|pickle|tensors"):
        I2VAdapter.from_pretrained(path)
    assert not (tmp_path / "ran").exists()


# The project's own format, from anywhere

LAYERS = {"mid_block.attn1": {"channels": 8, "inner": 8, "heads": 2}}
WEIGHTS = "diffusion_pytorch_model.safetensors"
NAMES = [f"mid_block.attn1.{name}" for name in TENSORS]


def index(content: object) -> Callable[[Path], object]:
    """The folder says that its tensors lie in several files."""
    text = content if isinstance(content, str) else json.dumps(content)

    def write(folder: Path) -> None:
        (folder / WEIGHTS).unlink()
        (folder / f"{WEIGHTS}.index.json").write_text(text)

    return write


def shards(place: str) -> Callable[[Path], object]:
    return index({"metadata": {}, "weight_map": dict.fromkeys(NAMES, place)})


def config(content: object) -> Callable[[Path], object]:
    text = content if isinstance(content, str) else json.dumps(content)
    return lambda folder: (folder / "config.json").write_text(text)


def sizes(**changes: object) -> Callable[[Path], object]:
    return config({"layers": {"mid_block.attn1": {**LAYERS["mid_block.attn1"], **changes}}})


def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        state = load_file(folder / WEIGHTS)
        change(state)
        save_file(state, folder / WEIGHTS)

    return write


def pickled(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    with (folder / "diffusion_pytorch_model.bin").open("wb") as file:
        pickle.dump({"a": Touch(folder / "ran")}, file, protocol=2)


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return (Path.touch, (self.path,))


FOREIGN: dict[str, tuple[Callable[[Path], object], str]] = {
    "a shard outside the folder": (shards("../secret.safetensors"), "plain filenames"),
    "a shard at an absolute path": (shards("/tmp/secret.safetensors"), "plain filenames"),
    "a shard that is a device": (shards("/dev/zero"), "plain filenames"),
    "a shard that is not there": (shards("b.safetensors"), r"b\.safetensors"),
    "an index without a map": (index({}), "cannot be read as an adapter"),
    "an index with a list for a map": (
        index({"metadata": {}, "weight_map": [1]}),
        "cannot be read as an adapter",
    ),
    "an index that is a list": (index([1]), "cannot be read as an adapter"),
    "an index nested without end": (index("[" * 200_000), "cannot be read as an adapter"),
    "a configuration nested without end": (config("[" * 200_000), "cannot be read as an adapter"),
    "layers that are a text": (config({"layers": "x"}), "layers must name at most 1024 layers"),
    "too many layers": (
        config({"layers": {f"m{i}.attn1": LAYERS["mid_block.attn1"] for i in range(5000)}}),
        "layers must name at most 1024 layers",
    ),
    "400 TB of weights": (sizes(channels=10**7, inner=10**7), "whole numbers from 1 to 16384"),
    "a negative width": (sizes(channels=-1), "whole numbers from 1 to 16384"),
    "a width that is a text": (sizes(inner="8"), "whole numbers from 1 to 16384"),
    "a width that is true": (sizes(inner=True), "whole numbers from 1 to 16384"),
    "heads that do not divide": (sizes(heads=3), "3 heads do not divide the width"),
    "a layer named as an attribute": (
        config({"layers": {"__class__.x": LAYERS["mid_block.attn1"]}}),
        "is not named as a module of a UNet is",
    ),
    "a layer named as a method": (
        config({"layers": {"forward": LAYERS["mid_block.attn1"]}}),
        "is not named as a module of a UNet is",
    ),
    "a layer with an empty part": (
        config({"layers": {"a..b": LAYERS["mid_block.attn1"]}}),
        "is not named as a module of a UNet is",
    ),
    "a tensor is missing": (
        tensors(lambda state: state.pop(NAMES[0])),
        r"do not fit its config\.json: missing: mid_block\.attn1\.to_q_ff\.weight",
    ),
    "a tensor too many": (
        tensors(lambda state: state.update(x=torch.zeros(1))),
        r"do not fit its config\.json: unexpected: x",
    ),
    "a tensor of another shape": (
        tensors(lambda state: state.update({NAMES[0]: torch.zeros(4, 8)})),
        r"mid_block\.attn1\.to_q_ff\.weight",
    ),
    "a pickle that would run code": (pickled, "diffusion_pytorch_model.bin"),
    "weights that are a device": (
        lambda folder: ((folder / WEIGHTS).unlink(), (folder / WEIGHTS).symlink_to("/dev/zero")),
        "no file named",
    ),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_folder_of_the_own_format_is_read_whole_or_refused(case: str, tmp_path: Path) -> None:
    change, message = FOREIGN[case]
    I2VAdapter(LAYERS).save_pretrained(tmp_path / "saved")
    change(tmp_path / "saved")
    with pytest.raises((ValueError, OSError), match=message):
        I2VAdapter.from_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved" / "ran").exists()


def test_whole_folders_load_in_one_file_and_in_several(tmp_path: Path) -> None:
    adapter = I2VAdapter(LAYERS)
    for size in (10**9, 300):
        adapter.save_pretrained(tmp_path / str(size), max_shard_size=size)
        loaded, info = I2VAdapter.from_pretrained(tmp_path / str(size), output_loading_info=True)
        assert info["missing_keys"] == []
        for name, value in adapter.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], value)
    assert len(list((tmp_path / "300").glob("*.safetensors"))) > 1
