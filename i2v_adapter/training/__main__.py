"""The command `i2v-train CONFIG.yaml`; `accelerate launch -m i2v_adapter.training CONFIG.yaml` does
the same in several processes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from i2v_adapter.training.config import TrainingError, load_config


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command on `arguments`, by default those of the process.

    Returns the exit code: 0, or 2 for an error that the user can correct, printed in one line.
    """
    parser = argparse.ArgumentParser(prog="i2v-train", description="Train an I2V adapter.")
    parser.add_argument("config", type=Path, help="YAML file; docs/training.md describes it")
    path = parser.parse_args(arguments).config
    try:
        config = load_config(path)
        folder = str(path.resolve().parent)
        if folder not in sys.path:  # for samples.measure; at the end, so that it hides nothing
            sys.path.append(folder)
        from i2v_adapter.training.session import run

        run(config)
    except TrainingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def command() -> int:
    """`main`, without what model libraries print while they load, which would hide an error."""
    import diffusers
    import transformers

    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    return main()


if __name__ == "__main__":
    sys.exit(command())
