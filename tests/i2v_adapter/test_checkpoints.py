"""Released formats, written here from their description: recognised, converted, refused with
names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNetMotionModel
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from i2v_adapter import I2VAdapter
from i2v_adapter.checkpoints import main

Weights = dict[str, Tensor]
WIDTHS = {"down_blocks.0": 320, "down_blocks.1": 640, "down_blocks.2": 1280}
WIDTHS |= {"up_blocks.1": 1280, "up_blocks.2": 640, "up_blocks.3": 320}


def official_file(dtype: torch.dtype = torch.float16) -> Weights:
    """The 48 tensors of the official checkpoint at their full sizes."""
    sizes = {
        f"{block}.attentions.{i}": WIDTHS[block]
        for block in WIDTHS
        for i in range(2 + block.startswith("up"))
    }
    sizes["mid_block.attentions.0"] = 1280
    tensors: Weights = {}
    for number, (block, width) in enumerate(sizes.items()):
        layer = f"{block}.transformer_blocks.0.attn1"
        tensors[f"{layer}.to_q_ff.weight"] = torch.full((width, width), number + 0.25, dtype=dtype)
        tensors[f"{layer}.to_out_ff.weight"] = torch.full((width, width), number + 0.5, dtype=dtype)
        tensors[f"{layer}.to_out_ff.bias"] = torch.full((width,), number + 0.75, dtype=dtype)
    return tensors


def unofficial(weights: Weights) -> Weights:
    """The same tensors in the unofficial layout, with the keys and values that it repeats."""
    names = {
        "to_q_ff.weight": "to_q.weight",
        "to_out_ff.weight": "to_out.0.weight",
        "to_out_ff.bias": "to_out.0.bias",
    }
    renamed: Weights = {}
    for name, value in weights.items():
        layer, _, tensor = name.rpartition(".attn1.")
        renamed[f"{layer}.i2v_adapter.{names[tensor]}"] = value
        renamed |= {f"{layer}.i2v_adapter.{own}.weight": torch.zeros(3) for own in ("to_k", "to_v")}
    return renamed


@pytest.fixture
def weights(unet: UNetMotionModel, trained: Callable[..., I2VAdapter]) -> Weights:
    return {name: value.detach().clone() for name, value in trained(unet).state_dict().items()}


def same(adapter: I2VAdapter, weights: Weights) -> bool:
    state = adapter.state_dict()
    return state.keys() == weights.keys() and all(
        torch.equal(state[name], weights[name]) for name in weights
    )


def test_official_file_at_full_size_round_trips(tmp_path: Path) -> None:
    tensors = official_file()
    torch.save({"state_dict": tensors}, tmp_path / "i2v_module.pth")
    adapter = I2VAdapter.from_pretrained(tmp_path, torch_dtype=torch.float16)
    assert len(tensors) == 48
    assert sum(parameter.numel() for parameter in adapter.parameters()) == 24_780_800 + 12_480
    assert adapter.config["pooled_group_norm"] is True
    with torch.device("meta"):
        unet = UNetMotionModel(
            cross_attention_dim=768, num_attention_heads=8, use_motion_mid_block=False
        )
    adapter.attach(unet).detach()
    adapter.save_pretrained(tmp_path / "converted")
    [stored] = (tmp_path / "converted").glob("*.safetensors")
    with safe_open(stored, framework="pt") as file:
        assert set(file.keys()) == set(tensors)
        assert all(torch.equal(file.get_tensor(name), value) for name, value in tensors.items())


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("layout", ["official", "unofficial"])
def test_layouts_are_recognised(
    unet: UNetMotionModel, weights: Weights, tmp_path: Path, layout: str, wrapped: bool
) -> None:
    found = unofficial(weights) if layout == "unofficial" else weights
    torch.save({"state_dict": found} if wrapped else found, tmp_path / "some.pth")
    loaded = I2VAdapter.from_pretrained(tmp_path, weight_name="some.pth", unet=unet)
    assert same(loaded, weights)
    assert loaded.config["pooled_group_norm"] is (layout == "official")
    assert loaded.config["layers"] == I2VAdapter.from_unet(unet).config["layers"]
    again = I2VAdapter.from_pretrained(tmp_path / "some.pth", unet=unet, pooled_group_norm=False)
    assert again.config["pooled_group_norm"] is False


def test_safetensors_and_own_format(
    unet: UNetMotionModel, weights: Weights, tmp_path: Path
) -> None:
    save_file(weights, tmp_path / "adapter.safetensors")
    loaded = I2VAdapter.from_pretrained(
        tmp_path / "adapter.safetensors", unet=unet, torch_dtype=torch.float64
    )
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float64}
    loaded.float().save_pretrained(tmp_path / "own")
    own = I2VAdapter.from_pretrained(tmp_path / "own")
    assert same(own, weights)
    assert own.config["pooled_group_norm"] is True
    assert not I2VAdapter.from_pretrained(tmp_path / "own", pooled_group_norm=False).config[
        "pooled_group_norm"
    ]


MID = "mid_block.attentions.0.transformer_blocks.0.attn1"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop(f"{MID}.to_out_ff.bias"), rf"missing: {MID}\.to_out_ff\.bias$"),
        (lambda w: w.update({"conv_in.weight": torch.ones(1)}), r"unexpected: conv_in\.weight$"),
        (
            lambda w: w.update({f"{MID}.to_q_ff.weight": torch.ones(3, 64)}),
            rf"mis-shaped: {MID}\.to_q_ff\.weight \(expected \(64, 64\), found \(3, 64\)\)$",
        ),
        (
            lambda w: w.clear() or w.update(a=torch.ones(1)),
            "is no adapter checkpoint: none of its 1 tensors",
        ),
        (
            lambda w: w.update(args={"lr": 1}, epoch=3),
            "must hold tensors only, but has other entries: args, epoch$",
        ),
    ],
)
def test_what_does_not_fit_is_named(
    unet: UNetMotionModel,
    weights: Weights,
    tmp_path: Path,
    change: Callable[[Any], Any],
    message: str,
) -> None:
    change(weights)
    torch.save(weights, tmp_path / "i2v.pth")
    with pytest.raises(ValueError, match=message) as raised:
        I2VAdapter.from_pretrained(tmp_path / "i2v.pth", unet=unet)
    assert "\n" not in str(raised.value)


def test_a_wrong_base_names_both_sides(weights: Weights, tmp_path: Path) -> None:
    torch.save(weights, tmp_path / "i2v.pth")
    with pytest.raises(
        ValueError,
        match=r"16 layers: missing: down_blocks\.0\.attentions\.1.* and \d+ more; mis-shap",
    ):
        I2VAdapter.from_pretrained(tmp_path / "i2v.pth")


class Dangerous:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("code ran",)


def test_a_pickle_of_more_than_tensors_is_not_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(
        {"x.attn1.to_q_ff.weight": torch.ones(1), "extra": Dangerous()}, tmp_path / "bad.pth"
    )
    with pytest.raises(
        ValueError, match="not a pickle of tensors only, so it is not opened"
    ) as raised:
        I2VAdapter.from_pretrained(tmp_path / "bad.pth")
    assert "\n" not in str(raised.value)
    assert capsys.readouterr().out == ""
    (tmp_path / "cut.pth").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        I2VAdapter.from_pretrained(tmp_path / "cut.pth")
    with pytest.raises(OSError, match=r"none\.pth"):
        I2VAdapter.from_pretrained(tmp_path, weight_name="none.pth")


def test_converter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(unofficial(official_file()), tmp_path / "in.pth")
    assert main([str(tmp_path / "in.pth"), str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.endswith(
        "16 layers, 24,793,280 parameters, pooled group norm off\n"
    )
    assert I2VAdapter.load_config(tmp_path / "out")["pooled_group_norm"] is False
    assert main([str(tmp_path / "none.pth"), str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'none.pth'} does not exist\n"
