"""The classes against the pure functions: per batch, accumulated, and over two processes."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
import torchmetrics
from torchmetrics.image.kid import poly_mmd

from eval.errors import EvalError
from eval.metrics.frechet import FeatureStatistics, frechet_distance
from eval.metrics.identity import identity
from eval.torchmetrics import (
    DynamicDegree,
    Flicker,
    FlowScore,
    FrechetVideoDistance,
    ImageConsistency,
    ImageToVideoSubject,
    InputIdentity,
    KernelVideoDistance,
    MotionAmplitude,
    NeighbourConsistency,
    SubjectConsistency,
    TextAlignment,
    WarpingError,
)

REAL = np.random.default_rng(0).standard_normal((18, 5))
FAKE = np.random.default_rng(1).standard_normal((14, 5)) + 0.4


def _frechet() -> float:
    return frechet_distance(
        FeatureStatistics.from_features(REAL), FeatureStatistics.from_features(FAKE)
    )


def test_sets_may_come_in_any_batches() -> None:
    whole, parts = FrechetVideoDistance(), FrechetVideoDistance()
    whole.update(torch.tensor(REAL), real=True)
    whole.update(torch.tensor(FAKE), real=False)
    for start, stop in ((0, 1), (1, 8), (8, 18)):
        parts.update(torch.tensor(REAL[start:stop]), real=True)
        parts.update(torch.tensor(FAKE[start:stop]), real=False) if start < 14 else None
    assert whole.compute().item() == pytest.approx(_frechet(), rel=1e-12)
    assert parts.compute().item() == pytest.approx(_frechet(), rel=1e-12)
    assert parts.bias_corrected(repeats=1).uncorrected == pytest.approx(_frechet(), rel=1e-12)
    parts.reset()
    parts.update(torch.tensor(FAKE), real=False)
    with pytest.raises(EvalError, match=r"no real clips; call update\(..., real=True\)"):
        parts.compute()


def test_an_encoder_may_stand_between_clips_and_features() -> None:
    distance = KernelVideoDistance(encoder=lambda clips: clips.double().mean(dim=(2, 3)).flatten(1))
    clips = torch.from_numpy(np.random.default_rng(2).random((2, 6, 3, 4, 4, 2)))
    for one, real in zip(clips, (True, False), strict=True):
        distance.update(one, real=real)
    features = clips.mean(dim=(3, 4)).flatten(2)
    assert distance.compute().item() == pytest.approx(poly_mmd(*features).item(), abs=1e-9)
    with pytest.raises(EvalError, match="fake: 1 of 2 features hold values that are not finite"):
        KernelVideoDistance().update(torch.tensor([[0.0], [torch.nan]]), real=False)


def test_clips_are_averaged() -> None:
    generator = np.random.default_rng(3)
    cases = [(generator.standard_normal(6), generator.standard_normal((5, 6))) for _ in range(3)]
    metric = InputIdentity()
    for image, frames in cases:
        metric.update(torch.tensor(image), torch.tensor(frames))
    wanted = np.mean([identity(image, frames)["identity"] for image, frames in cases])
    assert metric.compute().item() == pytest.approx(wanted, rel=1e-12)
    assert metric(torch.tensor(cases[0][0]), torch.tensor(cases[0][1])).item() == pytest.approx(
        identity(*cases[0])["identity"]
    )  # forward gives the value of this clip alone


def test_every_class_gives_a_value_known_by_hand() -> None:
    turn = torch.tensor([[1.0, 0.0], [0.5, 0.75**0.5], [-0.5, 0.75**0.5]])  # 0, 60, 120 degrees
    flow = torch.tensor([3.0, 4.0]).expand(2, 16, 20, 2)
    frames = torch.full((3, 16, 20, 3), 0.5)
    strobe = torch.tensor([0, 255, 0], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 2, 2, 3)
    for metric, inputs, wanted in (
        (ImageToVideoSubject(), (turn[0], turn), 0.4 + 0.15 + 0.15),
        (SubjectConsistency(), (turn,), (0.5 + 0.25) / 2),
        (ImageConsistency(), (turn[0], turn), 1 / 3),
        (NeighbourConsistency(), (turn,), 0.5),
        (TextAlignment(), (turn[1], turn), 200 / 3),
        (MotionAmplitude(), (flow, 8.0), 2.5),
        (FlowScore(), (flow,), 5.0),
        (DynamicDegree(), (flow,), 1.0),
        (WarpingError(), (frames, flow, -flow), 0.0),
        (Flicker(), (strobe,), 1.0),
    ):
        metric.update(*inputs)  # type: ignore[arg-type]
        assert metric.compute().item() == pytest.approx(wanted, abs=1e-5), type(metric).__name__


def _parent(metric: torchmetrics.Metric) -> torch.nn.Module:
    module = torch.nn.Module()
    module.weight = torch.nn.Parameter(torch.ones(1))
    module.metric = metric
    return module


CASTS: dict[str, Callable[[torch.nn.Module], torch.nn.Module]] = {
    "to(float16)": lambda module: module.to(torch.float16),
    "half": lambda module: module.half(),
    "to(bfloat16)": lambda module: module.to(dtype=torch.bfloat16),
    "type": lambda module: module.type(torch.float16),
    "metric.to(float16)": lambda module: module.metric.to(torch.float16),  # type: ignore[return-value]
}


@pytest.mark.parametrize("cast", CASTS)
def test_no_cast_reaches_the_state(cast: str) -> None:
    speeds = [0.1, 1 / 3, 1e-9, 2049.0, 1e4]
    mean, distance = FlowScore(), KernelVideoDistance()
    for metric in (mean, distance):
        module = _parent(metric)
        for speed in speeds:
            if metric is mean:
                metric.update(torch.tensor([speed, 0.0], dtype=torch.float64).expand(1, 4, 4, 2))
            CASTS[cast](module)
    assert mean.compute().item() == pytest.approx(math.fsum(speeds) / 5, rel=1e-15)
    assert mean.compute().dtype == torch.float64
    wanted = KernelVideoDistance()
    for features, real in ((REAL, True), (FAKE, False)):
        wanted.update(torch.tensor(features), real=real)
        distance.update(torch.tensor(features), real=real)
        CASTS[cast](_parent(distance))
    assert distance.compute().item() == wanted.compute().item()


def test_a_device_without_float64_takes_every_state() -> None:
    """As MPS: moving a float64 tensor there raises."""

    def move(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return tensor.clone()

    mean, distance = FlowScore(), FrechetVideoDistance()
    mean.update(torch.tensor([3.0, 4.0]).expand(1, 4, 4, 2))
    distance.update(torch.tensor(REAL, dtype=torch.float32), real=True)
    distance.update(torch.tensor(FAKE, dtype=torch.float32), real=False)
    for metric in (mean, distance):
        metric._apply(move)
    assert mean.compute().item() == 5.0
    assert distance.compute().item() == pytest.approx(_frechet(), rel=1e-5)


def test_the_mean_is_exact_whatever_the_order_and_without_clips_it_is_nan() -> None:
    speeds = [1e-300, 1e16, 1.0, 3.14, 1e-5] * 3
    found = set()
    for order in (speeds, speeds[::-1], sorted(speeds)):
        metric = FlowScore()
        metric.value = lambda *arrays: arrays[0]  # type: ignore[method-assign]
        for speed in order:
            metric.update(speed)
        found.add(metric.compute().item())
    assert found == {float(sum(map(Fraction, speeds)) / len(speeds))}
    negative = FlowScore()
    negative.value = lambda *arrays: arrays[0]  # type: ignore[method-assign]
    for value in (-0.75, 0.25, -5e-324):
        negative.update(value)
    assert negative.compute().item() == pytest.approx(-0.5 / 3, rel=1e-15)
    with pytest.warns(UserWarning, match="before the ``update`` method"):
        assert math.isnan(FlowScore().compute().item())


def test_features_stay_where_they_are_and_have_one_dtype() -> None:
    distance = FrechetVideoDistance()
    distance.update(torch.tensor(REAL, dtype=torch.float16), real=True)
    assert distance.real[0].dtype == torch.int32
    with pytest.raises(EvalError, match="real features in float32 and in float64; use one dtype"):
        distance.update(torch.tensor(REAL), real=True)
    with pytest.raises(EvalError, match=r"fake: features must have shape \(N, D\)"):
        distance.update(torch.zeros(3), real=False)


TWO_PROCESSES = """
import json, sys
import numpy as np, torch
from eval.torchmetrics import FlowScore, FrechetVideoDistance

def work(rank, folder):
    meet = f"file://{folder}/meet"
    torch.distributed.init_process_group("gloo", init_method=meet, rank=rank, world_size=2)
    real, fake = np.load(f"{folder}/real.npy"), np.load(f"{folder}/fake.npy")
    distance, mean = FrechetVideoDistance(), FlowScore()
    distance.update(torch.tensor(real[rank::2]), real=True)
    distance.update(torch.tensor(fake[:10] if rank else fake[10:]), real=False)
    for speed in ((1.0, 2.0), (6.0,))[rank]:
        mean.update(torch.full((1, 4, 4, 2), speed) * torch.tensor([1.0, 0.0]))
    with open(f"{folder}/{rank}.json", "w") as file:
        json.dump([distance.compute().item(), mean.compute().item()], file)
    torch.distributed.destroy_process_group()

torch.set_num_threads(1)
context = torch.multiprocessing.get_context("fork")  # so that the libraries are imported once
workers = [context.Process(target=work, args=(rank, sys.argv[1])) for rank in range(2)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
sys.exit(any(worker.exitcode for worker in workers))
"""


def test_two_processes_give_the_value_of_all_clips(tmp_path: Path) -> None:
    np.save(tmp_path / "real.npy", REAL)
    np.save(tmp_path / "fake.npy", FAKE)
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo"}
    subprocess.run(
        [sys.executable, "-c", TWO_PROCESSES, str(tmp_path)],
        check=True,
        env=environment,
        timeout=300,
    )
    for rank in range(2):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert found == pytest.approx([_frechet(), 3.0], rel=1e-12)
