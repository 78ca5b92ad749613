"""VBench's scores against the rows of its tables."""

import pytest

from eval.errors import EvalError
from eval.summary.vbench_scores import DIMENSIONS, vbench_scores

ORDER = (
    *("camera_motion", "i2v_subject", "i2v_background", "subject_consistency"),
    *("background_consistency", "motion_smoothness", "dynamic_degree", "aesthetic_quality"),
    "imaging_quality",
)
PUBLISHED = {  # percent; quality, I2V, total
    # arXiv 2503.11251 and the README of Step-Video-TI2V
    "Step-Video-TI2V, motion 10": (
        "48.15 97.44 98.45 95.62 96.92 99.08 48.78 61.74 70.17",
        "80.86 95.11 87.98",
    ),
    "Step-Video-TI2V, motion 5": (
        "49.22 97.85 98.63 96.02 97.06 99.24 36.58 62.29 70.43",
        "80.11 95.50 87.80",
    ),
    # arXiv 2505.13211, table 9
    "MAGI-1, 2x decoder": (
        "50.85 98.39 99.00 93.96 96.74 98.68 68.21 64.74 69.71",
        "82.44 96.12 89.28",
    ),
}
COMPUTED = {  # dimensions of arXiv 2411.13503, table 3; the scores were worked out apart from here
    "DynamiCrafter-1024": (
        "35.44 96.71 96.05 95.69 97.38 97.38 47.40 66.46 69.34",
        "80.50 92.54 86.52",
    ),
    "SEINE-512x320": (
        "23.36 94.85 94.02 94.20 97.26 96.68 34.31 58.42 70.97",
        "77.37 89.62 83.49",
    ),
    "I2VGen-XL": (
        "13.32 96.74 95.44 96.36 97.93 98.31 24.96 65.33 69.85",
        "79.21 91.11 85.16",
    ),
    "Animate-Anything": (
        "12.56 98.54 96.88 98.90 98.19 98.61 2.68 67.12 72.09",
        "78.71 93.01 85.86",
    ),
    "ConsistI2V": (
        "33.60 94.69 94.57 95.27 98.28 97.38 18.62 59.00 66.92",
        "76.22 90.38 83.30",
    ),
    "VideoCrafter-I2V": (
        "33.58 90.97 90.51 97.86 98.79 98.00 22.60 60.78 71.68",
        "78.84 85.68 82.26",
    ),
    "CogVideoX-5b-I2V": (
        "67.68 97.19 96.74 94.34 96.42 98.40 33.17 61.87 70.01",
        "78.61 94.79 86.70",
    ),
}


def fractions(row: str) -> dict[str, float]:
    return {name: float(x) / 100 for name, x in zip(ORDER, row.split(), strict=True)}


@pytest.mark.parametrize("model", [*PUBLISHED, *COMPUTED])
def test_scores_agree_with_the_tables_to_a_hundredth(model: str) -> None:
    row, expected = (PUBLISHED | COMPUTED)[model]
    scores = vbench_scores(fractions(row))
    found = [scores.quality_score, scores.i2v_score, scores.total]
    for ours, theirs in zip(found, map(float, expected.split()), strict=True):
        assert ours is not None
        assert round(100 * ours, 2) == pytest.approx(theirs, abs=0.0101)


@pytest.mark.parametrize("missing", DIMENSIONS)
def test_no_total_without_all_nine(missing: str) -> None:
    whole = fractions(PUBLISHED["MAGI-1, 2x decoder"][0])
    scores = vbench_scores({name: x for name, x in whole.items() if name != missing})
    assert scores.total is None
    assert scores.missing == (missing,)
    assert (scores.i2v_score is None) == (missing in ORDER[:3])
    assert (scores.quality_score is None) == (missing in ORDER[3:])


def test_flickering_changes_no_score() -> None:
    whole = fractions(PUBLISHED["MAGI-1, 2x decoder"][0])
    assert vbench_scores(whole | {"temporal_flickering": 0.1}) == vbench_scores(whole)


@pytest.mark.parametrize(
    ("dimensions", "words"),
    [
        ({"imaging_quality": 69.71}, "imaging_quality: 69.71"),
        ({"i2v_subject": float("nan")}, "nan"),
        ({"i2v_subject": None}, "not a number"),
        ({"dynamic_degree": True}, "not a number"),
        ({"i2v_subjects": 0.9}, "Did you mean 'i2v_subject'"),
    ],
)
def test_what_is_no_fraction_is_refused(dimensions: dict[str, float], words: str) -> None:
    with pytest.raises(EvalError, match=words):
        vbench_scores(dimensions)
