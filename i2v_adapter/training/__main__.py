"""`python -m i2v_adapter.training CONFIG.yaml`, or `accelerate launch -m i2v_adapter.training
CONFIG.yaml`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import diffusers
import transformers

from i2v_adapter.training.config import TrainingError, load_config


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code, 2 for what the user can put right."""
    parser = argparse.ArgumentParser(
        prog="python -m i2v_adapter.training", description="Train an I2V adapter."
    )
    parser.add_argument("config", type=Path, help="YAML file; docs/training.md describes it")
    path = parser.parse_args(arguments).config
    try:
        config = load_config(path)
        from i2v_adapter.training.run import run

        run(config)
    except TrainingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    # What the libraries say while they load would bury the one line of an error.
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    sys.exit(main())
