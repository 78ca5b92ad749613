"""Evaluation suite for image-to-video methods: a suite file in, judged clips, tables with intervals
and provenance out.

Start with ``python -m eval run SUITE.yaml --out DIR``. Importing this package loads no heavy
library.
"""

__version__ = "0.1.0"
