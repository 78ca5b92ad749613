"""The command `i2v-convert IN OUT`: convert a released checkpoint."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from i2v_adapter.adapter import I2VAdapter
from i2v_adapter.checkpoint_formats import OFFICIAL_NAME


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert a released checkpoint into a folder of this project's format."""
    parser = argparse.ArgumentParser(prog="i2v-convert", description=main.__doc__)
    parser.add_argument(
        "source", metavar="IN", type=Path, help="checkpoint file, or a folder that holds one"
    )
    parser.add_argument(
        "target", metavar="OUT", type=Path, help="folder to write: config.json and safetensors"
    )
    parser.add_argument(
        "--weight-name", help=f"file within a folder IN, by default {OFFICIAL_NAME}"
    )
    parser.add_argument(
        "--pooled-group-norm",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="group norm over all frames as in the official code; by default on for the official "
        "layout only",
    )
    options = parser.parse_args(arguments)
    chosen = (
        {}
        if options.pooled_group_norm is None
        else {"pooled_group_norm": options.pooled_group_norm}
    )
    try:
        if not options.source.exists():
            raise ValueError(f"{options.source} does not exist")
        adapter = I2VAdapter.from_pretrained(
            options.source, weight_name=options.weight_name, **chosen
        )
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    adapter.save_pretrained(options.target)
    size = sum(parameter.numel() for parameter in adapter.parameters())
    print(
        f"{options.target}: {len(adapter.config['layers'])} layers, {size:,} parameters,"
        f" pooled group norm {'on' if adapter.config['pooled_group_norm'] else 'off'}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
