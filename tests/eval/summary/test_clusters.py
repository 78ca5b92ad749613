"""Samples of one image are one cluster; samples without a known image never are."""

import numpy as np

from eval.samples import Sample
from eval.summary.clusters import image_clusters

IMAGE = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)


def test_one_image_is_one_cluster_named_by_its_first_sample() -> None:
    samples = [
        Sample("b", IMAGE, "one prompt"),
        Sample("a", IMAGE.copy(), "another prompt"),
        Sample("c", IMAGE[:, ::-1], "one prompt"),
        Sample("d", IMAGE.reshape(4, 16, 3), "one prompt"),
        Sample("e", IMAGE, "", unknown=("image", "prompt")),
        Sample("f", IMAGE, "", unknown=("image", "prompt")),
    ]
    expected = {"b": "b", "a": "b", "c": "c", "d": "d", "e": "e", "f": "f"}
    assert image_clusters(samples) == expected
