"""Metric ids: every one parses to itself, and a wrong one says what is allowed."""

import subprocess
import sys

import pytest

from eval.errors import EvalError
from eval.metrics import ENCODERS, FAMILIES, catalogue, parse_metric


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
        expected = None if metric.family.startswith("motion") else metric.scope == "clip"
        assert metric.higher_is_better is expected
        assert ENCODERS[metric.encoder] == FAMILIES[metric.family].kind


@pytest.mark.parametrize(
    ("id", "message"),
    [
        ("identity", "expected <family>.<encoder>.<version>"),
        ("idenity.dino_glyph.v1", "unknown family 'idenity'.*Did you mean 'identity'"),
        ("identity.dino_vits61.v1", "'dino_vits61' is unknown; allowed: dino_glyph.*Did you mean 'dino_vits16'"),
        ("identity.clip_glyph.v1", "'clip_glyph' is of kind 'image-text', not 'image'; allowed: dino_glyph"),
        ("text.clip_glyph.v9", "unknown version 'v9'; allowed: v1"),
    ],
)
def test_a_wrong_id_says_what_is_allowed(id: str, message: str) -> None:
    with pytest.raises(EvalError, match=message) as error:
        parse_metric(id)
    assert "\n" not in str(error.value)


def test_the_catalogue_needs_no_heavy_library() -> None:
    code = (
        "import sys, eval.metrics\n"
        "assert not {'torch', 'numpy', 'scipy', 'cv2', 'transformers'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
