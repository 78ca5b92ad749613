"""Metric ids: every one parses to itself, and a wrong one says what is allowed."""

import inspect
import subprocess
import sys

import pytest

from eval.encoders import ENCODERS
from eval.errors import EvalError
from eval.measure.catalogue import catalogue, definitions, find_definition, parse_metric


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


def test_only_set_metrics_compare_sets_and_motion_has_no_better_side() -> None:
    for metric in catalogue():
        assert (metric.scope == "set") == (metric.family in {"fvd", "kvd"})
        if metric.family.startswith("exact."):
            assert metric.truth
            assert metric.higher_is_better is (metric.unit != "px")
        elif metric.family.startswith("motion") or metric.family.endswith(
            ("flow_score", "dynamic_degree")
        ):
            assert metric.higher_is_better is None
        else:
            assert metric.higher_is_better is (
                metric.unit in {"cosine", "100 x cosine", "score", "raw score", "share of frames"}
            )
        assert ENCODERS[metric.encoder].kind == definitions()[metric.family].kind


def test_every_definition_is_complete_and_every_published_one_is_listed_with_its_encoder() -> None:
    ids = {metric.id for metric in catalogue()}
    for family in definitions().values():
        assert all((family.unit, family.description.endswith("."), family.source, family.versions))
        assert family.truth == family.name.startswith("exact.")
        if family.published:
            assert f"{family.name}.{family.published}.v1" in ids
    assert {name for name in definitions() if "." in name} == {
        "dreambooth.dino",
        "vbench.i2v_subject",
        "vbench.subject_consistency",
        "vbench.dynamic_degree",
        "vbench.temporal_flickering",
        "paper.clip_temp",
        "paper.flow_score",
        "paper.warping_error",
        "evalcrafter.clip_temp",
        "evalcrafter.flow_score",
        "dover.technical",
        "exact.glyph",
        "exact.colour",
        "exact.position",
        "exact.direction",
    }


def test_the_formulas_of_clips_take_features_and_those_of_sets_take_two_sets() -> None:
    for name, definition in definitions().items():
        formula = find_definition(name).formula
        names = list(inspect.signature(formula).parameters)
        assert names == (["features"] if definition.scope == "clip" else ["real", "fake"]), name


def test_encoders_by_hub_id_tag_and_path() -> None:
    for id, encoder in (
        ("identity.dino:facebook/dinov2-large.v1", "dino:facebook/dinov2-large"),
        ("text.open_clip:ViT-B-32/laion2b_s34b_b79k.v1", "open_clip:ViT-B-32/laion2b_s34b_b79k"),
        ("fvd.i3d:/weights/i3d.v2/i3d.pt.v1", "i3d:/weights/i3d.v2/i3d.pt"),
    ):
        metric = parse_metric(id)
        assert (metric.id, metric.encoder, metric.version) == (id, encoder, "v1")


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
