"""`python -m benchmarks`: docs/benchmarks.md from all results. `compare BASE HEAD`: results files,
or folders of them. `against COMMIT [pytest arguments]`: another commit and this tree, in turns."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import page, ratios
from benchmarks.results import RESULTS
from benchmarks.turns import against
from eval.errors import EvalError
from eval.io.documents import read_json, write_text

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    pair = commands.add_parser("compare", help="ratios of head's times to base's; advisory")
    pair.add_argument("base", type=Path)
    pair.add_argument("head", type=Path)
    turns = commands.add_parser(
        "against", help="benchmark a commit and this tree in turns, and compare"
    )
    turns.add_argument("commit")
    turns.add_argument("--sessions", type=int, default=6)
    known, rest = parser.parse_known_args()
    if rest and known.command != "against":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        if known.command == "compare":
            print(ratios.render(ratios.changes(ratios.load(known.base), ratios.load(known.head))))
        elif known.command == "against":
            print(ratios.render(against(known.commit, rest or ["benchmarks"], known.sessions)))
        else:
            devices = [read_json(path) for path in sorted(RESULTS.glob("*.json"))]
            write_text(PAGE, page.render(sorted(devices, key=lambda each: each["type"] != "cuda")))
    except EvalError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
