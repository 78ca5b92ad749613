"""Whatever a suite file or a manifest holds, it is a plan or one line that can be printed.
TORTURE_KILLS: many more.
"""

import copy
import json
import os
import time
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eval.errors import EvalError, one_line
from eval.plan.planning import make_plan

EXAMPLES = 25 * int(os.environ.get("TORTURE_KILLS", "3"))
patient = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        [
            "../x",
            "~",
            "a" * 3000,
            "<script>",
            "\x1b[31m",
            "\ud800",
            "still-image",
            "os:system",
            ".:.",
        ]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | SCALARS, inner, max_size=3)
    ),
)
BROKEN = st.sampled_from(
    [*"[]{}&*!|>%@`'\"\t\x00:,?-#\n", "<<: *a", "!!python/name:os.system", "---", "&a [*a]"]
)


def is_a_plan_or_one_line(path: Path) -> bool:
    """Whether a suite gives a plan or is refused in one line that names it, within 10 s of
    processor time. Other exceptions pass, and fail the test.
    """
    start = time.process_time()
    try:
        plan = make_plan(path)
        sound = bool(plan.cells and plan.samples)
    except EvalError as error:
        line = one_line(str(error))
        sound = line.isprintable() and 0 < len(line) < 2000 and path.name in line
    return sound and time.process_time() - start < 10


def places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of every value in a document."""
    keys = (
        value.keys()
        if isinstance(value, dict)
        else range(len(value))
        if isinstance(value, list)
        else ()
    )
    return [found for key in list(keys) for found in ((value, key), *places(value[key]))]


@given(data=st.data())
@patient
def test_any_value_anywhere_in_a_suite(
    data: st.DataObject, toy_folder: Path, suite_content: dict[str, Any]
) -> None:
    document = copy.deepcopy(suite_content)
    container, key = data.draw(st.sampled_from(places(document)))
    container[key] = data.draw(VALUES)
    if isinstance(container, dict) and data.draw(st.booleans()):
        container[data.draw(SCALARS)] = data.draw(VALUES)
    path = toy_folder / "suite.yaml"
    path.write_bytes(yaml.safe_dump(document, allow_unicode=True).encode("utf-8", "surrogatepass"))
    assert is_a_plan_or_one_line(path)


@given(data=st.data())
@patient
def test_any_damage_to_the_text_of_a_suite(
    data: st.DataObject, toy_folder: Path, suite_content: dict[str, Any]
) -> None:
    text = yaml.safe_dump(suite_content)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 20)))
        text = text[:start] + data.draw(BROKEN | st.text(max_size=4)) + text[end:]
    path = toy_folder / "suite.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert is_a_plan_or_one_line(path)


CELLS = st.one_of(
    SCALARS.map(str),
    st.sampled_from(["0.png", "0.mkv", "suite.yaml", "/etc/passwd", "a,b", '"', "\r\n"]),
)


@given(
    rows=st.lists(st.lists(CELLS, min_size=2, max_size=4), max_size=4),
    kind=st.sampled_from(["csv", "jsonl"]),
)
@patient
def test_any_manifest(
    rows: list[list[str]],
    kind: str,
    toy_folder: Path,
    suite_content: dict[str, Any],
    write_suite: Any,
) -> None:
    header = ["id", "image", "prompt", "clip"]
    text = "\n".join(",".join(row) for row in [header, *rows])
    if kind == "jsonl":
        text = "\n".join(json.dumps(dict(zip(header, row, strict=False))) for row in rows)
    (toy_folder / f"fuzz.{kind}").write_bytes(text.encode("utf-8", "surrogatepass"))
    suite_content["samples"]["path"] = f"fuzz.{kind}"
    suite_content |= {"methods": [{"method": "toy_method:Toy", "label": "toy"}], "reference": None}
    assert is_a_plan_or_one_line(write_suite(suite_content | {"metrics": ["motion.flow_dis.v1"]}))
