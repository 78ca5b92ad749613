"""``python -m eval``: the same as ``i2v-eval``."""

from eval.cli import main

if __name__ == "__main__":
    main()
