"""Getting weights: pinned revisions, checked bytes, and clear errors; no network is reached."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import pytest

from eval.encoders import ENCODERS, encoder_fingerprint, weights
from eval.encoders.downloads import get
from eval.encoders.published import MINIMUM, PUBLISHED, how_to_get
from eval.errors import EvalError, WeightsMissingError

CONTENT = {"config.json": b"{}", "pytorch_model.bin": b"weights", "README.md": b"x"}


@pytest.fixture
def hub(monkeypatch):
    """A hub with one repository; what was asked of it."""
    import huggingface_hub

    asked = []

    def model_info(self, repository, *, revision, files_metadata):
        asked.append((repository, revision))
        siblings = [
            SimpleNamespace(
                rfilename=name,
                lfs={"sha256": hashlib.sha256(content).hexdigest()}
                if name.endswith(".bin")
                else None,
            )
            for name, content in CONTENT.items()
        ]
        return SimpleNamespace(sha=revision or "c" * 40, siblings=siblings)

    def download(repository, name, *, revision, local_dir):
        local_dir.mkdir(parents=True, exist_ok=True)
        (local_dir / name).write_bytes(served.get(name, CONTENT[name]))
        return str(local_dir / name)

    served: dict[str, bytes] = {}
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return SimpleNamespace(asked=asked, served=served)


def test_weights_are_got_at_the_pinned_revision_and_found_without_a_variable(
    hub, tmp_path, monkeypatch
):
    monkeypatch.delenv(weights.OPTION, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(WeightsMissingError, match="`i2v-eval weights get dino_vits16` downloads"):
        encoder_fingerprint("dino_vits16")
    folder = get("dino_vits16")
    assert hub.asked == [("facebook/dino-vits16", PUBLISHED["dino_vits16"].revision)]
    assert weights.find("dino_vits16", ENCODERS["dino_vits16"].source).folder == folder
    (folder / "pytorch_model.bin").write_bytes(b"other")
    with pytest.raises(EvalError, match="the file is damaged or another one"):
        weights.find("dino_vits16", ENCODERS["dino_vits16"].source)


def test_other_bytes_than_the_commits_are_refused_and_removed(hub, tmp_path):
    hub.served["pytorch_model.bin"] = b"tampered"
    with pytest.raises(EvalError, match=r"bin has sha256 .* is pinned; the file was"):
        get("dino_vits16", tmp_path)
    assert not (tmp_path / "dino_vits16" / "pytorch_model.bin").exists()
    with pytest.raises(EvalError, match=r"facebook/dinov2-small has no model\.safetensors"):
        get("dinov2_vits14", tmp_path)


def test_without_a_network_the_line_for_another_machine_is_given(tmp_path, monkeypatch):
    import huggingface_hub
    import torch

    def unreachable(*_, **__):
        raise OSError("Name or service not known")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    for id, command in (
        ("dinov2_vits14", "hf download facebook/dinov2-small"),
        ("raft_small", "curl"),
    ):
        with pytest.raises(EvalError, match=f"'{id}' cannot be downloaded .*: {command} "):
            get(id, tmp_path)
    with pytest.raises(EvalError, match=r"weights of 'dino' cannot be got by name.*Did you mean"):
        get("dino", tmp_path)
    assert not list(tmp_path.iterdir())  # no empty folder that looks like weights


def test_every_published_file_is_one_that_its_encoder_looks_for():
    assert set(MINIMUM) <= set(PUBLISHED)
    for id, known in PUBLISHED.items():
        source = ENCODERS[id].source
        if known.by_hand:
            assert source is None
            continue
        got = [set(entry.split("|")) for entry in (*known.files, *known.urls)]
        for entry in source.files:
            inside = known.unpack and "checkpoints/" not in entry
            assert inside or any(names <= set(entry.split("|")) for names in got), (id, entry)
        assert source.hub in (known.hub, None)
    assert how_to_get(["dover_technical", "amt_s"]) == "`i2v-eval weights` lists them"


def test_files_from_several_places_are_got_unpacked_and_pinned(tmp_path, monkeypatch):
    import zipfile

    import torch

    def download(url, path, hash_prefix, progress):
        if url.endswith(".zip"):
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("ensemble_lora/adapter_config.json", "{}")
        else:
            with open(path, "wb") as file:
                file.write(url.encode())

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    folder = get("dreamsim_ensemble", tmp_path)
    sums = (folder / "SHA256SUMS").read_text().splitlines()
    assert {line.split("  ")[1] for line in sums} == {
        "dreamsim_ensemble_checkpoint.zip",
        "ensemble_lora/adapter_config.json",
        "checkpoints/dino_vitbase16_pretrain.pth",
    }
    with pytest.raises(EvalError, match=r"sha256 .* but 358bb6af is pinned; the file was removed"):
        get("musiq_spaq", tmp_path)


def test_weights_of_research_code_say_licence_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv("I2V_EVAL_AMT", raising=False)
    with pytest.raises(EvalError, match=r"'amt_s' \(CC-BY-NC-4\.0\).*curl .*I2V_EVAL_AMT"):
        get("amt_s", tmp_path)
    with pytest.raises(WeightsMissingError, match=r"12 MB, CC-BY-NC-4\.0.*set I2V_EVAL_AMT"):
        encoder_fingerprint("amt_s")
