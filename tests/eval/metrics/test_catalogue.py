"""Metric ids: every one parses to itself, and a wrong one says what is allowed."""

import inspect
import subprocess
import sys

import numpy as np
import pytest

from eval.encoders import ENCODERS
from eval.errors import EvalError
from eval.measure.catalogue import (
    catalogue,
    definitions,
    find_definition,
    parse_metric,
    registered,
)
from eval.measure.selection import metrics_of
from eval.metrics.lookup import registered_versions
from eval.metrics.vbench import i2v_subject


def test_every_metric_parses_to_itself() -> None:
    metrics = catalogue()
    assert [parse_metric(metric.id) for metric in metrics] == metrics
    assert len({metric.id for metric in metrics}) == len(metrics)


def test_ids_of_the_embedded_default() -> None:
    ids = {metric.id for metric in catalogue()}
    assert {
        "identity.dino_glyph.v1",
        "identity_min.dino_glyph.v1",
        "identity_last.dino_glyph.v1",
        "text.clip_glyph.v1",
        "text_min.clip_glyph.v1",
        "motion.flow_dis.v1",
        "motion_top5.flow_dis.v1",
        "fvd.videomae_glyph.v1",
        "kvd.videomae_glyph.v1",
    } <= ids


FVMD = {"fvmd", "fvmd_velocity", "fvmd_acceleration"}
SHARES, PIXELS = {"share of frames", "share of clips"}, {"dB", "similarity"}


def test_only_set_metrics_compare_sets_and_motion_has_no_better_side() -> None:
    for metric in catalogue():
        assert (metric.scope == "set") == (
            metric.family in {"fvd", "kvd", "stylegan_v.fvd", "cd_fvd.fvd", "jedi"} | FVMD
        )
        if metric.family.startswith("exact."):
            assert metric.truth
            assert metric.higher_is_better is (metric.unit != "px")
        elif metric.family.startswith("motion") or metric.family.endswith(
            ("flow_score", "dynamic_degree")
        ):
            assert metric.higher_is_better is None
        else:
            assert metric.higher_is_better is (
                metric.unit in {"cosine", "100 x cosine", "score", "raw score", *SHARES, *PIXELS}
            )
        assert ENCODERS[metric.encoder].kind == definitions()[metric.family].kind


def test_every_definition_is_complete_and_every_published_one_is_listed_with_its_encoder() -> None:
    ids = {metric.id for metric in catalogue()}
    for family in definitions().values():
        assert all((family.unit, family.description.endswith("."), family.source, family.versions))
        assert family.truth == family.name.startswith("exact.")
        if family.published:
            start = f"{family.name}.{family.published}."
            assert any(id.startswith(start) for id in ids)
    assert {name for name in definitions() if "." in name} == {
        "dreambooth.dino",
        "vbench.i2v_subject",
        "vbench.subject_consistency",
        "vbench.dynamic_degree",
        "vbench.temporal_flickering",
        "vbench.i2v_background",
        "vbench.background_consistency",
        "vbench.aesthetic_quality",
        "vbench.imaging_quality",
        "vbench.motion_smoothness",
        "paper.clip_temp",
        "paper.flow_score",
        "paper.warping_error",
        "evalcrafter.clip_temp",
        "evalcrafter.flow_score",
        "dover.technical",
        "stylegan_v.fvd",
        "cd_fvd.fvd",
        "exact.glyph",
        "exact.colour",
        "exact.position",
        "exact.direction",
        "vbench.camera_motion",
        *(f"aigcbench.{name}_first" for name in ("mse", "ssim")),
        *(f"aigcbench.{name}_clip" for name in ("image", "text", "frame")),
        *(f"aigcbench.ref_{name}_key" for name in ("clip", "ssim")),
        *(f"first_frame.{name}" for name in ("mse", "psnr", "ssim", "lpips")),
        *(f"reference.{name}" for name in ("mse", "psnr", "ssim", "lpips")),
    }


def test_every_version_of_every_definition_says_what_it_cannot_see() -> None:
    for name in definitions():
        for version, found in registered_versions(name).items():
            assert found.definition.cannot_see.endswith("."), (name, version)


def test_the_formulas_of_clips_take_features_and_those_of_sets_take_two_sets() -> None:
    for name, definition in definitions().items():
        formula = find_definition(name).formula
        names = list(inspect.signature(formula).parameters)
        assert names == (["features"] if definition.scope == "clip" else ["real", "fake"]), name


def test_encoders_by_hub_id_tag_and_path() -> None:
    for id, encoder in (
        ("identity.dino:facebook/dinov2-large.v2", "dino:facebook/dinov2-large"),
        ("text.open_clip:ViT-B-32/laion2b_s34b_b79k.v2", "open_clip:ViT-B-32/laion2b_s34b_b79k"),
        ("fvd.i3d:/weights/i3d.v2/i3d.pt.v2", "i3d:/weights/i3d.v2/i3d.pt"),
    ):
        metric = parse_metric(id)
        assert (metric.id, metric.encoder, metric.version) == (id, encoder, "v2")


VERSIONS = {
    "identity.dino_glyph": ["v1"],
    "identity.dino_vits16": ["v2"],
    "text.clip_vitb32_openai": ["v2"],
    "dreambooth.dino.dino_vits16": ["v2"],
    "consistency.clip_vitb32_openai": ["v1"],
    "evalcrafter.clip_temp.clip_glyph": ["v1", "v2"],
    "evalcrafter.clip_temp.clip_vitb32_openai": ["v2"],
    "vbench.i2v_subject.dino_glyph": ["v1", "v2", "noaa.v1"],
    "vbench.i2v_subject.dino_vitb16": ["v2", "noaa.v1"],
    "vbench.subject_consistency.dino_vitb16": ["v1"],
    "motion.flow_dis": ["v1"],
    "motion.raft_large": ["v2"],
    "paper.warping_error.flow_dis": ["v1", "v2"],
    "paper.warping_error.raft_things": ["v2"],
    "evalcrafter.flow_score.raft_things": ["v2"],
    "vbench.dynamic_degree.raft_things": ["v2"],
    "fvd.videomae_glyph": ["v1"],
    "fvd.i3d": ["v2"],
    "fvd.i3d_squash_ts": ["v1"],
    "fvd.i3d_videogpt": ["v1"],
    "stylegan_v.fvd.i3d_resize": ["v1"],
    "cd_fvd.fvd.i3d_squash": ["v1"],
    "kvd.videomae": ["v2"],
}


@pytest.mark.parametrize("start", VERSIONS)
def test_versions_of_each_metric_with_each_encoder(start: str) -> None:
    found = [metric.version for metric in catalogue() if metric.id.startswith(f"{start}.")]
    assert found == VERSIONS[start]
    for version in found:
        metric = parse_metric(f"{start}.{version}")
        assert f"{metric.family}.{metric.encoder}" == start
        assert registered(metric).definition.view == metric.view


def test_what_is_chosen_for_the_user_is_the_newest_version() -> None:
    ids = {metric.id for metric in metrics_of(["dino_glyph", "flow_dis"])}
    assert {
        "vbench.i2v_subject.dino_glyph.v2",
        "vbench.i2v_subject.dino_glyph.noaa.v1",
        "paper.warping_error.flow_dis.v2",
        "identity.dino_glyph.v1",
    } <= ids
    assert "vbench.i2v_subject.dino_glyph.v1" not in ids
    assert "paper.warping_error.flow_dis.v1" not in ids


@pytest.mark.parametrize(
    ("id", "reason"),
    [
        ("identity.dino_vits16.v1", "rounds it down.*Use identity.dino_vits16.v2"),
        (
            "vbench.i2v_subject.dino:facebook/dino-vitb16.v1",
            "its definition was corrected too. Use vbench.i2v_subject.dino:facebook/.*.v2",
        ),
        ("text.open_clip:ViT-L-14/openai.v1", "rounds it down.*Use text.open_clip:ViT-L-14/"),
        ("motion.raft_large.v1", "centre the padding.*Use motion.raft_large.v2"),
        ("fvd.i3d.v1", "I3D: up.*Use fvd.i3d.v2"),
    ],
)
def test_versions_that_are_measured_no_more_say_why(id: str, reason: str) -> None:
    with pytest.raises(EvalError, match=f"v1 is no longer measured: .*{reason}"):
        parse_metric(id)


@pytest.mark.parametrize(
    ("id", "message"),
    [
        ("identity", "expected <family>.<encoder>.<version>"),
        ("idenity.dino_glyph.v1", "unknown family 'idenity'.*Did you mean 'identity'"),
        (
            "identity.dino_vits61.v1",
            "'dino_vits61' is unknown; allowed: dino_glyph.*Did you mean 'dino_vits16'",
        ),
        (
            "identity.clip_glyph.v1",
            "'clip_glyph' is of kind 'image-text', not 'image'; allowed: dino_glyph",
        ),
        (
            "vbench.i2v_subjekt.dino_vitb16.v1",
            "unknown family 'vbench.i2v_subjekt'.*Did you mean 'vbench.i2v_subject'",
        ),
        (
            "text.dino:facebook/dino-vits16.v1",
            "is of kind 'image', not 'image-text'; allowed: .*open_clip:...",
        ),
        ("identity.dino:.v1", "'dino:' is unknown"),
        ("text.clip_glyph.v9", "unknown version 'v9'; allowed: v1"),
    ],
)
def test_a_wrong_id_says_what_is_allowed(id: str, message: str) -> None:
    with pytest.raises(EvalError, match=message) as error:
        parse_metric(id)
    assert "\n" not in str(error.value)


def test_the_catalogue_needs_no_heavy_library() -> None:
    code = (
        "import sys, eval.measure.catalogue as c\n"
        "c.catalogue()\n"
        "assert not {'torch', 'scipy.stats', 'cv2', 'transformers', 'open_clip'} & "
        "set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_drift_that_a_caution_tells_of_scores_what_it_says() -> None:
    angles = np.linspace(0, np.pi / 2, 16)
    drift = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    said = f"over 16 frames a drift of 90 degrees scores {i2v_subject(drift[0], drift):.3f}"
    assert said in find_definition("vbench.i2v_subject").definition.caution
