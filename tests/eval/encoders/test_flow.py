"""Flow: known translations score their speed, still pairs score nothing, and nothing else changes a
value.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from eval.encoders import load_encoder
from eval.encoders.flow import DisFlowEncoder
from eval.errors import EvalError
from eval.metrics.motion import motion
from eval.world.scenes import Scene, render


def _disc(
    speed: float, frames: int, direction: tuple[int, int] = (1, 0), size: int = 64
) -> np.ndarray:
    """A flat 36 px disc with soft edges on a shaded background; drawn here, not by the glyph
    world."""
    rows, columns = np.mgrid[0:size, 0:size] + 0.5
    background = np.stack([30 + columns / 4, 40 + rows / 4, 90 + columns / 8], axis=-1)
    drawn = []
    for frame in range(frames):
        x, y = (size / 2 - 4 + speed * frame * axis for axis in direction)
        inside = np.clip(18.5 - np.hypot(columns - x, rows - y), 0, 1)
        drawn.append(
            background * (1 - inside[..., None]) + np.array([230, 60, 50]) * inside[..., None]
        )
    return np.rint(np.stack(drawn)).astype(np.uint8)


@pytest.mark.parametrize("speed", [1.5, 2.25, 3.0])
@pytest.mark.parametrize("direction", [(1, 0), (0, 1)])
def test_a_known_translation_scores_its_speed(speed: float, direction: tuple[int, int]) -> None:
    frames = _disc(speed, 4, direction)
    flow = DisFlowEncoder().encode_pairs(frames[:-1], frames[1:])
    assert motion(flow, fps=64)["motion_top5"] == pytest.approx(speed, rel=0.1)
    rows, columns = np.mgrid[0:64, 0:64] + 0.5
    x, y = (28 + speed * np.arange(3)[:, None, None] * axis for axis in direction)
    radius = np.hypot(columns - x, rows - y)
    edge = (radius > 14) & (radius < 17)
    assert (
        np.median(np.linalg.norm(flow - speed * np.array(direction), axis=-1)[edge]) < 0.25 * speed
    )
    assert np.linalg.norm(flow, axis=-1)[radius > 26].mean() < 0.1


def test_end_point_error_on_the_glyph_worlds_exact_flow() -> None:
    errors, still = [], []
    for index, (move, colour) in enumerate(
        [("left", "red"), ("up", "white"), ("right", "cyan"), ("down", "yellow")]
    ):
        scene = Scene(
            "heart", "\u2665", colour, "navy", move, 2.0, 36.0, 32.0, 32.0, float(index), 0.3
        )
        truth = render(scene, 4)
        flow = DisFlowEncoder().encode_pairs(truth.frames[:-1], truth.frames[1:])
        errors.append(np.linalg.norm(flow - truth.flow, axis=-1).mean())
        still.append(np.linalg.norm(truth.flow, axis=-1).mean())
    assert np.mean(errors) < 0.3 < np.mean(still) + 0.1


def test_equal_frames_do_not_move_and_flicker_hardly_does() -> None:
    encoder = DisFlowEncoder()
    frame = _disc(0, 1)
    assert not encoder.encode_pairs(frame, frame).any()
    generator = np.random.default_rng(0)
    for blur in (0, 1.5):
        noise = generator.standard_normal((2, 64, 64, 3))
        if blur:
            noise = np.stack([cv2.GaussianBlur(one, (0, 0), blur) for one in noise])
        noisy = np.clip(frame + 4 * noise / noise.std(), 0, 255).astype(np.uint8)
        assert motion(encoder.encode_pairs(noisy[:1], noisy[1:]), fps=64)["motion_top5"] < 0.05


def test_colour_moves_where_grey_values_do_not() -> None:
    rows, columns = np.mgrid[0:64, 0:64]
    drawn = []
    for x in (26, 28):
        inside = (abs(columns - x) < 16) & (abs(rows - 32) < 16)
        drawn.append(
            np.where(inside[..., None], (200, 60, 60), (60, 125, 93))
        )  # 0.299 R + 0.587 G + 0.114 B is the same
    frames = np.stack(drawn).astype(np.uint8)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(int) for frame in frames]
    assert abs(grey[0] - grey[1]).max() <= 2
    assert motion(DisFlowEncoder().encode_pairs(frames[:1], frames[1:]), fps=64)[
        "motion_top5"
    ] == pytest.approx(2, rel=0.1)


def test_small_frames_are_enlarged_and_the_flow_scaled_back() -> None:
    frames = np.stack(
        [cv2.resize(frame, (32, 32), interpolation=cv2.INTER_AREA) for frame in _disc(3, 2)]
    )
    flow = DisFlowEncoder().encode_pairs(frames[:1], frames[1:])
    assert flow.shape == (1, 32, 32, 2)
    assert flow.dtype == np.float32
    assert motion(flow, fps=32)["motion_top5"] == pytest.approx(1.5, rel=0.2)


def test_batch_and_threads_do_not_change_a_value() -> None:
    frames = _disc(2, 4)
    together = DisFlowEncoder().encode_pairs(frames[:-1], frames[1:])
    before = cv2.getNumThreads()
    cv2.setNumThreads(4)
    try:
        alone = [
            DisFlowEncoder().encode_pairs(frames[i : i + 1], frames[i + 1 : i + 2])[0]
            for i in range(3)
        ]
        assert cv2.getNumThreads() == 4
    finally:
        cv2.setNumThreads(before)
    assert np.array_equal(together, np.stack(alone))


def test_frames_of_two_shapes_are_refused() -> None:
    with pytest.raises(EvalError, match="must have one shape"):
        DisFlowEncoder().encode_pairs(
            np.zeros((1, 64, 64, 3), np.uint8), np.zeros((1, 64, 32, 3), np.uint8)
        )


def test_raft_is_torchvisions_and_takes_small_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from safetensors.torch import save_file
    from torch.nn import functional
    from torchvision.models.optical_flow import raft_large

    torch.manual_seed(0)
    model = raft_large(weights=None).eval()
    folder = tmp_path / "raft_large"
    folder.mkdir()
    save_file(model.state_dict(), folder / "model.safetensors")
    monkeypatch.setenv("I2V_EVAL_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("eval.encoders.raft.UPDATES", 1)
    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 68, 3), dtype=np.uint8)
    encoder = load_encoder("raft_large")
    flow = encoder.encode_pairs(frames[:1], frames[1:])  # type: ignore[attr-defined]
    pixels = torch.from_numpy(frames.transpose(0, 3, 1, 2) / np.float32(127.5) - 1)
    large = functional.interpolate(pixels, (128, 136), mode="bicubic", align_corners=False).clamp(
        -1, 1
    )
    with torch.no_grad():
        expected = model(large[:1], large[1:], num_flow_updates=1)[-1]
    expected = expected.reshape(1, 2, 64, 2, 68, 2).mean(dim=(3, 5)) / 2
    np.testing.assert_allclose(flow, expected.permute(0, 2, 3, 1).numpy(), atol=1e-3)


@pytest.mark.parametrize("unit", [False, True])
def test_raft_pads_both_sides_as_its_own_padder_does(
    unit: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Float frames in [0, 1] are shown as they are, as if they were 8-bit values."""
    import torch
    from safetensors.torch import save_file
    from torch.nn import functional
    from torchvision.models.optical_flow import raft_small

    torch.manual_seed(0)
    model = raft_small(weights=None).eval()
    (tmp_path / "raft_small").mkdir()
    save_file(model.state_dict(), tmp_path / "raft_small" / "model.safetensors")
    monkeypatch.setenv("I2V_EVAL_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("eval.encoders.raft.UPDATES", 1)
    frames = np.random.default_rng(0).integers(0, 256, (2, 131, 141, 3), dtype=np.uint8)
    shown = (frames / 255).astype(np.float32) if unit else frames
    encoder = load_encoder("raft_small")
    flow = encoder.encode_pairs(shown[:1], shown[1:])  # type: ignore[attr-defined]
    # 131 -> 136: 2 above, 3 below; 141 -> 144: 1 left, 2 right
    rows, columns = np.clip(np.arange(-2, 134), 0, 130), np.clip(np.arange(-1, 143), 0, 140)
    pixels = torch.from_numpy(shown[:, rows][:, :, columns].transpose(0, 3, 1, 2).copy()).float()
    pixels = 2 * (pixels / 255) - 1
    with torch.no_grad():
        expected = model(pixels[:1], pixels[1:], num_flow_updates=1)[-1][:, :, 2:133, 1:142]
    assert functional.mse_loss(expected, torch.zeros_like(expected)) > 1e-6
    np.testing.assert_allclose(flow, expected.permute(0, 2, 3, 1).numpy(), atol=1e-4)


def test_float_frames_are_those_of_8_bit_to_dis_and_must_lie_in_0_to_1() -> None:
    frames = _disc(2, 2)
    values = (frames / 255).astype(np.float32)
    encoder = DisFlowEncoder()
    expected = encoder.encode_pairs(frames[:1], frames[1:])
    assert np.array_equal(encoder.encode_pairs(values[:1], values[1:]), expected)
    with pytest.raises(EvalError, match=r"must lie in \[0, 1\], these reach from 255"):
        encoder.encode_pairs(values[:1] * 0, values[1:] * 0 + 255)


def test_raft_refuses_other_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    (tmp_path / "raft_things").mkdir()
    path = tmp_path / "raft_things" / "raft_large_C_T_V1.pth"
    monkeypatch.setenv("I2V_EVAL_WEIGHTS", str(tmp_path))
    write: list[Callable[[], object]] = [
        lambda: torch.save({"weight": torch.zeros(1)}, path),
        lambda: path.write_bytes(b"no weights"),
        lambda: torch.save([1], path),
    ]
    for each in write:
        each()
        with pytest.raises(EvalError, match="does not hold the weights of raft_large"):
            load_encoder("raft_things")


@pytest.mark.parametrize(("turn", "zoom", "worst"), [(3.0, 1.0, 0.35), (0.0, 1.04, 0.35)])
def test_end_point_error_on_rotations_and_zooms_of_a_textured_image(
    turn: float, zoom: float, worst: float
) -> None:
    generator = np.random.default_rng(1)
    texture = cv2.GaussianBlur(generator.standard_normal((96, 96, 3)), (0, 0), 2)
    image = np.clip(128 + 45 * texture / texture.std(), 0, 255).astype(np.uint8)
    matrix = cv2.getRotationMatrix2D((47.5, 47.5), turn, zoom)
    moved = cv2.warpAffine(
        image, matrix, (96, 96), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    rows, columns = np.mgrid[0:96, 0:96]
    places = np.stack([columns, rows, np.ones_like(rows)], axis=-1)
    truth = places @ matrix.T - places[..., :2]
    flow = DisFlowEncoder().encode_pairs(image[None], moved[None])[0]
    inner = (slice(12, -12), slice(12, -12))
    error = np.linalg.norm(flow - truth, axis=-1)[inner].mean()
    assert error < worst < np.linalg.norm(truth, axis=-1)[inner].mean() / 2
