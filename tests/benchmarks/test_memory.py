"""Live bytes: known allocations, views that cost nothing, memory given back, and the backward
pass."""

import torch

from benchmarks.memory import LiveBytes, parameter_bytes, peak_memory

KILO = 1024


def test_the_peak_is_what_is_alive_at_once() -> None:
    def run() -> None:
        a = torch.zeros(KILO)
        b = a + 1
        del a
        c = (b * 2).view(2, -1).t()
        del b, c

    assert peak_memory(run, torch.device("cpu"))["working"] == 2 * 4 * KILO


def test_tensors_from_outside_and_views_of_them_do_not_count() -> None:
    outside = torch.zeros(KILO)
    with LiveBytes() as live:
        view = outside[::2]
        outside.add_(1)
    assert (live.peak, view.shape) == (0, (KILO // 2,))


def test_activations_kept_for_the_backward_pass_count() -> None:
    weight = torch.ones(KILO, requires_grad=True)
    with torch.no_grad(), LiveBytes() as frozen:
        weight.exp().exp().exp().sum()
    with LiveBytes() as trained:
        loss = weight.exp().exp().exp().sum()
    assert frozen.peak == 2 * 4 * KILO
    assert trained.peak == 3 * 4 * KILO + 4
    del loss


def test_shared_parameters_count_once() -> None:
    layer = torch.nn.Linear(3, 5)
    assert parameter_bytes(layer, torch.nn.Sequential(layer)) == 4 * (15 + 5)
