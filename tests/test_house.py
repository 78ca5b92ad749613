"""The rooms of the packages: which may import which. Imports inside functions count too; imports
for type checking alone do not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("i2v_adapter", "eval", "reports", "benchmarks")
ROOMS = (
    *(
        "errors",
        "device",
        "io",
        "clips",
        "metrics",
        "world",
        "samples",
        "encoders",
        "methods",
        "measure",
    ),
    *("plan", "store", "summary", "claims", "execute", "calibration", "world_training"),
    *("torchmetrics", "commands", "cli", "__main__"),
)
"""Of eval/, in the order in which data walks: a room imports from itself and those before it."""
TOP = {"__init__", "__main__", "cli", "device", "errors"}
"""Modules directly in eval/; a new module belongs in a room."""
WAITING: set[tuple[str, str]] = set()
"""Arrows that are still to be turned; remove a line when its arrow is gone."""

NAMED_FOR = {
    "eval/commands": "its command",
    "eval/world_training/stages": "its stage",
    "eval/world_training/gpu": "the file of eval/world_training that it takes the place of",
    "reports": "what its part of the page shows",
}
"""Folders whose files are named for something else, and may have the name of another file."""
NAMED_ALIKE = {
    "errors": "errors: the exceptions of a room, prediction errors",
    "finished": "finished clips: planned, made a method, scored",
    "first_frame": "frame 0: kept clean by pipelines, measured",
    "glyph_world": "the glyph world: its samples, its methods",
    "i2v_adapter": "the paper's pipeline, and the methods that run it",
    "images": "images: their reader, samples made of them",
    "loaders": "models: diffusers' for methods, encoders' by a class of the user's",
    "perceptual": "LPIPS: its network, its metric",
    "published": "what others have published: weights, sets of samples",
    "quality": "DOVER: its network, its metric",
    "reference": "reference clips: of a run, metrics against them",
    "vbench": "VBench: its samples, its metrics",
    "video": "videos: their reader, their encoder",
}
"""Names that several files share because their subject is the same."""


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def module_names(root: Path) -> dict[str, Path]:
    """Module name -> file, of all packages below ``root``."""
    files = [file for package in PACKAGES for file in (root / package).rglob("*.py")]
    names = {".".join(file.relative_to(root).with_suffix("").parts): file for file in files}
    return {name.removesuffix(".__init__"): file for name, file in names.items()}


def runtime_imports(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import statement that can run, wherever it stands."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for other in node.orelse:
                yield from runtime_imports(ast.Module([other], []))
        else:
            yield from runtime_imports(node)


def import_graph(root: Path) -> dict[str, set[str]]:
    """Module -> the modules of these packages that it imports, itself and the packages around it
    left out."""
    modules = module_names(root)
    graph: dict[str, set[str]] = {}
    for module, file in modules.items():
        wanted: set[str] = set()
        for node in runtime_imports(parsed(file)):
            if isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
                continue
            assert node.level == 0, f"{module}, line {node.lineno}: write the import in full"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                wanted.add(inner if inner in modules else str(node.module))
        graph[module] = {name for name in wanted if name in modules and name != module}
    return graph


def circles(graph: dict[str, set[str]]) -> list[str]:
    """One circle of files, if there is any."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def room(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "eval" and len(parts) > 1 else None


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    found = import_graph(ROOT)
    return {
        module: {target for target in targets if (module, target) not in WAITING}
        for module, targets in found.items()
    }


def test_no_circle_of_files(graph: dict[str, set[str]]) -> None:
    assert not circles(graph)


def test_the_system_knows_nothing_of_the_suite(graph: dict[str, set[str]]) -> None:
    assert not [
        (module, target)
        for module, targets in graph.items()
        for target in targets
        if module.startswith("i2v_adapter") and not target.startswith("i2v_adapter")
    ]


def test_metrics_are_arithmetic_without_encoders_or_models(graph: dict[str, set[str]]) -> None:
    heavy = {"torch", "torchvision", "transformers", "diffusers", "open_clip", "cv2"}
    for module, file in module_names(ROOT).items():
        if not module.startswith("eval.metrics"):
            continue
        assert graph[module] <= {
            target
            for target in graph
            if target == "eval.errors" or target.startswith(("eval.metrics", "eval.io"))
        }
        for node in ast.walk(parsed(file)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not heavy & {name.split(".")[0] for name in names}, module


def test_the_suite_knows_nothing_of_reports_benchmarks_or_tests(
    graph: dict[str, set[str]],
) -> None:
    for module, targets in graph.items():
        if module.startswith("eval"):
            assert not [t for t in targets if t.startswith(("reports", "benchmarks"))], module
    for module, file in module_names(ROOT).items():
        for node in runtime_imports(parsed(file)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] == "tests"], module
            if not module.startswith("benchmarks"):
                assert not [name for name in names if name.startswith("benchmarks")], module


@pytest.mark.parametrize(
    ("call", "homes"),
    [
        # The one reader; the suite's own files; videos written in memory.
        (
            "av.open",
            {"i2v_adapter.media.containers", "eval.clips.lossless", "eval.calibration.corruptions"},
        ),
        ("Image.open", {"i2v_adapter.media.images"}),
    ],
)
def test_media_are_opened_in_one_place(call: str, homes: set[str]) -> None:
    found = {
        module
        for module, file in module_names(ROOT).items()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == call
    }
    assert found == homes


def test_data_walks_one_way_through_the_rooms(graph: dict[str, set[str]]) -> None:
    for module, targets in graph.items():
        here = room(module)
        for target in targets if here else ():
            there = room(target)
            if there is not None:
                assert ROOMS.index(here) >= ROOMS.index(there), f"{module} -> {target}"  # type: ignore[arg-type]


def test_every_room_is_known_and_modules_lie_in_rooms() -> None:
    top = {path.stem for path in (ROOT / "eval").glob("*.py")}
    assert top <= TOP
    assert len(top) <= 8
    folders = {path.parent.name for path in (ROOT / "eval").glob("*/*.py")}
    assert folders <= set(ROOMS)


def test_files_of_one_name_have_one_subject() -> None:
    """A name says what a file does; two files of one name with different jobs mislead."""
    found: dict[str, list[str]] = {}
    for module, file in module_names(ROOT).items():
        folders = {each.as_posix() for each in file.relative_to(ROOT).parents}
        if file.stem not in ("__init__", "__main__") and not folders & NAMED_FOR.keys():
            found.setdefault(file.stem, []).append(module)
    doubles = {name: modules for name, modules in found.items() if len(modules) > 1}
    unknown = {name: modules for name, modules in doubles.items() if name not in NAMED_ALIKE}
    assert not unknown, "name a file for what it does"
    assert doubles.keys() == NAMED_ALIKE.keys(), "remove names that are no longer shared"


def test_files_that_the_pages_name_exist() -> None:
    """So the walk in CONTRIBUTING from a number to its formula stays true when files move."""
    named = re.compile(r"`((?:i2v_adapter|eval|reports|benchmarks|tests|docs)/[\w./-]*)`")
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for path in named.findall(page.read_text(encoding="utf-8")):
            assert (ROOT / path).exists(), f"{page.name} names {path}"


def test_every_import_names_what_exists() -> None:
    """mypy follows no missing import here, and an import inside a function runs late."""
    modules = set(module_names(ROOT))
    for file in [*module_names(ROOT).values(), *(ROOT / "tests").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            ours = {name for name in names if name.split(".")[0] in PACKAGES}
            assert ours <= modules, f"{file.relative_to(ROOT)}, line {node.lineno}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import eval.b", {"eval.b"}),
        ("from eval import b", {"eval.b"}),
        ("from eval.b import name", {"eval.b"}),
        ("def f():\n    from eval.b import name", {"eval.b"}),
        ("if TYPE_CHECKING:\n    from eval.b import name", set()),
        ("if TYPE_CHECKING:\n    pass\nelse:\n    import eval.b", {"eval.b"}),
        ("import json", set()),
    ],
)
def test_how_imports_are_found(tmp_path: Path, text: str, expected: set[str]) -> None:
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval" / "__init__.py").touch()
    (tmp_path / "eval" / "a.py").write_text(text)
    (tmp_path / "eval" / "b.py").write_text("import eval.a")
    graph = import_graph(tmp_path)
    assert graph["eval.a"] == expected
    assert bool(circles(graph)) == bool(expected)
