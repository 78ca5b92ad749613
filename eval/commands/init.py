"""``i2v-eval init``: a commented suite for clips, a base, a pipeline or a method of one's
own.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from eval.commands import suite_texts as texts
from eval.commands.options import ShowTraceback
from eval.io.console import say

_WANTED = (("identity", "dino_vits16"), ("text", "clip_vitb32_openai"), ("motion", "raft_large"))
_WITHOUT = (("motion", "flow_dis"), ("flicker", "pixels"))
"""Family and encoder of what a suite measures, and of what needs no weights."""


def init(
    file: Annotated[Path, typer.Argument(help="Where to.")] = Path("my-suite.yaml"),
    clips: Annotated[
        Path | None, typer.Option(help="Folder of finished clips: a manifest for `i2v-eval clips`.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="SD 1.5 or SDXL model: folder, file or id in the cache.")
    ] = None,
    adapter: Annotated[str | None, typer.Option(help="With --base: the I2V adapter.")] = None,
    motion: Annotated[str | None, typer.Option(help="With --base: the motion adapter.")] = None,
    content: Annotated[
        str | None, typer.Option(help="With --base: the content adapter (IP-Adapter).")
    ] = None,
    pipeline: Annotated[
        str | None, typer.Option(help="A pipeline of diffusers, with --model.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="With --pipeline: folder or id.")] = None,
    method: Annotated[str | None, typer.Option(help="Your method, as module:Class.")] = None,
    samples: Annotated[
        str | None, typer.Option(help="Your images: a folder, or a manifest (.csv, .jsonl).")
    ] = None,
    prompts: Annotated[
        str | None,
        typer.Option(help="With a folder of images: their prompts, .csv, .jsonl or .txt."),
    ] = None,
    debug: ShowTraceback = False,
) -> None:
    """Write a commented suite: for a base (--base), a diffusers pipeline (--pipeline, --model), a
    method of one's own (--method), or the glyph world; or a manifest of finished clips (--clips). A
    file that is there is left alone.
    """
    from eval.errors import EvalError
    from eval.io.documents import write_text
    from eval.io.files import write_errors

    kinds = (("--clips", clips), ("--base", base), ("--pipeline", pipeline), ("--method", method))
    chosen = [name for name, value in kinds if value is not None]
    if len(chosen) > 1:
        raise EvalError(f"{' and '.join(chosen)}: give one of them")
    if (pipeline is None) != (model is None):
        raise EvalError("--pipeline NAME and --model FOLDER_OR_ID go together: give both")
    if base is None and (adapter or motion or content):
        raise EvalError("--adapter, --motion and --content go with --base: give it")
    if prompts is not None and not (samples is not None and Path(samples).is_dir()):
        raise EvalError("--prompts goes with --samples FOLDER, a folder of images")
    if clips is not None:
        file = file.with_suffix(".csv") if file == Path("my-suite.yaml") else file
    if file.exists():
        raise EvalError(f"{file}: there already; give another name, or remove it")
    if clips is not None:
        count = _write_manifest(file, clips)
        say(
            f"{file}: {count} clips; fill in the prompts, then: "
            f"{shlex.join(['i2v-eval', 'clips', str(clips), '--samples', str(file)])} "
            f"--out {shlex.quote(f'runs/{file.stem}')}"
        )
        return
    folder, first = file.absolute().parent, ""
    with write_errors(file):
        folder.mkdir(parents=True, exist_ok=True)  # paths are looked up from there
    if base is not None:
        parts = {"motion_adapter": motion, "i2v_adapter": adapter, "content_adapter": content}
        parts = {key: value and _from(folder, value) for key, value in parts.items()}
        body, first = _base_text(_from(folder, base), parts, folder)
    elif pipeline is not None:
        body = _pipeline_text(pipeline, _from(folder, str(model)))
        first = _pipeline_fault(folder, pipeline, str(model))
    elif method is not None:
        body, first = texts.METHOD.format(method=_quoted(method)), _method_fault(folder, method)
    else:
        body = texts.WORLD.format()
    head = _head(file, _samples_text(folder, samples, prompts), batch=1 if base or pipeline else 8)
    metrics, lacking = _metrics()
    write_text(file, head + body + metrics)
    if samples is not None and not (folder / _from(folder, samples)).exists():
        first = first or f"write {samples}"
    if lacking and samples is not None:
        say(lacking, err=True)
    said = f"first: {first}; then" if first else "now"
    say(f"{file}: {said}: i2v-eval run {_shell(file)} --dry-run")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _shell(file: Path) -> str:
    return shlex.quote(str(file))


def _from(folder: Path, source: str) -> str:
    """A path as the suite's folder sees it, where it names something here; else as given."""
    path = Path(source).expanduser()
    if path.is_absolute() or not path.exists():
        return source
    return Path(os.path.relpath(path, folder)).as_posix()


def _head(file: Path, samples: str, *, batch: int) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem).strip("._-") or "my-suite"
    return texts.HEAD.format(file=_shell(file), name=name, samples=samples, batch=batch)


def _samples_text(folder: Path, samples: str | None, prompts: str | None) -> str:
    if samples is None:
        return texts.GLYPHS.format()
    source = _from(folder, samples)
    if not (folder / source).is_dir():
        return texts.SAMPLES.format(samples=_quoted(source))
    table = "" if prompts is None else f", prompts: {_quoted(_from(folder, prompts))}"
    return texts.IMAGES.format(folder=_quoted(source), prompts=table)


def _base_text(model: str, parts: Mapping[str, str | None], folder: Path) -> tuple[str, str]:
    """The suite's text, and what it still lacks; "" if nothing."""
    from eval.errors import EvalError
    from eval.methods.base import Base, read_base
    from eval.methods.base_checks import check_parts
    from eval.methods.base_parts import Recipe, native_side

    notes = {
        "motion_adapter": "unless the model has motion modules",
        "i2v_adapter": "for i2v-adapter; any of its three layouts",
        "content_adapter": "for i2v-adapter and content-adapter",
    }
    lines = "".join(
        f"  # {key}: ...   {note}\n"
        if parts[key] is None
        else f"  {key}: {_quoted(str(parts[key]))}\n"
        for key, note in notes.items()
    )
    document = {"model": model} | {key: value for key, value in parts.items() if value is not None}
    adapter, content = parts["i2v_adapter"] is not None, parts["content_adapter"] is not None
    side, first = 512, ""
    try:
        base = read_base(document, folder, "base")
        assert isinstance(base, Base)
        recipe = Recipe.of(base, adapter=adapter, content=content)
        side = native_side(recipe)
        check_parts(recipe)
    except EvalError as error:
        first = str(error)
    method = "i2v-adapter" if content else "i2v-adapter-alone"
    method = method if adapter else "image-prior"
    text = texts.BASE.format(model=_quoted(model), parts=lines, method=method, side=side)
    return text, first


def _pipeline_text(pipeline: str, model: str) -> str:
    from eval.methods.conventions import CONVENTIONS

    known = CONVENTIONS.get(pipeline)
    usual = texts.UNUSUAL if known is None else texts.USUAL.format(**known.usual._asdict())
    frames, fps = (16, 8) if known is None else (known.usual.frames, known.usual.fps)
    return texts.PIPELINE.format(
        pipeline=_quoted(pipeline), model=_quoted(model), usual=usual, frames=frames, fps=fps
    )


def _pipeline_fault(folder: Path, pipeline: str, model: str) -> str:
    """Why the model cannot be found; "" if it is here.

    Raises:
        EvalError: diffusers has no pipeline of this name.
    """
    from eval.errors import EvalError, nearest
    from eval.methods.conventions import CONVENTIONS
    from eval.methods.model_files import find_folder

    if pipeline not in CONVENTIONS:  # importing diffusers takes seconds
        import diffusers

        choices = [name for name in dir(diffusers) if name.endswith("Pipeline")]
        if pipeline not in choices:
            raise EvalError(
                f"--pipeline {pipeline}: diffusers {diffusers.__version__} has no such pipeline."
                f"{nearest(pipeline, choices)}"
            )
    try:
        find_folder("--model", model, "model_index.json", folder)
    except EvalError as error:
        return str(error)
    return ""


def _method_fault(folder: Path, method: str) -> str:
    """What is missing of a method's module; "" if it is there. Nothing of it is run."""
    from importlib.util import find_spec

    from eval.errors import EvalError
    from eval.io.registry import add_folder, is_reference

    if not is_reference(method):
        raise EvalError(f"--method {method}: write module:Class, such as my_model:MyModel")
    module, _, name = method.partition(":")
    add_folder(folder)
    try:
        found = find_spec(module)
    except (ImportError, ValueError):
        found = None
    return "" if found else f"write {module.replace('.', '/')}.py with the class {name} here"


def _metrics() -> tuple[str, str]:
    """What needs no weights, and the smallest set for photographs, commented out where its weights
    are missing; and a line on what is not measured so, "" if nothing.
    """
    from eval.encoders import encoder_entry, weights
    from eval.encoders.published import how_to_get
    from eval.errors import WeightsMissingError
    from eval.measure.catalogue import catalogue

    ids = {(metric.family, metric.encoder): metric.id for metric in catalogue()}
    lines = [f"  - {ids[wanted]}\n" for wanted in _WITHOUT]
    missing: list[str] = []
    for wanted in reversed(_WANTED):
        source = encoder_entry(wanted[1]).source
        assert source is not None
        try:
            weights.find(wanted[1], source)
            lines.insert(0, f"  - {ids[wanted]}\n")
        except WeightsMissingError:
            missing.insert(0, wanted[1])
            lines.insert(0, f"  # - {ids[wanted]}\n")
    if not missing:
        return texts.METRICS.format(note="", metrics="".join(lines)), ""
    note = f"# {how_to_get(missing)} gets those of the lines that are commented out.\n"
    known = {family for family, _ in _WITHOUT}
    named = ", ".join(
        f"{family} by {encoder}" if family in known else family
        for family, encoder in _WANTED
        if encoder in missing
    )
    lacking = f"not measured yet: {named}; {how_to_get(missing)}, then uncomment its lines"
    return texts.METRICS.format(note=note, metrics="".join(lines)), lacking


def _write_manifest(file: Path, clips: Path) -> int:
    """A row for each clip in the folder, and in folders within it, which are methods."""
    from eval.errors import EvalError
    from eval.io.documents import write_csv
    from eval.samples.clip_manifest import folder_entries

    if not clips.is_dir():
        raise EvalError(f"--clips {clips}: no such folder")
    entries, _, _, _ = folder_entries(clips)
    if not entries:
        raise EvalError(f"--clips {clips}: it holds no clip")
    rows = [
        (entry.id, entry.clip.relative_to(clips).as_posix(), "", "", entry.method, entry.seed)
        for entry in entries
    ]
    write_csv(file, ("id", "clip", "image", "prompt", "method", "seed"), rows)
    return len(rows)
