"""Files that a table names: found under another Unicode form, or refused with the cause."""

from __future__ import annotations

import os
import unicodedata
from difflib import get_close_matches
from pathlib import Path

from i2v_adapter.tables.texts import RowError, shown


class Finder:
    """Finds the files that a table names.

    A name is first taken as it is. Where no such file is, the folder is searched for the same name
    in another Unicode normal form (``é`` as one character or as two), which file systems and
    archives change on the way.

    Args:
        root: the folder that files must lie in, links followed; None: they may lie anywhere.

    Attributes:
        renamed: how many names were found in another Unicode form.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.renamed = 0
        self._root = None if root is None else Path(os.path.realpath(root))
        self._listings: dict[Path, dict[str, list[str]]] = {}

    def find(self, folder: Path, name: str) -> Path:
        """The path of a file or folder; a relative name starts at `folder`.

        Raises:
            RowError: "'cat.png' is not in FOLDER" and the like, to be put after the column's name.
        """
        if not name or "\0" in name:
            raise RowError(f"{shown(name)} is not the name of a file")
        path = folder / name
        if not os.path.exists(path):  # False, too, for a name that no file can have
            path = self._search(folder, name)
        if self._root and not Path(os.path.realpath(path)).is_relative_to(self._root):
            raise RowError(f"{shown(name)} leaves the folder {self._root}; copy the file there")
        return path

    def note(self) -> str:
        """A sentence on the names found in another form, or ""."""
        if not self.renamed:
            return ""
        return f"{self.renamed} names were found in another Unicode normal form"

    def _search(self, folder: Path, name: str) -> Path:
        parts = Path(name).parts
        path = Path(parts[0]) if os.path.isabs(name) else folder
        for part in parts[1:] if os.path.isabs(name) else parts:
            if os.path.exists(path / part):
                path = path / part
                continue
            names = self._listing(path)
            alike = names.get(unicodedata.normalize("NFC", part), [])
            if len(alike) > 1:
                raise RowError(
                    f"{shown(name)}: {path} holds {len(alike)} files of this name in other Unicode "
                    "normal forms; rename one"
                )
            if not alike:
                raise RowError(f"{shown(name)} is not in {folder}.{_hint(part, names)}".rstrip("."))
            path = path / alike[0]
        self.renamed += 1
        return path

    def _listing(self, folder: Path) -> dict[str, list[str]]:
        """NFC name -> names in the folder; empty where there is no such folder."""
        if folder not in self._listings:
            found: dict[str, list[str]] = {}
            try:
                for entry in os.listdir(folder):
                    found.setdefault(unicodedata.normalize("NFC", entry), []).append(entry)
            except (OSError, ValueError):
                found = {}
            self._listings[folder] = found
        return self._listings[folder]


def _hint(part: str, names: dict[str, list[str]]) -> str:
    if "\\" in part:
        return " Write folders with '/'."
    folded = {name.lower(): name for name in names}
    close = get_close_matches(part.lower()[:255], folded, n=1, cutoff=0.8)
    return f" Is {shown(folded[close[0]])} meant?" if close else ""
