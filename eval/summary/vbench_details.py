"""What VBench's result files say of a clip beside its value, from the clips and tracks of a run
folder: how many pairs of frames count, and which camera motions were seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eval.clips.lossless import read_format
from eval.errors import EvalError
from eval.measure.feature_cache import FeatureCache, tracks_view
from eval.metrics.camera_motion import camera_verdicts, query_points
from eval.store.rows import Record
from eval.store.store import Store

OVER_FRAMES = ("subject_consistency", "background_consistency")
"""Dimensions whose aggregate VBench takes over frames, so that a long clip counts more."""


def frame_pairs(store: Store, record: Record) -> int | None:
    """How many frames of the record's clip are compared with the one before; None if the clip is no
    longer in the run folder."""
    try:
        return read_format(store.files.clip(record.clip_key))[0] - 1
    except EvalError:
        return None


def predicted(store: Store, record: Record) -> list[str] | None:
    """The camera motions that the tracks of the record's clip show; None if the clip or its tracks
    are no longer in the run folder."""
    try:
        clip = store.read(record.clip_key)
    except EvalError:
        return None
    height, width = clip.frames.shape[1:3]
    view = tracks_view("standard", query_points(height, width))
    tracks = FeatureCache(store.files.frames).stored(
        record.encoder_fingerprint, clip.fingerprint, view
    )
    return None if tracks is None else list(camera_verdicts(tracks, height, width))


def aggregate(
    dimension: str, rows: Sequence[Mapping[str, Any]], records: Sequence[Record], store: Store
) -> float:
    """A dimension's value over all clips: the mean over clips, or over frames where VBench does so
    and every clip is still in the run folder.

    Args:
        dimension: by VBench's name.
        rows: of the result file, one a record.
        records: the values.
        store: of the run.
    """
    values = [record.value for record in records]
    weights: list[int | None] = [1] * len(values)
    if dimension in OVER_FRAMES:
        counts = [row.get("cnt_per_video") for row in rows]
        if dimension != "background_consistency":
            counts = [frame_pairs(store, record) for record in records]
        if all(counts):
            weights = counts
    total = sum(weight or 0 for weight in weights)
    return sum(v * (weight or 0) for v, weight in zip(values, weights, strict=True)) / total
