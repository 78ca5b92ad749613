"""What makes a step fast changes no output: compiled blocks, scales that need no new code, and
diffusers' attention backends.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from diffusers import UNetMotionModel
from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry
from torch import Tensor

import i2v_adapter.attention as attention
from i2v_adapter import I2VAdapter

Trained = Callable[..., I2VAdapter]


def output(unet: Any, inputs: dict[str, Any]) -> Tensor:
    with torch.no_grad():
        return unet(**inputs).sample


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_repeated_blocks_compile_and_a_new_scale_needs_no_new_code(
    unet_factory: Callable[..., UNetMotionModel], trained: Trained, inputs: dict[str, Any]
) -> None:
    torch._dynamo.reset()
    unet = unet_factory()
    adapter = trained(unet).attach(unet)
    expected = {}
    for scale in (1.0, 0.5, 2.0, 0.0):
        adapter.scale = scale
        expected[scale] = output(unet, inputs)
    assert not torch.allclose(expected[0.5], expected[2.0], atol=1e-3)
    compiled: list[int] = []

    def count(graph: Any, examples: Any) -> Any:
        compiled.append(len(examples))
        return graph.forward

    unet.compile_repeated_blocks(backend=count)
    codes = []
    for scale in (1.0, 0.5, 2.0):
        adapter.scale = scale
        torch.testing.assert_close(output(unet, inputs), expected[scale], rtol=1e-5, atol=1e-5)
        codes.append(len(compiled))
    assert codes[0] > 0
    assert codes == codes[:1] * 3
    adapter.scale = 0
    torch.testing.assert_close(output(unet, inputs), expected[0.0], rtol=1e-5, atol=1e-5)
    adapter.detach()
    torch.testing.assert_close(output(unet, inputs), expected[0.0], rtol=1e-5, atol=1e-5)


@pytest.fixture
def backends() -> Iterator[None]:
    before, _ = _AttentionBackendRegistry.get_active_backend()
    yield
    _AttentionBackendRegistry.set_active_backend(before)


@pytest.mark.parametrize("before", [True, False])
def test_the_attention_backend_of_the_unet_is_the_adapters(
    unet_factory: Callable[..., UNetMotionModel],
    trained: Trained,
    inputs: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    backends: None,
    before: bool,
) -> None:
    unet = unet_factory()
    adapter = trained(unet)
    with adapter.attached(unet):
        expected = output(unet, inputs)
    seen: list[Any] = []

    def dispatch(*tensors: Any, backend: Any, **options: Any) -> Any:
        seen.append(backend)
        return original(*tensors, backend=backend, **options)

    original = attention.dispatch_attention_fn
    monkeypatch.setattr(attention, "dispatch_attention_fn", dispatch)
    if before:
        unet.set_attention_backend("_native_math")
    with adapter.attached(unet):
        if not before:
            unet.set_attention_backend("_native_math")
        torch.testing.assert_close(output(unet, inputs), expected, rtol=1e-4, atol=1e-5)
    layers = len(adapter.config["layers"])
    assert seen == [AttentionBackendName._NATIVE_MATH] * 2 * layers
