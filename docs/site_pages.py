"""Pages that MkDocs makes from the code: the metrics catalogue, the suite's keys, exit codes and
errors. A hook of mkdocs.yml; nothing here is written into the tree.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from metric_pages import family_pages, metrics_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from eval import errors
from eval.commands.gate import REGRESSION
from eval.errors import SOME_FAILED, EvalError
from eval.methods.base import Base
from eval.plan.suite import MethodEntry, Suite
from eval.summary.gate import NothingMeasuredError


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages to those of the folder."""
    pages = {
        "reference/metrics.md": metrics_page(),
        "reference/suite.md": suite_page(),
        "reference/exit-codes.md": exit_codes_page(),
        "reference/errors.md": errors_page(),
        **{f"reference/metrics/{family}.md": page for family, page in family_pages()},
    }
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def suite_page() -> str:
    """The keys of a suite file and of a base, from the models that validate them."""
    lines = ["# The suite file", "", inspect.cleandoc(Suite.__doc__ or ""), ""]
    for model in (Suite, MethodEntry, Base):
        lines += [f"## {model.__name__}", ""]
        if model is Base:
            lines += [_summary(model), ""]
        lines += ["| key | kind | default |", "|---|---|---|"]
        required, fields = set(), model.model_json_schema()["properties"]
        required = set(model.model_json_schema().get("required", ()))
        for key, field in fields.items():
            default = "required" if key in required else f"`{field.get('default')}`"
            lines.append(f"| `{key}` | {_kind(field)} | {default} |")
        lines.append("")
    return "\n".join(lines)


def exit_codes_page() -> str:
    """What each exit code of `i2v-eval` means."""
    rows = {
        0: "Everything asked for was done; of `gate`: every value lies within its tolerance.",
        REGRESSION: "`gate`: a value moved, or is missing. Other commands: the command was cut "
        "short, by a clip that fails under `--debug`, by an output that cannot be written, or by "
        "code that tries to end the process. What was stored stays.",
        EvalError.exit_code: "Nothing was done: a usage error. The message says what to change.",
        SOME_FAILED: "Some clips failed, the rest was made and measured; failures.csv says why.",
        NothingMeasuredError.exit_code: "`gate`: the run holds no value that the baseline holds.",
        130: "Stopped by Ctrl-C; the same command goes on from there.",
        143: "Stopped by SIGTERM; the same command goes on from there.",
    }
    lines = ["# Exit codes", "", "| code | meaning |", "|---|---|"]
    return "\n".join([*lines, *(f"| {code} | {text} |" for code, text in rows.items())]) + "\n"


def errors_page() -> str:
    """The tree of errors that the suite raises on purpose."""
    lines = [
        "# Errors",
        "",
        "Every error that a user can do something about is an `EvalError`.",
        "",
    ]
    lines += list(_tree(EvalError, 0))
    lines += [
        "",
        "```python",
        "from eval.errors import EvalError",
        "```",
        "",
        f"::: {errors.__name__}",
    ]
    return "\n".join(lines) + "\n"


def _tree(kind: type[EvalError], depth: int) -> Iterator[str]:
    yield f"{'    ' * depth}- `{kind.__name__}` (exit code {kind.exit_code}): {_summary(kind)}"
    for child in kind.__subclasses__():
        yield from _tree(child, depth + 1)


def _summary(kind: type) -> str:
    return " ".join(inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].split())


def _kind(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_kind(each) for each in field["anyOf"])
    if "$ref" in field:
        return field["$ref"].rpartition("/")[2]
    if field.get("type") == "array":
        return f"list of {_kind(field['items'])}"
    return str(field.get("type", "anything"))
