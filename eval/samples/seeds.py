"""Seeds that depend on sample and seed number, not on the position in a batch."""

from __future__ import annotations

import hashlib


def derive_seed(sample_id: str, seed: int) -> int:
    """The generator seed of one clip.

    Cells of a sweep share it (common random numbers), so they can be compared pair by pair.

    Args:
        sample_id: the sample's id.
        seed: the suite's seed number.

    Returns:
        An integer in [0, 2**63), from the first eight bytes of sha256 over
        ``"<sample_id>\\x1f<seed>"``.
    """
    digest = hashlib.sha256(f"{sample_id}\x1f{int(seed)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
