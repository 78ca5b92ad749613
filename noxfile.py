"""Everything this project does, as nox sessions on the uv backend: `nox -s eval` is the main
one."""

import os
import sys
import time
from pathlib import Path

import nox

nox.needs_version = ">=2024.4"
nox.options.default_venv_backend = "uv|virtualenv"  # the latter under pipx
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "tests"]
nox.options.error_on_external_run = True

CONSTRAINTS = "constraints.txt"
BASELINE = "eval/suites/gate-baseline.json"
SOME_FAILED = 3
"""Exit code of `i2v-eval run` when some clips failed and the rest went on."""


def install(session: nox.Session, *groups: str) -> None:
    """The project, editable, with the exact versions of constraints.txt."""
    arguments = [argument for group in groups for argument in ("--group", group)]
    session.install("-e", ".", *arguments, "-c", CONSTRAINTS)


@nox.session
def eval(session: nox.Session) -> None:
    """Run a suite (first-light) into runs/<suite>/ and write its report. Posargs: the suite, then
    options of `run`.
    """
    install(session)
    suite, *options = session.posargs or ["first-light"]
    folder = Path("runs") / Path(suite).stem
    # Where clips failed (3) the report says so; what is known of the others is written all the
    # same.
    session.run(
        "i2v-eval",
        "run",
        suite,
        "--out",
        str(folder),
        *options,
        success_codes=[0, SOME_FAILED],
    )
    if "--dry-run" in options:
        return
    session.run("i2v-eval", "report", str(folder))
    failures = folder / "failures.csv"
    if failures.is_file() and failures.read_text().count("\n") > 1:  # no file: --install-only
        session.warn(f"some clips failed: {failures}")
        sys.exit(SOME_FAILED)  # nox itself knows 1 alone


@nox.session
def report(session: nox.Session) -> None:
    """Write the report of a run folder again. Posargs: the folder (default: runs/first-light)."""
    install(session)
    session.run("i2v-eval", "report", *(session.posargs or ["runs/first-light"]))


@nox.session
def gate(session: nox.Session) -> None:
    """Measure the gate's suite and hold it against its baseline. Posargs go to `gate`: --update
    "new weights".
    """
    install(session)
    session.run("i2v-eval", "run", "gate", "--out", "runs/gate")
    session.run("i2v-eval", "gate", "runs/gate", "--baseline", BASELINE, *session.posargs)


@nox.session
def calibrate(session: nox.Session) -> None:
    """Put metrics to corruptions of known strength: runs/calibration/calibration.html. Posargs go
    to the command.
    """
    install(session)
    folder = "runs/calibration"
    session.run("i2v-eval", "calibrate", "--out", folder, *session.posargs)
    session.run("i2v-eval", "report", folder)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, a process a core. Posargs go to pytest: `-n 0` runs them in one process."""
    install(session, "tests")
    # One thread a process: the processes share the cores.
    session.run(
        "python", "-m", "pytest", "-n", "auto", *session.posargs, env={"OMP_NUM_THREADS": "1"}
    )


LOWEST = [
    "tests/eval/encoders",
    "tests/eval/metrics",
    "tests/eval/torchmetrics",
    "tests/eval/clips",
    "tests/eval/world/test_weights.py",
    "tests/eval/commands/test_cli.py",
    "tests/i2v_adapter/test_attention.py",
    "tests/i2v_adapter/test_checkpoints.py",
]
"""What `lowest` runs: every encoder and formula, media, the shipped weights, runs from the command
line, the adapter on a UNet. Under ten minutes on two cores."""


@nox.session
def lowest(session: nox.Session) -> None:
    """Run a short suite of tests with the lowest versions that pyproject.toml admits. Posargs go to
    pytest.
    """
    session.install("-e", ".", "--group", "tests", "--resolution", "lowest-direct")
    session.run("python", "-m", "pytest", *(session.posargs or LOWEST))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation strictly into site/, run the examples of docstrings and the
    notebooks. Posargs go to mkdocs build.
    """
    install(session, "docs")
    session.run("python", "-m", "mkdocs", "build", "--strict", *session.posargs)
    session.run("python", "docs/site_check.py", "site")
    rooms = ["i2v_adapter", "eval", "reports", "--ignore=eval/world_training"]
    session.run("python", "-m", "pytest", "-q", "--doctest-modules", *rooms)
    for notebook in sorted(Path("examples").glob("*.ipynb")):
        session.run("jupyter", "execute", "--timeout=120", str(notebook))


@nox.session
def torture(session: nox.Session) -> None:
    """Kill small runs and trainings a hundred times each (TORTURE_KILLS) at random moments
    (TORTURE_SEED); results must equal an uninterrupted run. Random faults for five minutes
    (SOAK_SECONDS) from a seed (SOAK_SEED, printed).

    Besides: two Ray nodes on this machine, methods that end their process in every way, 200 flipped
    databases, and thousands of broken suites, images and clips. Broken manifests, ballots and run
    documents are a session of their own: `fuzz`.
    """
    install(session, "tests")
    known = {
        "TORTURE_KILLS": "100",
        "SOAK_SECONDS": "300",
        "SOAK_SEED": str(int(time.time())),
        "DAMAGE_FLIPS": "200",
    }
    files = [
        "tests/eval/execute/test_torture.py",
        "tests/i2v_adapter/training/test_killed.py",
        "tests/eval/execute/test_soak.py",
        "tests/eval/execute/test_processes.py",
        "tests/eval/execute/test_ray.py",
        "tests/eval/store/test_damage.py",
        "tests/eval/test_fuzz.py",
        "tests/eval/clips/test_borders.py",
    ]
    given = {name: os.environ.get(name, value) for name, value in known.items()}
    session.run("python", "-m", "pytest", "-s", *files, *session.posargs, env=given)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Read 100,800 broken manifests, captions, prompts, ballots and run documents: FUZZ_EXAMPLES
    of each of six tests, eight variants of each. Posargs go to pytest.
    """
    install(session, "tests")
    examples = os.environ.get("FUZZ_EXAMPLES", "2100")
    session.run(
        "python",
        "-m",
        "pytest",
        "tests/eval/test_fuzz_readers.py",
        *session.posargs,
        env={"FUZZ_EXAMPLES": examples},
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, imports and types."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session
def world(session: nox.Session) -> None:
    """Train the glyph world, stage by stage, each resumable. Posargs go to `python -m
    eval.world_training`.
    """
    install(session)
    session.run("python", "-m", "eval.world_training", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure speed and memory on this machine, and write docs/benchmarks.md. Posargs go to pytest;
    `-- --quick` takes minutes and leaves the page as it is.
    """
    install(session, "bench")
    arguments = session.posargs or ["benchmarks"]
    if all(argument.startswith("-") for argument in arguments):
        arguments = ["benchmarks", *arguments]
    session.run("python", "-m", "pytest", "-q", "--benchmark-columns=rounds", *arguments)
    if "--quick" not in arguments:
        session.run("python", "-m", "benchmarks")


@nox.session
def speed(session: nox.Session) -> None:
    """Benchmark a commit and this tree in turns: `-- COMMIT`, then pytest's arguments. Advisory: it
    fails nothing.
    """
    install(session, "bench")
    commit, *arguments = session.posargs or ["origin/main"]
    # A step, judging, a Fréchet distance, a summary.
    quick = ["benchmarks", "-k", "400 or 16x64x64 or 192x128x8 or 20000", "--rounds", "3"]
    session.run("python", "-m", "benchmarks", "against", commit, *(arguments or quick))
