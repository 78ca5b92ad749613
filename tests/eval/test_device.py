"""Devices and precision: what a name stands for, and what is refused, before anything is made."""

from __future__ import annotations

import pytest
import torch

from eval import device as devices
from eval.errors import EvalError
from eval.plan.planning import make_plan
from eval.plan.suite import locate_suite

HAS_GPU = torch.cuda.is_available()


@pytest.mark.skipif(HAS_GPU, reason="needs a machine without CUDA")
def test_without_a_gpu_auto_is_the_cpu_and_cuda_is_refused_with_what_to_do(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert devices.resolve("auto") == "cpu"
    for name in ("cuda", "cuda:1"):
        with pytest.raises(EvalError, match=f"'{name}': torch .* no CUDA GPU .*--device cpu"):
            devices.resolve(name)
    with pytest.raises(EvalError, match="no Apple GPU"):
        devices.resolve("mps")
    with pytest.raises(EvalError, match="no CUDA GPU"):
        make_plan(locate_suite("first-light"), {"device": "cuda"})


def test_half_precision_on_a_cpu_and_unknown_names_are_refused():
    with pytest.raises(EvalError, match="float16 needs a GPU, and the device is the CPU"):
        devices.check("cpu", "float16")
    devices.check("cpu", "bfloat16")
    with pytest.raises(EvalError, match="'float8' is not one of float32, bfloat16, float16"):
        devices.check("cpu", "float8")
    with pytest.raises(EvalError, match="'gpu' is not one of auto, cpu, cuda"):
        devices.resolve("gpu")
    with pytest.raises(EvalError, match="device: 'gpu' is not allowed"):
        make_plan(locate_suite("first-light"), {"device": "gpu"})


def test_what_is_held_is_let_go_by_name():
    held = {"a": 1, "b": 1}
    devices.holds("test-a", lambda: held.pop("a", 0) > 0)
    devices.holds("test-b", lambda: held.pop("b", 0) > 0)
    try:
        assert devices.release("test-a")
        assert held == {"b": 1}
        assert not devices.release("test-a", "no such")
        assert devices.release("test-b")
    finally:
        devices._HELD.pop("test-a")
        devices._HELD.pop("test-b")


def test_precision_is_part_of_what_a_clip_is_and_the_device_is_not():
    path = locate_suite("first-light")
    cells = {
        name: make_plan(path, changes).cells[0].fingerprint
        for name, changes in (
            ("plain", {}),
            ("cpu", {"device": "cpu"}),
            ("half", {"dtype": "bfloat16"}),
        )
    }
    assert cells["plain"] == cells["cpu"] != cells["half"]


def test_out_of_memory_frees_other_models_first_then_halves_the_batch_then_fails_the_clip():
    from eval.execute.isolation import Failed, isolate

    calls: list[int] = []
    freed: list[bool] = []

    def work(items):
        calls.append(len(items))
        if len(items) > 2 or 7 in items:
            raise MemoryError("no more")
        return items

    def relieve() -> bool:
        freed.append(len(freed) == 0)
        return freed[-1]

    found = isolate([1, 2, 3, 7], work, relieve=relieve)
    assert calls == [4, 4, 2, 2, 1, 1]  # once more after others made room, then halves
    assert found[:3] == [1, 2, 3]
    assert isinstance(found[3], Failed)
    assert "no more" in found[3].reason


def test_the_device_of_each_clip_is_noted_and_a_clip_made_again_elsewhere_loses_the_old_one(
    tmp_path,
):
    from eval.store.devices import counts, device_of, note
    from eval.store.store import Store

    with Store(tmp_path) as store:
        note(store, "make", ["a", "c"], "cuda (a GPU)")
        note(store, "make", ["b"], "cpu")
        assert device_of(store, "make", "a") == "cuda (a GPU)"
        assert device_of(store, "make", "b") == device_of(store, "measure", "a") == "cpu"
        note(store, "make", ["a"], "cpu")
        assert device_of(store, "make", "a") == "cpu"
        assert counts(store, "abc") == {
            "make": {"cpu": 2, "cuda (a GPU)": 1},
            "measure": {"cpu": 3},
        }


def test_each_method_is_noted_with_its_own_device(monkeypatch):
    from eval.execute import work

    suite = {"device": "auto"}
    cells = {cell.label: cell for cell in make_plan(locate_suite("first-light"), suite).cells}
    monkeypatch.setattr(devices, "resolve", lambda name: "cuda:1" if name == "auto" else name)
    monkeypatch.setattr(devices, "describe", lambda device: f"<{device}>")
    assert work._device(cells["i2v-adapter"].instance) == "<cuda:1>"
    assert work._device(cells["still-image"].instance) == "<cpu>"  # whatever the run's device is
