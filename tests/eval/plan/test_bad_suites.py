"""Suite files that cannot be run are refused in one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Content = dict[str, Any]
Refuse = Callable[..., None]


SUITES: dict[str, tuple[tuple[Any, ...], Any, list[str]]] = {
    "unknown key": (
        ("metric",),
        [],
        ["suite.yaml: metric: unknown key 'metric'", "Did you mean 'metrics'?"],
    ),
    "unknown key of a method": (
        ("methods", 0, "sweeps"),
        {},
        [
            "methods[0].sweeps: unknown key 'sweeps'",
            "Allowed: method, label, settings, sweep, groups, limit, base.",
        ],
    ),
    "unknown method": (
        ("methods", 1, "method"),
        "still-imag",
        ["methods[1].method: unknown method 'still-imag'", "Did you mean 'still-image'?"],
    ),
    "unknown module": (
        ("methods", 1, "method"),
        "no_such:Class",
        ["methods[1].method: method 'no_such:Class'", "no module"],
    ),
    "unknown class": (
        ("methods", 1, "method"),
        "toy_method:Toi",
        ["'toy_method' has no 'Toi'", "Did you mean 'Toy'?"],
    ),
    "not a method": (
        ("methods", 1, "method"),
        "toy_method:Clip",
        ["toy_method:Clip", "it has no 'Settings'"],
    ),
    "unknown setting": (
        ("methods", 0, "settings"),
        {"t": 1},
        ["methods[0] (toy).t: unknown key 't'", "Allowed: t0, p, fail_on."],
    ),
    "a boolean as a seed": (
        ("seeds",),
        [0, True],
        ["suite.yaml: seeds[1]: true is not allowed: a number is needed (YAML reads yes"],
    ),
    "a boolean as a size": (
        ("batch_size",),
        True,
        ["suite.yaml: batch_size: true is not allowed: a number is needed"],
    ),
    "a swept boolean": (
        ("methods", 0, "sweep", "t0"),
        [0.5, True],
        ["methods[0] (toy).t0: true is not allowed: a number is needed"],
    ),
    "seeds that are no list": (
        ("seeds",),
        "0,1",
        ["seeds: '0,1' is not allowed", "valid list, such as [0, 1]"],
    ),
    "a setting left empty": (
        ("methods", 1),
        {"method": "text-to-video", "settings": {"steps": None}},
        ["(text-to-video).steps: null is not allowed", "leave the key out for its default"],
    ),
    "a factor on a LoRA that is not used": (
        ("methods", 1),
        {"method": "text-to-video", "settings": {"lora_scale": 0.5}},
        ["(text-to-video).lora_scale: 0.5 changes nothing: this method uses no lora; set lora, "],
    ),
    "t0 too large": (
        ("methods", 0, "sweep", "t0"),
        [1.5],
        ["methods[0] (toy).t0: 1.5 is not allowed", "less than or equal to 1"],
    ),
    "t0 zero": (
        ("methods", 0, "sweep", "t0"),
        [0.5, 0],
        ["(toy).t0: 0 is not allowed", "greater than 0"],
    ),
    "p negative": (
        ("methods", 0, "sweep", "p"),
        [-0.1],
        ["(toy).p: -0.1 is not allowed", "greater than or equal to 0"],
    ),
    "p no number": (
        ("methods", 0, "sweep", "p"),
        ["half"],
        ["(toy).p: 'half' is not allowed", "valid number"],
    ),
    "empty sweep": (
        ("methods", 0, "sweep", "p"),
        [],
        ["methods[0].sweep.p: [] is not allowed", "at least 1 item"],
    ),
    "set twice": (
        ("methods", 0, "settings"),
        {"p": 1},
        ["methods[0]", "'p' is in settings and in sweep"],
    ),
    "duplicate cell": (
        ("methods", 2),
        {"method": "still-image"},
        ["methods[2]: cell 'still-image' is in methods[1] already"],
    ),
    "duplicate in sweep": (
        ("methods", 0, "sweep", "p"),
        [0.5, 0.5],
        ["methods[0]: cell 'toy[t0=0.5,p=0.5]'", "already"],
    ),
    "no methods": (("methods",), [], ["suite.yaml: methods: [] is not allowed"]),
    "unknown metric": (
        ("metrics", 1),
        "moton.flow_dis.v1",
        ["metrics[1]", "'moton.flow_dis.v1'", "unknown family 'moton'", "Did you mean 'motion'?"],
    ),
    "unknown encoder": (
        ("metrics", 0),
        "identity.dino_glyf.v1",
        ["metrics[0]", "Did you mean 'dino_glyph'?"],
    ),
    "metric twice": (
        ("metrics", 0),
        "motion.flow_dis.v1",
        ["suite.yaml: metrics", "'motion.flow_dis.v1' is listed twice"],
    ),
    "unknown source": (
        ("samples", "source"),
        "manifst",
        ["samples.source", "'manifst'", "Did you mean 'manifest'?"],
    ),
    "no source": (
        ("samples",),
        {"path": "samples.csv"},
        ["samples.source", "Allowed: aigcbench, glyph-world, images, manifest"],
    ),
    "unknown sample key": (
        ("samples", "file"),
        "x",
        ["samples.file: unknown key 'file'", "Allowed: path, strict, root, fps, hdr."],
    ),
    "no manifest": (
        ("samples", "path"),
        "none.csv",
        ["samples: path: '", "none.csv' not found; give a .csv or .jsonl"],
    ),
    "unknown reference": (
        ("reference",),
        "toy[t0=1,p=0.5]",
        ["reference: no cell 'toy[t0=1,p=0.5]'", "Did you mean 'toy[t0=1.0,p=0.5]'?"],
    ),
    "batch size": (
        ("batch_size",),
        0,
        ["suite.yaml: batch_size: 0 is not allowed", "greater than or equal to 1"],
    ),
    "seed twice": (("seeds",), [1, 1], ["suite.yaml: seeds", "'1' is listed twice"]),
    "name with a slash": (("name",), "a/b", ["suite.yaml: name: 'a/b' is not allowed"]),
    "name no text": (("name",), 5, ["suite.yaml: name: 5 is not allowed", "valid string"]),
    "name empty": (("name",), "", ["suite.yaml: name: '' is not allowed"]),
    "name of dots": (("name",), "..", ["suite.yaml: name: '..' is not allowed"]),
    "name with a line break": (("name",), "a\nb", ["suite.yaml: name: 'a\\nb' is not allowed"]),
    "name too long": (("name",), "n" * 101, ["suite.yaml: name: ", "at most 100 characters"]),
    "samples a list": (
        ("samples",),
        ["samples.csv"],
        ["suite.yaml: samples: ", "valid dictionary"],
    ),
    "metrics a text": (("metrics",), "motion.flow_dis.v1", ["suite.yaml: metrics: ", "valid list"]),
    "no metrics": (("metrics",), [], ["suite.yaml: metrics: [] is not allowed"]),
    "metric of two parts": (
        ("metrics", 0),
        "motion.v1",
        ["metrics[0]", "expected <family>.<encoder>.<version>"],
    ),
    "metric of another version": (
        ("metrics", 0),
        "motion.flow_dis.v9",
        ["unknown version 'v9'", "allowed: v1"],
    ),
    "encoder of another kind": (
        ("metrics", 0),
        "motion.dino_glyph.v1",
        ["'dino_glyph' is of kind 'image', not 'flow'"],
    ),
    "methods a mapping": (
        ("methods",),
        {"method": "still-image"},
        ["suite.yaml: methods: ", "valid list"],
    ),
    "method a number": (
        ("methods", 1, "method"),
        7,
        ["methods[1].method: 7 is not allowed", "valid string"],
    ),
    "method without a class": (
        ("methods", 1, "method"),
        "toy_method:",
        ["'toy_method:' is not of the form module:Class"],
    ),
    "method by path": (
        ("methods", 1, "method"),
        "../toy:Toy",
        ["'../toy:Toy' is not of the form module:Class"],
    ),
    "method that is a function": (
        ("methods", 1, "method"),
        "os:system",
        ["method 'os:system': it has no 'Settings'"],
    ),
    "method whose module breaks": (
        ("methods", 1, "method"),
        "broken_method:M",
        ["method 'broken_method:M'", "importing it fails with ZeroDivisionError: division by zero"],
    ),
    "method without fingerprint": (
        ("methods", 1),
        {"method": "nameless_method:Nameless", "label": "n"},
        ["suite.yaml: cell n: its fingerprint fails with OSError: no weights"],
    ),
    "label with brackets": (
        ("methods", 0, "label"),
        "a[b]",
        ["methods[0].label: 'a[b]' is not allowed"],
    ),
    "escape codes": (("methods", 0, "\x1b[31mred"), 1, ["unknown key '?[31mred'"]),
    "t0 not a number": (
        ("methods", 0, "sweep", "t0"),
        [float("nan")],
        ["methods[0].sweep.t0[0]: nan is not allowed"],
    ),
    "t0 infinite": (
        ("methods", 0, "sweep", "t0"),
        [float("inf")],
        ["methods[0].sweep.t0[0]: inf is not allowed"],
    ),
    "sweep of mappings": (
        ("methods", 0, "sweep", "t0"),
        [{"a": 1}],
        ["methods[0].sweep.t0[0]", "{'a': 1} is not allowed"],
    ),
    "sweep no list": (
        ("methods", 0, "sweep", "t0"),
        0.5,
        ["methods[0].sweep.t0: 0.5 is not allowed", "valid list"],
    ),
    "batch size no number": (
        ("batch_size",),
        "many",
        ["suite.yaml: batch_size: 'many' is not allowed"],
    ),
    "batch size huge": (
        ("batch_size",),
        10**9,
        ["suite.yaml: batch_size: 1000000000 is not allowed"],
    ),
    "seed negative": (("seeds",), [-1], ["suite.yaml: seeds[0]: -1 is not allowed"]),
    "seed too large": (
        ("seeds",),
        [2**63],
        ["suite.yaml: seeds[0]: 9223372036854775808 is not allowed"],
    ),
    "seed a fraction": (("seeds",), [0.5], ["suite.yaml: seeds[0]: 0.5 is not allowed"]),
    "no seeds": (("seeds",), [], ["suite.yaml: seeds: [] is not allowed"]),
    "reference a list": (
        ("reference",),
        ["toy"],
        ["suite.yaml: reference: ['toy'] is not allowed"],
    ),
    "a very long value": (
        ("name",),
        "x/" * 10**5,
        ["suite.yaml: name: 'x/x/", "... is not allowed"],
    ),
    "a very long key": (
        ("k" * 10**5,),
        1,
        ["suite.yaml: kkk", "unknown key 'kkk", "...'. Allowed: name"],
    ),
    "manifest of an impossible name": (
        ("samples", "path"),
        "a" * 3000,
        ["path: '", "aaa...aaa", "not found; give a"],
    ),
    "manifest a folder": (
        ("samples", "path"),
        ".",
        ["path: '", "not found; give a .csv or .jsonl"],
    ),
    "manifest of another type": (
        ("samples", "path"),
        "broken.png",
        ["unknown manifest type '.png'", "Allowed: .csv, .jsonl"],
    ),
}


@pytest.mark.parametrize("case", SUITES)
def test_bad_suite(case: str, refuse: Refuse, write_suite: Any, suite_content: Content) -> None:
    path, value, expected = SUITES[case]
    place: Any = suite_content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    write_suite(suite_content)
    refuse(expected)


FILES: dict[str, tuple[bytes, list[str]]] = {
    "open bracket": (b"a: [1", ["suite.yaml", "not valid YAML"]),
    "nothing": (b"", ["suite.yaml: a suite is a mapping with the keys name, samples", "nothing"]),
    "a list": (b"- 1", ["suite.yaml: a suite is a mapping", "a list"]),
    "a key twice": (
        b"name: a\nname: b\n",
        ["suite.yaml:2: not valid YAML", "key 'name' is written twice"],
    ),
    "almost nothing": (b"name: a\n", ["suite.yaml: samples: the key is missing"]),
    "no text": (b"\x89PNG\r\n", ["suite.yaml: the suite file is not UTF-8 text"]),
    "control characters": (b"name: a\x00b", ["suite.yaml: not valid YAML"]),
    "tabs": (
        b"samples:\n\tsource: manifest\n",
        ["suite.yaml:2: not valid YAML", "cannot start any token"],
    ),
    "two documents": (
        b"name: a\n---\nname: b\n",
        ["suite.yaml:2: not valid YAML", "but found another document"],
    ),
    "an object": (
        b"name: !!python/object/apply:os.system [ls]",
        ["suite.yaml:1: not valid YAML", "constructor for the tag"],
    ),
    "a list as a key": (b"? [a]\n: b\n", ["suite.yaml:1: not valid YAML", "unhashable key"]),
    "an alias to nowhere": (b"name: *gone\n", ["suite.yaml:1: not valid YAML", "undefined alias"]),
    "an alias to itself": (
        b"name: &a [*a]\n",
        ["suite.yaml:1: not valid YAML", "an alias that holds itself"],
    ),
    "a bomb of aliases": (
        b"a0: &a0 [x, x]\n"
        + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (i, i, i - 1, i - 1) for i in range(1, 40)),
        ["suite.yaml:", "not valid YAML", "aliases make more than 100000 values of it"],
    ),
    "nested without end": (
        b"name: " + b"[" * 1000,
        ["suite.yaml: not valid YAML (nested too deeply)"],
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_bad_file(case: str, refuse: Refuse, toy_folder: Path) -> None:
    text, expected = FILES[case]
    (toy_folder / "suite.yaml").write_bytes(text)
    refuse(expected)
