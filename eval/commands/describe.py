"""Everything about one metric, for whoever asks what exactly was computed."""

from __future__ import annotations

import os

from eval.encoders import (
    EncoderEntry,
    encoder_entry,
    encoder_fingerprint,
    encoder_protocol,
    weights,
)
from eval.encoders.published import PUBLISHED
from eval.errors import WeightsMissingError
from eval.measure.catalogue import registered
from eval.metrics import Metric

BETTER = {True: "higher", False: "lower", None: "neither"}

_PADDED = "; edges repeated on both sides to multiples of 8, and the padding counts"
_VIEWS = {
    "standard": "",
    "uncropped": "",
    "vbench": "",
    "vbench_noaa": "",
    "evalcrafter": "",
    "pil": "",
    "sampled": "; every max(1, round(fps / 8))-th frame",
    "padded": _PADDED,
    "sampled_padded": f"; every max(1, round(fps / 8))-th frame{_PADDED}",
    "half": "; frames at half their size, averages of 2 x 2 pixels in 8 bit",
    "half_padded": "; frames at half their size, averages of 2 x 2 pixels in [0, 1], not rounded, "
    "edges repeated to sides that are multiples of 8",
    "squashed_256": "; frames squashed to 256 x 256 px by PIL's bilinear filter",
}


def describe(metric: Metric) -> list[tuple[str, str]]:
    """Name and text of everything that decides the metric's value, and where its encoder's weights
    come from.

    Raises:
        EvalError: an ``open_clip:`` model or tag that open_clip does not know.
    """
    definition = registered(metric).definition
    entry = encoder_entry(metric.encoder)
    lines = [
        ("id", metric.id),
        ("value", metric.description),
        ("unit", metric.unit),
        ("better", BETTER[metric.higher_is_better]),
        ("one value per", metric.scope),
        ("source", metric.source),
        (
            "encoder",
            f"{metric.encoder}, kind {entry.kind}, computes in {' or '.join(entry.dtypes)}",
        ),
        ("published with", definition.published or definition.protocols or "no other protocol"),
        ("version", f"{metric.version}, frozen: a change of any of this is a new version"),
    ]
    try:
        preprocessing = encoder_protocol(metric.encoder)
        if entry.protocol and entry.kind in ("image", "image-text"):
            preprocessing = preprocessing.replace(
                entry.protocol.describe(), entry.protocol.seen_as(metric.view).describe()
            )
        preprocessing += _VIEWS[metric.view]
        if definition.preprocessing:
            preprocessing += f"; {definition.preprocessing}"
        fingerprint = encoder_fingerprint(metric.encoder)
    except WeightsMissingError as error:
        fingerprint = f"not known: {error}"
        if entry.source is None:  # the protocol is the loader's own, and there is no loader
            preprocessing = "the loader's own"
    lines += [
        ("preprocessing", preprocessing),
        ("weights", _weights(entry)),
        ("licence of the weights", _licence(metric.encoder, entry)),
        ("fingerprint", fingerprint),
    ]
    last = {"cannot see": definition.cannot_see, "caution": definition.caution}
    return lines + [(name, text) for name, text in last.items() if text]


def _licence(encoder: str, entry: EncoderEntry) -> str:
    if encoder in PUBLISHED:
        found = PUBLISHED[encoder]
        size = f"about {found.size} MB" if found.size else "size not known"
        return f"{found.licence}; {size}; i2v-eval weights says how to get them"
    if entry.source and entry.source.embedded:
        return "Apache-2.0, with this package"
    foreign = entry.source or entry.loader or entry.own
    return "see who published them" if foreign else "no weights"


def _weights(entry: EncoderEntry) -> str:
    source = entry.source
    if entry.loader:
        return f"by the loader that {entry.loader} names"
    if source is None:
        return "none of its own"
    files = ", ".join(name.replace("|", " or ") for name in source.files)
    if source.folder:
        return f"{files} in {source.folder}"
    places = [f"the folder {weights.OPTION} names ({os.environ.get(weights.OPTION) or 'not set'})"]
    places += ["this package"] if source.embedded else []
    places += [f"the local cache of the hub's {source.hub}"] if source.hub else []
    places += ["torch.hub's local cache"] if source.torch_hub else []
    return f"{files} in {', or '.join(places)}; never downloaded"
