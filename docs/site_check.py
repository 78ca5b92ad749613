"""`python docs/site_check.py site`: no page of the built site loads anything from another host."""

from __future__ import annotations

import re
import sys
from pathlib import Path

LOADS = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=[\"']?(?:https?:)?//"
    r"|<link\b(?=[^>]*\brel=[\"']?(?:stylesheet|preload|preconnect|icon|modulepreload))"
    r"[^>]*\bhref=[\"']?(?:https?:)?//[^>]*>",
    re.IGNORECASE,
)
IN_STYLES = re.compile(r"(?:@import|url\()\s*(?:url\()?[\"']?(?:https?:)?//", re.IGNORECASE)


def outside(site: Path) -> list[str]:
    """A line for each tag or style rule that makes a browser load a file from another host.

    Links that a reader follows are not counted.
    """
    pages, styles = sorted(site.rglob("*.html")), sorted(site.rglob("*.css"))
    return [
        f"{file.relative_to(site)}: {match[0]}"
        for files, pattern in ((pages, LOADS), (styles, IN_STYLES))
        for file in files
        for match in pattern.finditer(file.read_text(encoding="utf-8"))
    ]


if __name__ == "__main__":
    found = outside(Path(sys.argv[1]))
    print("\n".join(found) or f"{sys.argv[1]}: nothing is loaded from another host")
    sys.exit(1 if found else 0)
