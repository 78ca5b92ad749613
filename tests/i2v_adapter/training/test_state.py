"""The training state under a full or broken disk, and when it is damaged."""

import errno
import os
import random
import resource
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from i2v_adapter import I2VAdapter
from i2v_adapter.training.config import TrainingError
from i2v_adapter.training.state import read_state, save_folder, write_state

STATE: dict[str, Any] = {
    "adapter": {"weight": torch.arange(6.0)},
    "optimizer": {"lr": 0.5},
    "schedule": {},
    "generator": torch.zeros(4, dtype=torch.uint8),
    "step": 3,
}


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_disk_that_says_no_leaves_the_state_before(
    call: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "training_state.pt"
    write_state(path, STATE)

    def fail(*arguments: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(TrainingError, match=f"{os.strerror(code)}.*the one before stays"):
            write_state(path, STATE | {"step": 4})
    assert read_state(path)["step"] == 3
    assert [file.name for file in tmp_path.iterdir()] == ["training_state.pt"]
    write_state(path, STATE | {"step": 4})
    assert read_state(path)["step"] == 4


def test_a_full_disk_of_the_kernel(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    path = tmp_path / "training_state.pt"
    (tmp_path / f"training_state.{os.getpid()}.tmp").symlink_to("/dev/full")
    with pytest.raises(TrainingError, match="cannot be written"):
        write_state(path, STATE)
    assert not path.exists()


def test_a_torn_state_is_named(tmp_path: Path) -> None:
    path = tmp_path / "training_state.pt"
    write_state(path, STATE)
    content = path.read_bytes()
    draw = random.Random(0)
    for _ in range(40):
        path.write_bytes(content[: draw.randrange(len(content))])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, on what looks like an old pickle
            with pytest.raises(TrainingError, match=r"training_state\.pt: not a training state"):
                read_state(path)
    torch.save({"step": 1}, path)
    with pytest.raises(TrainingError, match="without adapter, generator, optimizer, schedule"):
        read_state(path)


def write_two(folder: Path) -> None:
    """As `save_pretrained` does: a folder of files."""
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "weights").write_bytes(b"new")


@pytest.mark.parametrize("call", ["fsync", "replace", "mkdir"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_disk_that_says_no_leaves_the_adapter_before(
    call: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "step-000010"
    save_folder(folder, write_two)
    (folder / "weights").write_bytes(b"before")

    def fail(*arguments: object, **options: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(TrainingError, match=rf"step-000010: .*{os.strerror(code)}"):
            save_folder(folder, write_two)
    assert (folder / "weights").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["step-000010"]
    save_folder(folder, write_two)
    assert (folder / "weights").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["step-000010"]


def test_save_pretrained_on_a_full_disk_leaves_no_half_adapter(tmp_path: Path) -> None:
    """Files may not grow, which the kernel refuses as it does on a full disk."""
    adapter = I2VAdapter({"m.attn1": {"channels": 64, "inner": 64, "heads": 2}})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(TrainingError, match=r"adapter: cannot be written \("):
            save_folder(tmp_path / "adapter", adapter.save_pretrained)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
    save_folder(tmp_path / "adapter", adapter.save_pretrained)
    loaded = I2VAdapter.from_pretrained(tmp_path / "adapter")
    assert all(
        torch.equal(value, loaded.state_dict()[name])
        for name, value in adapter.state_dict().items()
    )
