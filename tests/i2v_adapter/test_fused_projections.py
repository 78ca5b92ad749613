"""Q, K, V and Q' in one product give what four products give, whatever happens to the layers."""

import copy
import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNetMotionModel
from peft import LoraConfig
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from i2v_adapter import I2VAdapter
from i2v_adapter.attention import spatial_self_attentions

Trained = Callable[..., I2VAdapter]
Unets = Callable[..., UNetMotionModel]


class Products(TorchDispatchMode):
    """Counts matrix products by the number of rows of their weight."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[int] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default):
            self.found[args[-1].shape[-1]] += 1
        return func(*args, **(kwargs or {}))


def output(unet: Any, inputs: dict[str, Any]) -> Tensor:
    with torch.no_grad():
        return unet(**inputs).sample


def double(inputs: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.double() if isinstance(value, Tensor) else value
        for name, value in inputs.items()
    }


def agree(unet: Any, adapter: I2VAdapter, inputs: dict[str, Any]) -> Tensor:
    """The fused output, equal to the plain one of the same layers in float64."""
    adapter.fuse_projections()
    fused = output(unet, inputs)
    adapter.unfuse_projections()
    torch.testing.assert_close(fused, output(unet, inputs), rtol=1e-10, atol=1e-12)
    adapter.fuse_projections()
    return fused


@pytest.fixture
def pair(
    unet_factory: Unets, trained: Trained, inputs: dict[str, Any]
) -> tuple[UNetMotionModel, I2VAdapter, dict[str, Any]]:
    """A UNet in float64 with its adapter attached, fused, and called once."""
    unet = unet_factory().double()
    adapter = trained(unet).attach(unet)
    adapter.fuse_projections()
    inputs = double(inputs)
    output(unet, inputs)
    return unet, adapter, inputs


def test_one_product_a_layer_in_place_of_four(pair: Any) -> None:
    unet, adapter, inputs = pair
    with Products() as fused:
        output(unet, inputs)
    adapter.unfuse_projections()
    with Products() as apart:
        output(unet, inputs)
    for width, layers in Counter(
        layer.inner_dim for layer in spatial_self_attentions(unet).values()
    ).items():
        assert fused.found[4 * width] - apart.found[4 * width] == layers
        assert apart.found[width] - fused.found[width] == 4 * layers


@pytest.mark.parametrize("scale", [1.0, 0.5, [0.0, 0.25, 0.5, 0.75, 1.0], {"up_blocks": 0.3}])
def test_outputs_are_those_of_four_products(pair: Any, scale: Any) -> None:
    unet, adapter, inputs = pair
    adapter.scale = scale
    agree(unet, adapter, inputs)


def test_at_scale_zero_the_base_is_reached_bit_by_bit(pair: Any, unet_factory: Unets) -> None:
    unet, adapter, inputs = pair
    adapter.scale = 0
    assert torch.equal(output(unet, inputs), output(unet_factory().double(), inputs))


def test_parameters_and_files_are_what_they_were(
    pair: Any, unet_factory: Unets, trained: Trained, tmp_path: Path
) -> None:
    unet, adapter, inputs = pair
    expected = output(unet, inputs)
    base = unet_factory().double()
    for ours, theirs in ((unet, base), (adapter, trained(base))):
        states = ours.state_dict(), theirs.state_dict()
        assert list(states[0]) == list(states[1])
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    unet.save_pretrained(tmp_path / "unet")
    adapter.save_pretrained(tmp_path / "adapter")
    again = UNetMotionModel.from_pretrained(tmp_path / "unet", torch_dtype=torch.float64)
    loaded = I2VAdapter.from_pretrained(tmp_path / "adapter", torch_dtype=torch.float64)
    with loaded.attached(again):
        torch.testing.assert_close(output(again, inputs), expected, rtol=1e-10, atol=1e-12)
    plain_size = sum(value.numel() * value.element_size() for value in adapter.parameters())
    size = (tmp_path / "adapter" / "diffusion_pytorch_model.safetensors").stat().st_size
    assert size < plain_size + 20_000


@pytest.mark.parametrize("targets", [["to_q"], ["to_q", "to_k", "to_v"], ["to_out.0"]])
def test_a_lora_comes_and_goes(pair: Any, targets: list[str]) -> None:
    unet, adapter, inputs = pair
    before = output(unet, inputs)
    torch.manual_seed(7)
    unet.add_adapter(LoraConfig(r=2, target_modules=targets, init_lora_weights=False))
    unet.double()
    assert not torch.allclose(agree(unet, adapter, inputs), before, atol=1e-3)
    unet.fuse_lora()  # in place: the product must see it
    merged = agree(unet, adapter, inputs)
    assert not torch.allclose(merged, before, atol=1e-3)
    unet.unfuse_lora()
    unet.unload_lora()
    torch.testing.assert_close(agree(unet, adapter, inputs), before, rtol=1e-8, atol=1e-9)


def test_weights_changed_in_place_replaced_or_moved_count(pair: Any) -> None:
    unet, adapter, inputs = pair
    layer = next(iter(spatial_self_attentions(unet).values()))
    with torch.no_grad():
        layer.to_k.weight.mul_(1.5)
        seen = [agree(unet, adapter, inputs)]
        layer.to_v.weight.data = layer.to_v.weight.data * 1.5
        seen.append(agree(unet, adapter, inputs))
        layer.to_q = torch.nn.Linear(*reversed(layer.to_q.weight.shape), bias=False).double()
        seen.append(agree(unet, adapter, inputs))
    for one, other in itertools.pairwise(seen):
        assert not torch.allclose(one, other, atol=1e-6)
    unet.float()
    adapter.float()
    singles = {k: v.float() if isinstance(v, Tensor) else v for k, v in inputs.items()}
    torch.testing.assert_close(output(unet, singles).double(), seen[-1], rtol=1e-3, atol=1e-4)


def test_a_copy_of_the_unet_is_its_own(pair: Any, trained: Trained) -> None:
    unet, adapter, inputs = pair
    expected = output(unet, inputs)
    adapter.detach()
    twin = copy.deepcopy(unet)
    with torch.no_grad():
        for layer in spatial_self_attentions(unet).values():
            layer.to_q.weight.zero_()
    with trained(twin).attached(twin) as second:
        second.load_state_dict(adapter.state_dict())
        torch.testing.assert_close(output(twin, inputs), expected, rtol=1e-10, atol=1e-12)


def test_hooks_on_a_projection_are_called(pair: Any) -> None:
    unet, adapter, inputs = pair
    called = []
    layer = next(iter(spatial_self_attentions(unet).values()))
    handle = layer.to_q.register_forward_hook(lambda *_: called.append(1))
    agree(unet, adapter, inputs)
    assert len(called) == 2
    handle.remove()
    with Products() as products:
        output(unet, inputs)
    assert products.found[4 * layer.inner_dim] > 0


@pytest.mark.parametrize("trainable", ["adapter", "base"])
def test_gradients_are_those_of_four_products(pair: Any, trainable: str) -> None:
    unet, adapter, inputs = pair
    unet.requires_grad_(trainable == "base")
    adapter.requires_grad_(trainable == "adapter")
    found = []
    for fused in (True, False):
        adapter.fuse_projections() if fused else adapter.unfuse_projections()
        loss = unet(**inputs).sample.square().mean()
        parameters = [
            value for value in (*unet.parameters(), *adapter.parameters()) if value.requires_grad
        ]
        found.append(torch.autograd.grad(loss, parameters, allow_unused=True))
    for one, other in zip(*found, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_an_adapter_in_another_precision_keeps_its_product(
    unet_factory: Unets, trained: Trained, inputs: dict[str, Any]
) -> None:
    unet = unet_factory()
    adapter = trained(unet).double().attach(unet)
    expected = output(unet, inputs)
    adapter.fuse_projections()
    torch.testing.assert_close(output(unet, inputs), expected, rtol=1e-5, atol=1e-5)


def test_inference_mode(pair: Any) -> None:
    unet, adapter, inputs = pair
    expected = output(unet, inputs)
    adapter.unfuse_projections()
    adapter.fuse_projections()
    with torch.inference_mode():
        found = unet(**inputs).sample
    torch.testing.assert_close(found.clone(), expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(agree(unet, adapter, inputs), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_compiled_blocks_have_one_product_and_no_break(pair: Any) -> None:
    torch._dynamo.reset()
    unet, _, inputs = pair
    expected = output(unet, inputs)
    widths: list[int] = []

    def backend(graph: Any, examples: Any) -> Any:
        for node in graph.graph.nodes:
            if "example_value" in node.meta and node.target is torch._C._nn.linear:
                widths.append(node.meta["example_value"].shape[-1])
        return graph.forward

    unet.compile_repeated_blocks(backend=backend, fullgraph=True)
    torch.testing.assert_close(output(unet, inputs), expected, rtol=1e-10, atol=1e-12)
    assert {4 * layer.inner_dim for layer in spatial_self_attentions(unet).values()} <= set(widths)
    with torch.no_grad():  # compiled code must not keep old weights
        for layer in spatial_self_attentions(unet).values():
            layer.to_k.weight.data = layer.to_k.weight.data * 1.5
    changed = output(unet, inputs)
    assert not torch.allclose(changed, expected, atol=1e-6)
    torch.compiler.reset()
    with torch.compiler.set_stance("force_eager"):
        torch.testing.assert_close(output(unet, inputs), changed, rtol=1e-10, atol=1e-12)


def test_a_pipeline_makes_the_same_video(pipeline: Any, pictures: list[Any]) -> None:
    def video() -> Tensor:
        return pipeline(
            pictures[0],
            "a cat",
            4,
            num_inference_steps=2,
            generator=torch.Generator().manual_seed(0),
            output_type="latent",
        ).frames

    expected = video()
    pipeline.i2v_adapter.fuse_projections()
    torch.testing.assert_close(video(), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(video(), expected, rtol=1e-4, atol=1e-4)
