"""A recorded step gives what the UNet gives. In place of a CUDA graph a traced one is replayed:
it too keeps the addresses of weights and inputs, and every Python value, of when it was recorded.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from diffusers import UNetMotionModel
from PIL import Image
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from i2v_adapter import I2VAdapter, I2VAdapterPipeline
from i2v_adapter.step_graph import StepGraph

Trained = Callable[..., I2VAdapter]


def traced(run: Any, inputs: Sequence[Tensor]) -> tuple[Callable[[], Any], Tensor]:
    """Records `run` as operations on its inputs and on the tensors it found."""
    graph = make_fx(run)(*inputs)
    output = torch.full_like(graph(*inputs), torch.nan)  # a capture computes nothing
    return lambda: output.copy_(graph(*inputs)), output


@pytest.fixture
def step(
    unet_factory: Callable[..., UNetMotionModel], trained: Trained
) -> tuple[StepGraph, UNetMotionModel, I2VAdapter]:
    unet = unet_factory()
    adapter = trained(unet).attach(unet)
    return StepGraph(unet, lambda: adapter.scale, traced), unet, adapter


def plain(unet: Any, sample: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
    with torch.no_grad():
        return unet(sample, timestep, encoder_hidden_states=text).sample


def arguments(inputs: dict[str, Any], step: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    noise = torch.randn(inputs["sample"].shape, generator=torch.Generator().manual_seed(step))
    return noise, torch.tensor(900 - 100 * step), inputs["encoder_hidden_states"] + step


def test_a_replay_reads_its_own_inputs(step: Any, inputs: dict[str, Any]) -> None:
    graph, unet, _ = step
    kept = []
    for index in range(4):
        sample, timestep, text = arguments(inputs, index)
        found = graph(sample, timestep, encoder_hidden_states=text)
        kept.append((found, plain(unet, sample, timestep, text)))
    for found, expected in kept:  # results of earlier steps stay what they were
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert graph.recorded == 1


def test_another_shape_or_scale_is_recorded_anew(step: Any, inputs: dict[str, Any]) -> None:
    graph, unet, adapter = step
    sample, timestep, text = arguments(inputs)
    cases: list[tuple[Any, Any]] = [
        (1.0, slice(None)),
        (1.0, slice(1)),
        (0.5, slice(None)),
        (0.0, slice(None)),
    ]
    for scale, videos in cases * 2:
        adapter.scale = scale
        given = sample[videos], timestep, text[: 5 * len(sample[videos])]
        found = graph(given[0], given[1], encoder_hidden_states=given[2])
        torch.testing.assert_close(found, plain(unet, *given), rtol=1e-5, atol=1e-5)
    assert graph.recorded == len(cases)


def test_without_a_gpu_it_says_what_to_do(pipeline: I2VAdapterPipeline, pictures: Any) -> None:
    pipeline.enable_step_graph()
    with pytest.raises(ValueError, match=r"needs a CUDA GPU.* on cpu.*disable_step_graph\(\)"):
        video(pipeline, pictures[0])
    pipeline.disable_step_graph()
    video(pipeline, pictures[0])


@pytest.mark.parametrize("how", ["offloaded", "fp8 UNet", "fp8 adapter"])
def test_weights_that_do_not_stay_are_refused(
    pipeline: I2VAdapterPipeline, counted: list[int], pictures: list[Image.Image], how: str
) -> None:
    from accelerate.hooks import ModelHook, add_hook_to_module

    if how == "offloaded":
        add_hook_to_module(pipeline.unet.mid_block, ModelHook())
    else:
        part = pipeline.unet if how == "fp8 UNet" else pipeline.i2v_adapter
        part.enable_layerwise_casting(torch.float8_e4m3fn, compute_dtype=torch.float32)
    pipeline.enable_step_graph()
    with pytest.raises(ValueError, match=r"weights that stay where they are.*disable_step_graph"):
        video(pipeline, pictures[0])


def video(pipeline: Any, image: Image.Image, **options: Any) -> Tensor:
    options = {"num_inference_steps": 4, "output_type": "latent", **options}
    return pipeline(image, "a cat", 4, generator=torch.Generator().manual_seed(0), **options).frames


@pytest.fixture
def counted(pipeline: I2VAdapterPipeline, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The pipeline with a step graph; one entry for each recording."""
    recordings: list[int] = []

    def capture(run: Any, inputs: Sequence[Tensor]) -> Any:
        recordings.append(len(inputs))
        return traced(run, inputs)

    monkeypatch.setattr(type(pipeline), "_capture", staticmethod(capture))
    return recordings


@pytest.mark.parametrize("scale", [1.0, [1.0, 0.5, 0.5, 0.2]])
def test_a_pipeline_makes_the_same_video(
    pipeline: I2VAdapterPipeline, counted: list[int], pictures: list[Image.Image], scale: Any
) -> None:
    pipeline.i2v_adapter.scale = scale
    expected = video(pipeline, pictures[0])
    pipeline.enable_step_graph()
    torch.testing.assert_close(video(pipeline, pictures[0]), expected, rtol=1e-4, atol=1e-4)
    assert len(counted) == 1
    pipeline.i2v_adapter.scale = 0.25  # the next call records its own
    changed = video(pipeline, pictures[0])
    pipeline.disable_step_graph()
    torch.testing.assert_close(changed, video(pipeline, pictures[0]), rtol=1e-4, atol=1e-4)
    assert len(counted) == 2


def test_what_a_callback_changes_is_recorded(
    pipeline: I2VAdapterPipeline,
    counted: list[int],
    pictures: list[Image.Image],
    load_content_adapter: Callable[[Any], None],
) -> None:
    load_content_adapter(pipeline)
    embeds = [torch.randn(2, 1, 5, 32, generator=torch.Generator().manual_seed(1))]

    def change(pipe: Any, step: int, t: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if step == 1:
            pipe.i2v_adapter.scale = 0.5
        if step == 2:
            pipe.set_ip_adapter_scale(0.1)
        return {}

    def made() -> Tensor:
        pipeline.i2v_adapter.scale = 1.0
        pipeline.set_ip_adapter_scale(1.0)
        return video(
            pipeline, pictures[0], ip_adapter_image_embeds=embeds, callback_on_step_end=change
        )

    expected = made()
    pipeline.enable_step_graph()
    torch.testing.assert_close(made(), expected, rtol=1e-4, atol=1e-4)
    assert len(counted) == 3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("fused", [False, True])
def test_a_cuda_graph_gives_what_the_unet_gives(
    pipeline: I2VAdapterPipeline, pictures: list[Image.Image], fused: bool
) -> None:
    pipeline.to("cuda")
    if fused:
        pipeline.i2v_adapter.fuse_projections()
    for options in ({}, {"guidance_interval": (0, 0.5)}):
        pipeline.disable_step_graph()
        expected = video(pipeline, pictures[0], **options)
        pipeline.enable_step_graph()
        for _ in range(2):
            found = video(pipeline, pictures[0], **options)
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
