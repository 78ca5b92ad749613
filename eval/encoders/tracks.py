"""Point tracks without a network: OpenCV's pyramidal Lucas-Kanade, made steady in flat regions."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from eval.encoders.preprocessing import check_frames
from eval.encoders.weights import Location
from eval.errors import EvalError
from eval.io.arrays import Float32Array, Float64Array, UInt8Array

WINDOW = 15
"""Side of the window that is searched for, px."""

RETURN = 0.5
"""Distance, px, within which a point tracked forward and back must end."""

TEXTURE = 1e-3
"""Smallest eigenvalue of the window's gradient matrix that a point is trusted with, as OpenCV
counts it."""

NEIGHBOURS = 12
"""Trusted points that move a point which is not trusted."""


def protocol() -> str:
    """Everything that decides a track: the parameters and the version of OpenCV."""
    import cv2

    return (
        f"tracks_klt 1: grey, frame to frame, pyramidal Lucas-Kanade with a window of {WINDOW} px, "
        f"30 iterations or 0.01 px; trusted within {RETURN} px forward and back and with texture "
        f"of {TEXTURE}, else an affine fit to the {NEIGHBOURS} nearest trusted points, OpenCV "
        f"{cv2.__version__}"
    )


class KltEncoder:
    """Pyramidal Lucas-Kanade from frame to frame, with a check that each point finds back.

    A point without texture, one that is hidden, and one outside the frame cannot be tracked. It
    takes part in the motion of the nearest points that can: an affine fit, so that it follows a pan
    or a zoom. Where no point can be tracked, all rest.

    Every step is tracked on one thread, so that a track does not depend on the machine's cores.

    Source: Bouguet 2000, "Pyramidal Implementation of the Lucas Kanade Feature Tracker"; OpenCV's
    implementation.
    """

    kind = "tracks"

    def __init__(self, id: str = "tracks_klt") -> None:
        self.id = id
        self.fingerprint = ""

    def encode_tracks(self, frames: UInt8Array, points: Float32Array) -> Float32Array:
        """uint8 (F, H, W, 3) RGB and (N, 2), (x, y) in px of frame 0 -> float32 (F, N, 2).

        Raises:
            EvalError: another shape or dtype, or no point.
        """
        import cv2

        check_frames(frames)
        start = np.asarray(points, dtype=np.float32)
        if start.ndim != 2 or start.shape[1] != 2 or not len(start) or not np.isfinite(start).all():
            raise EvalError(
                f"encoder {self.id!r}: points must be finite and have shape (N, 2), got "
                f"{start.shape}"
            )
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            greys = [
                np.asarray(cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY), np.uint8)
                for frame in frames
            ]
            tracks: list[Float32Array] = [start]
            for first, second in itertools.pairwise(greys):
                step = _step(first, second, tracks[-1])
                tracks.append(np.asarray(tracks[-1] + step, dtype=np.float32))
        finally:
            cv2.setNumThreads(threads)
        return np.stack(tracks).astype(np.float32)


def _step(
    first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8], points: Float32Array
) -> Float32Array:
    """How far each point moves between two grey frames, float32 (N, 2), px."""
    if np.array_equal(first, second):
        return np.zeros_like(points)
    moved, found = _track(first, second, points)
    back, returned = _track(second, first, moved)
    height, width = first.shape
    inside = ((points >= 0) & (points <= (width - 1, height - 1))).all(axis=1)
    trusted = inside & found & returned & (np.linalg.norm(back - points, axis=1) < RETURN)
    step = moved - points
    if not trusted.any():
        return np.zeros_like(points)
    known = points[trusted].astype(np.float64), step[trusted].astype(np.float64)
    if not trusted.all():
        step[~trusted] = _carried(points[~trusted].astype(np.float64), *known)
    return step


def _track(
    first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8], points: Float32Array
) -> tuple[Float32Array, npt.NDArray[np.bool_]]:
    """Where points of one frame are in another, and whether each was found."""
    import cv2

    levels = max(0, int(np.log2(max(1, min(first.shape) / (2 * WINDOW)))))
    moved, status, _ = cv2.calcOpticalFlowPyrLK(
        first,
        second,
        np.ascontiguousarray(points)[:, None],
        None,  # type: ignore[call-overload]
        winSize=(WINDOW, WINDOW),
        maxLevel=levels,
        criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.01),
        minEigThreshold=TEXTURE,
    )
    found = status.reshape(-1).astype(bool) & np.isfinite(moved).all(axis=(1, 2))
    return np.where(found[:, None], moved[:, 0], points).astype(np.float32), found


def _carried(points: Float64Array, known: Float64Array, steps: Float64Array) -> Float64Array:
    """The step of each point (N, 2) from an affine fit to those of its nearest trusted points;
    their median where they are too few, or lie on one line."""
    distances = np.linalg.norm(known - points[:, None], axis=2)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :NEIGHBOURS]
    places, moves = known[nearest] - points[:, None], steps[nearest]
    median = np.asarray(np.median(moves, axis=1))
    if nearest.shape[1] < 6:
        return median
    spread = np.linalg.svd(places - places.mean(axis=1, keepdims=True), compute_uv=False)
    design = np.concatenate([np.ones((*places.shape[:2], 1)), places], axis=2)
    fit = (np.linalg.pinv(design)[:, :1] @ moves)[:, 0]
    fit = np.clip(fit, moves.min(axis=1), moves.max(axis=1))
    flat = spread[:, -1] < 0.2 * spread[:, 0]
    return np.where(flat[:, None], median, fit)


def load(
    id: str, location: Location | None, preprocessing: None, device: str, dtype: str
) -> KltEncoder:
    """The encoder; it has no weights and runs on the CPU."""
    return KltEncoder(id)
