"""`I2VAdapter.from_pretrained`: which source is meant, and in which dtype it is read."""

import random
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from i2v_adapter import I2VAdapter


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
    import pickle

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (Path(tmp_path / "ran"),))  # type: ignore[return-value]

    path = tmp_path / "bomb.pth"
    with path.open("wb") as file:
        pickle.dump({"state_dict": Bomb()}, file, protocol=2)
    with pytest.raises(ValueError, match=r"more .* than tensors|pickle|tensors"):
        I2VAdapter.from_pretrained(path)
    assert not (tmp_path / "ran").exists()
