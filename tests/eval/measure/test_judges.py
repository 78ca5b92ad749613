"""Learned judges: found by name, checked, their raw answers kept, never a silent 0."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.clips.lossless import Clip
from eval.encoders import encoder_fingerprint
from eval.errors import EvalError, WeightsMissingError
from eval.io.files import Files
from eval.measure.catalogue import catalogue, parse_metric
from eval.measure.evaluator import Evaluator
from eval.measure.feature_cache import FeatureCache
from eval.measure.judges import answers
from eval.samples import Sample

JUDGES = """
from eval.encoders.judge import Answer, Dimension

class Fake:
    '''Reads the scores out of a text that it writes itself, as judges that are language models.'''
    dimensions = {
        'quality': Dimension(1, 5),
        'likeness': Dimension(1, 5, needs_image=True),
        'fit': Dimension(0, 100, needs_prompt=True),
    }
    deterministic = True
    asked = 0
    written = '(1) quality: {0}\\n(2) likeness: {1}\\n(3) fit: {2}'
    def __init__(self, *, device): self.device = device
    @staticmethod
    def fingerprint(): return 'fake 1'
    def score(self, frames, fps, image, prompt):
        type(self).asked += 1
        bright = 1 + 4 * float(frames.mean()) / 255
        like = 5 if image is None else 5 - float(abs(frames[0].astype(int) - image).mean())
        text = self.written.format(bright, like, len(prompt or ''))
        lines = [line.rpartition(' ') for line in text.splitlines()]
        scores = {}
        for (before, _, number), name in zip(lines, self.dimensions):
            try: scores[name] = float(number)
            except ValueError: pass
        return Answer(scores, text)

class Dreamy(Fake):
    deterministic = False
    def score(self, frames, fps, image, prompt): return {'quality': 3, 'likeness': 3, 'fit': 3}

class Silent(Fake): written = 'I would rather not say.'
class Partial(Fake): written = '(1) quality: {0}\\n(2) likeness: n/a\\n(3) fit: 3'
class TooHigh(Fake): written = '(1) quality: 7\\n(2) likeness: 2\\n(3) fit: 3'
class NotFinite(Fake): written = '(1) quality: nan\\n(2) likeness: 2\\n(3) fit: 3'
class Words(Fake):
    def score(self, frames, fps, image, prompt): return 'good'
class Unstated(Fake): deterministic = None
class Undimensioned(Fake): dimensions = {}
class Endless(Fake): dimensions = {'quality': Dimension(1, float('inf'))}
"""


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_judges.py").write_text(JUDGES)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("my_judges", None)
    monkeypatch.setenv("I2V_EVAL_JUDGE_FAKE", "my_judges:Fake")
    return "my_judges"


FRAMES = np.full((3, 8, 8, 3), 51, np.uint8)
SAMPLE = Sample("a", FRAMES[0], "a red star")
CLIP = Clip(FRAMES, 8.0)
IDS = ["judge.fake.quality", "judge.fake.likeness", "judge.fake.fit"]


def test_a_judge_is_asked_once_and_its_answer_is_kept(judge: str, tmp_path: Path) -> None:
    metrics = [parse_metric(id) for id in IDS]
    assert [metric.needs for metric in metrics] == [(), ("image",), ("prompt",)]
    assert metrics[2].unit == "score, 0 to 100"
    run = tmp_path / "run"
    evaluator = Evaluator(metrics, cache=FeatureCache(Files(run).frames))
    expected = dict(zip(IDS, [1.8, 5, 10], strict=True))
    assert evaluator.per_clip(SAMPLE, CLIP) == pytest.approx(expected)
    [kept] = answers(run)
    assert kept["raw"].startswith("(1) quality: 1.8")
    assert (kept["judge"], kept["sample"], kept["fault"]) == ("fake", "a", "")
    assert kept["scores"] == pytest.approx([1.8, 5, 10])
    again = Evaluator(metrics, cache=FeatureCache(Files(run).frames))
    assert again.per_clip(SAMPLE, CLIP) == pytest.approx(expected)
    assert sys.modules[judge].Fake.asked == 1
    other = Sample("b", FRAMES[0], "a blue star")  # another prompt: another question
    assert again.per_clip(other, CLIP)["judge.fake.fit"] == 11
    assert len(answers(run)) == 2


@pytest.mark.parametrize("content", ["", "{", "[1]", "{}", '{"judge": "fake"}', "[" * 100_000])
def test_a_damaged_answer_is_named(judge: str, tmp_path: Path, content: str) -> None:
    cache = FeatureCache(Files(tmp_path).frames)
    Evaluator([parse_metric(id) for id in IDS], cache=cache).per_clip(SAMPLE, CLIP)
    [file] = Files(tmp_path).answers.glob("*.json")
    file.write_text(content)
    with pytest.raises(EvalError, match=f"{file.name}: .*remove it"):
        answers(tmp_path)


def test_what_a_sample_lacks_is_not_made_up(judge: str) -> None:
    sample = Sample("a", FRAMES[0], "", unknown=("image", "prompt"))
    values = Evaluator([parse_metric(IDS[0])]).per_clip(sample, CLIP)
    assert values == {IDS[0]: pytest.approx(1.8)}


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("Silent", r"no score of 'quality'; the judge said: 'I would rather not say\.'"),
        ("Partial", r"no score of 'likeness'; the judge said: '\(1\) quality: 1\.8"),
        ("TooHigh", r"the score of 'quality' is 7\.0, not 1 to 5; the judge said"),
        ("NotFinite", r"the score of 'quality' is nan, not 1 to 5; the judge said"),
        ("Words", r"score\(\) gives str, not scores; the judge said"),
    ],
)
def test_an_unusable_answer_is_an_error_with_the_text_kept(
    judge: str, name: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("I2V_EVAL_JUDGE_FAKE", f"{judge}:{name}")
    evaluator = Evaluator([parse_metric(IDS[0])], cache=FeatureCache(Files(tmp_path).frames))
    with pytest.raises(EvalError, match=rf"sample 'a', encoder 'judge:fake': {fault}"):
        evaluator.per_clip(SAMPLE, CLIP)
    [kept] = answers(tmp_path)
    assert kept["fault"]
    assert kept["raw"]
    assert kept["scores"] == []


def test_a_judge_that_is_none_is_named(judge: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EvalError, match=r"no dimension 'qualty'.*Did you mean 'quality'"):
        parse_metric("judge.fake.qualty")
    with pytest.raises(WeightsMissingError, match="set I2V_EVAL_JUDGE_OTHER to module:Class"):
        parse_metric("judge.other.quality")
    for name, reason in (
        ("Unstated", "does not state 'deterministic'"),
        ("Undimensioned", "has no 'dimensions'"),
        ("Endless", "finite low < high"),
        ("Missing", "has no attribute 'Missing'"),
    ):
        monkeypatch.setenv("I2V_EVAL_JUDGE_FAKE", f"{judge}:{name}")
        with pytest.raises(EvalError, match=reason):
            parse_metric(IDS[0])


def test_judges_are_in_the_catalogue_with_a_fingerprint_of_their_own(
    judge: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [m.id for m in catalogue() if m.family.startswith("judge.")] == IDS
    first = encoder_fingerprint("judge:fake")
    sys.modules[judge].Fake.fingerprint = staticmethod(lambda: "fake 2")
    assert encoder_fingerprint("judge:fake") != first
    monkeypatch.setenv("I2V_EVAL_JUDGE_FAKE", f"{judge}:Dreamy")
    from eval.measure.catalogue import registered

    definition = registered(parse_metric(IDS[0])).definition
    assert definition.caution.endswith("Its answers differ from run to run.")
    assert definition.cannot_see.startswith("The input image and the prompt, which it is not shown")
    value = Evaluator([parse_metric(IDS[0])]).per_clip(SAMPLE, CLIP)
    assert value == {IDS[0]: 3}  # scores alone, without a text


def recipes() -> dict[str, Any]:
    """The judges of docs/judges.md."""
    page = (Path(__file__).parents[3] / "docs" / "judges.md").read_text(encoding="utf-8")
    [code] = [block for block in page.split("```") if block.startswith("python\nimport hashlib")]
    found: dict[str, Any] = {"__file__": "my_judges.py"}
    exec(code.removeprefix("python\n"), found)
    return found


def test_the_recipes_of_the_docs_read_answers_in_their_models_form() -> None:
    found = recipes()
    unified, videoscore = found["UnifiedReward"], found["VideoScore2"]
    text = "Alignment Score (1-5): 2.4036\nPhysics Score (1-5): 3.0987\nStyle Score (1-5): 3.3889\n"
    assert unified.read(text) == {"alignment": 2.4036, "physics": 3.0987, "style": 3.3889}
    assert unified.read(text.replace("Physics", "Physical")) == {
        "alignment": 2.4036,
        "style": 3.3889,
    }
    text = (
        "First (1) the picture is sharp.\n(1) visual quality: 4\n(2) text-to-video alignment: 3\n"
        "(3) physical/common-sense consistency: 4"
    )
    assert videoscore.read(text) == {"visual_quality": 4, "alignment": 3, "consistency": 4}
    assert videoscore.read("(1) visual quality: good") == {}
    assert unified.shown(24, 8.0) == [i * 24 // 16 for i in range(16)]
    assert videoscore.shown(16, 8.0) == [0, 4, 8, 12]
    assert max(videoscore.shown(5, 8.0)) < 5
    for judge in (unified, videoscore):
        assert set(judge.patterns) == set(judge.dimensions)
        assert all(dimension.needs_prompt for dimension in judge.dimensions.values())
