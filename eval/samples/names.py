"""Ids from the names of files."""

from __future__ import annotations

import hashlib
import os
import re


def identifier(name: str) -> str:
    """A name as an id; where letters had to go, a part of its digest keeps it apart."""
    clean = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:80]
    if clean == name:
        return name
    return f"{clean or 'sample'}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}"
