"""The encoder of metrics that read pixels as they are."""

from eval.encoders.weights import Location


def protocol() -> str:
    """What the features are."""
    return "pixels 1: the clip's uint8 RGB frames"


class PixelEncoder:
    """Stands in for an encoder in metrics that read the clip's frames themselves."""

    kind = "pixels"

    def __init__(self, id: str = "pixels") -> None:
        self.id = id
        self.fingerprint = ""


def load(
    id: str, location: Location | None, preprocessing: None, device: str, dtype: str
) -> PixelEncoder:
    """The encoder; there is nothing to read."""
    return PixelEncoder(id)
