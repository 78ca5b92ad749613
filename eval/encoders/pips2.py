"""PIPs++, behind a loader; see `eval.encoders.brought_tracks`."""

from eval.encoders.brought_tracks import load as load
from eval.encoders.brought_tracks import stated_protocol


def protocol() -> str:
    """What the loader says of itself."""
    return stated_protocol("pips2")
