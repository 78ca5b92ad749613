"""Fréchet video distance: `eval.metrics.frechet` on the video features of true and generated clips,
with what a reader must know beside the value.
"""

from dataclasses import replace

import numpy as np

from eval.io.arrays import FeatureArray, Float64Array
from eval.metrics.definitions import Definition, SetNotes, SetSteps, metric
from eval.metrics.frechet import (
    bias_corrected_frechet,
    frechet_distance_of_features,
    small_sample,
)


def in_common_span(real: FeatureArray, fake: FeatureArray) -> tuple[Float64Array, Float64Array]:
    """Both sets in an orthonormal basis of the affine space they span, float64 (., r), r < R + N.

    Fréchet distances do not change under this isometry, and far fewer dimensions than features' own
    make them cheap.
    """
    both = np.concatenate([real, fake]).astype(np.float64)
    both -= both.mean(axis=0)
    if len(both) > both.shape[1]:
        return both[: len(real)], both[len(real) :]
    left, singular, _ = np.linalg.svd(both, full_matrices=False)
    coordinates = left * singular
    return coordinates[: len(real)], coordinates[len(real) :]


def _notes(real: Float64Array, fake: Float64Array, images: int, dimension: int) -> SetNotes:
    enough = min(images, len(real)) >= 4
    corrected = bias_corrected_frechet(real, fake).value if enough else float("nan")
    return SetNotes(corrected, small_sample(min(len(fake), len(real), images), dimension))


def _small_sample(real: Float64Array, fake: Float64Array, images: int, dimension: int) -> SetNotes:
    return SetNotes(float("nan"), small_sample(min(len(fake), len(real), images), dimension))


_FVD = Definition(
    name="fvd",
    encoder_revision=1,
    kind="video",
    scope="set",
    unit="squared feature distance",
    higher_is_better=False,
    description="Fréchet distance between Gaussians fitted to the video features of true and "
    "generated clips; covariances are divided by N - 1.",
    source="Unterthiner et al. 2018 (FVD)",
    protocols="several: with i3d as common_metrics_on_video_quality, with i3d_videogpt as "
    "VideoGPT, with i3d_squash_ts as FastVideo; divided by N: stylegan_v.fvd, cd_fvd.fvd. cd-fvd's "
    "other network, VideoMAE-v2 ViT-g: version cdfvd.v1 with videomae2_vitg_ssv2; videomae is "
    "VideoMAE ViT-B",
    caution="Biased upwards by about c/N: equal N, frames and size only, and beside it the "
    "bias-corrected figure. Where covariances are divided by N (cd-fvd, StyleGAN-V) values are "
    "smaller: by 48 % at N = 2, 0.4 % at 256, 0.05 % at 2048.",
    cannot_see="Single clips: where the statistics of the set agree, it does not matter which clip "
    "shows what, or whether a clip fits its own image.",
)


@metric(_FVD, steps=SetSteps(prepare=in_common_span, notes=_notes))
def _fvd(real: Float64Array, fake: Float64Array) -> float:
    return frechet_distance_of_features(real, fake)


_BY_N = replace(
    _FVD,
    encoder_revision=2,
    description="Fréchet distance between Gaussians fitted to the video features of true and "
    "generated clips; covariances are divided by N.",
    protocols="",
    caution="Biased upwards by about c/N: equal N, frames and size only.",
)


@metric(
    replace(
        _BY_N,
        name="stylegan_v.fvd",
        source="Skorokhodov et al. 2022 (StyleGAN-V), frechet_video_distance.py",
        published="i3d_resize",
    ),
    replace(
        _BY_N,
        versions=("cdfvd.v1",),
        source="Ge et al. 2024 (cd-fvd), with its VideoMAE-v2",
        published="videomae2_vitg_ssv2",
    ),
    replace(
        _BY_N,
        name="cd_fvd.fvd",
        source="Ge et al. 2024 (cd-fvd), with its I3D",
        published="i3d_squash",
    ),
    steps=SetSteps(prepare=in_common_span, notes=_small_sample),
)
def _fvd_divided_by_n(real: Float64Array, fake: Float64Array) -> float:
    return frechet_distance_of_features(real, fake, divisor="n")
