"""Which clips share an input image, so that intervals draw them together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from eval.samples import Sample


def image_clusters(samples: Sequence[Sample]) -> dict[str, str]:
    """Sample id -> id of the first sample with the same input image. A sample whose image is not
    known stands for itself.

    VBench asks for seven camera motions of one image: seven samples, one cluster.

    Examples:
        >>> image = np.zeros((8, 8, 3), np.uint8)
        >>> prompts = {"left": "camera pans left", "right": "camera pans right"}
        >>> image_clusters([Sample(id, image, prompt) for id, prompt in prompts.items()])
        {'left': 'left', 'right': 'left'}
    """
    first: dict[str, str] = {}
    clusters = {}
    for sample in samples:
        content = f"{sample.image.shape}|".encode() + np.ascontiguousarray(sample.image).tobytes()
        name = sample.id if "image" in sample.unknown else hashlib.sha256(content).hexdigest()
        clusters[sample.id] = first.setdefault(name, sample.id)
    return clusters
