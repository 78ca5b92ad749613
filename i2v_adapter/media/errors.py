"""The one error of this room."""


class MediaError(Exception):
    """A file that cannot be read right; the message is the reason, without the file's name."""
