"""Tables that people write: manifests, captions, ballots, as CSV or JSON lines.

One strict reader. What is not text where text belongs, a column given twice, columns separated by
semicolons and half characters are named, and never repaired or turned into something else.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import BinaryIO, NamedTuple, TextIO

from i2v_adapter.tables.texts import Kind, RowError, parse_json, repeated, shown, text_of

CSV = (".csv",)
JSON_LINES = (".jsonl", ".ndjson")

LONGEST_LINE = 2**24
"""Characters of a line; beyond, a file is no table of texts and is not read on."""

_NAMED = 8
"""Columns that a message names at most."""


@dataclass(frozen=True)
class Column:
    """A column that a reader knows.

    Attributes:
        name: as it is written now.
        old: earlier spellings, read where `name` is not given.
        kind: what JSON may hold there.
        required: every row needs it, not blank.
    """

    name: str
    old: tuple[str, ...] = ()
    kind: Kind = "text"
    required: bool = False


class Row(NamedTuple):
    """A row as read.

    Attributes:
        line: of the file, from 1; the last one where a value spans several.
        values: column name -> text; columns that the row leaves out are not in it.
        fault: why the row cannot be used, or ""; `values` then holds what could be read.
    """

    line: int
    values: dict[str, str]
    fault: str = ""


class Rows:
    """The rows of a file, read while they are asked for.

    Lines of JSON end at ``\\n`` alone, so U+2028 and U+0085 are text. UTF-8, with or without byte
    order mark. Blank lines are skipped.

    Args:
        path: a ``.csv`` or ``.jsonl`` file.
        columns: the columns to read; others are ignored, and named in one note.
        prefix: columns that begin so are read, too, as kind ``value``.
        strict: unknown columns are an error.

    Attributes:
        notes: what a reader should know of the file; complete after the last row.

    Raises:
        RowError: while iterating, for a file that cannot be read as a whole.
    """

    def __init__(
        self, path: Path, columns: Sequence[Column], *, prefix: str = "", strict: bool = False
    ) -> None:
        self.path = path
        self.notes: list[str] = []
        self._columns = {column.name: column for column in columns}
        self._prefix, self._strict = prefix, strict
        self._old = {old: column.name for column in columns for old in column.old}
        self._unknown: dict[str, None] = {}

    def __iter__(self) -> Iterator[Row]:
        read = _reader_of(self.path)
        if not os.path.isfile(self.path):
            raise RowError(f"{self.path}: no such file")
        self._unknown.clear()
        try:
            with self.path.open("rb") as file:
                if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
                    raise RowError(f"{self.path}: UTF-16, not UTF-8 text; save it as UTF-8")
                file.seek(0)
                yield from self._csv() if read == "csv" else self._json(file)
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            raise RowError(
                f"{self.path}: not UTF-8 text (byte 0x{byte:02x}); save it as UTF-8"
            ) from error
        except OSError as error:
            raise RowError(f"{self.path}: cannot be read ({error.strerror})") from error
        if self._unknown and not self._strict:
            self.notes.append(f"{self.path}: {self._ignored()}")

    # CSV

    def _csv(self) -> Iterator[Row]:
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(self._lines(file), strict=True)
            names: list[str | None] | None = None
            while True:
                try:
                    values = next(reader, None)
                except csv.Error as error:
                    raise RowError(
                        f"{self.path}:{reader.line_num or 1}: not CSV ({error})"
                    ) from error
                if values is None:
                    return
                if not values:
                    continue
                if names is None:
                    names = self._header(values)
                elif len(values) != len(names):
                    fault = f"the row does not have the header's {len(names)} values"
                    yield Row(reader.line_num, self._given(names, values), fault)
                else:
                    given = self._given(names, values)
                    yield Row(reader.line_num, given, self._missing(given))

    def _given(self, names: Sequence[str | None], values: Sequence[str]) -> dict[str, str]:
        pairs = zip(names, values, strict=False)
        return {name: value for name, value in pairs if name is not None}

    def _lines(self, file: TextIO) -> Iterator[str]:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE + 1), ""), start=1):
            if len(line) > LONGEST_LINE:
                raise RowError(f"{self.path}:{number}: the line is too long for a table of texts")
            yield line

    def _header(self, given: list[str]) -> list[str | None]:
        """The column that each place holds; None: ignored."""
        header = [name.strip() for name in given]
        named = [name for name in header if name]
        if twice := repeated(named):
            raise RowError(f"{self.path}: column {shown(twice)} is in the header twice; keep one")
        names = [self._known(name, named) for name in header]
        absent = [
            name for name, column in self._columns.items() if column.required and name not in names
        ]
        if absent:
            raise RowError(self._absent(absent, named))
        if self._strict and self._unknown:
            raise RowError(f"{self.path}: {self._refused(next(iter(self._unknown)))}")
        return names

    def _known(self, name: str, given: Sequence[str]) -> str | None:
        if name in self._columns or (self._prefix and name.startswith(self._prefix)):
            return name
        new = self._old.get(name)
        others = self._columns[new].old if new else ()
        if new and new not in given and name == next((old for old in others if old in given), name):
            return new
        if name:
            self._unknown.setdefault(name)
        return None

    def _absent(self, absent: Sequence[str], header: Sequence[str]) -> str:
        text = ",".join(header)
        for sign, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
            parts = {part.strip().strip('"') for part in text.split(sign)}
            if sign in text and parts & {*self._columns, *self._old}:
                return (
                    f"{self.path}: the columns are separated by {name} ({sign!r}), not by commas; "
                    "save it as CSV with commas"
                )
        hint = self._hint(absent[0], header)
        listed = ", ".join(map(shown, header[:_NAMED])) or "nothing"
        return (
            f"{self.path}: no column '{absent[0]}'; the header has {listed}, and every row needs "
            f"{self._required()}.{hint}"
        )

    # JSON lines

    def _json(self, file: BinaryIO) -> Iterator[Row]:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE + 1), b""), start=1):
            if len(line) > LONGEST_LINE:
                raise RowError(f"{self.path}:{number}: the line is too long for a table of texts")
            content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if content.strip():
                yield self._object(number, content)

    def _object(self, number: int, content: bytes) -> Row:
        try:
            found = parse_json(content)
        except RowError as error:
            return Row(number, {}, str(error))
        if not isinstance(found, dict):
            return Row(number, {}, "a row must be an object of keys and values")
        values: dict[str, str] = {}
        fault = ""
        given = [key.strip() for key, value in found.items() if value is not None]
        for key, value in found.items():
            name = self._known(key.strip(), given)
            if name is None:
                fault = fault or (self._refused(key) if self._strict and key.strip() else "")
            elif value is not None:
                kind = self._columns[name].kind if name in self._columns else "value"
                try:
                    values[name] = text_of(value, kind)
                except RowError as error:
                    fault = fault or f"{name} {error}"
        return Row(number, values, fault or self._missing(values, tuple(found)))

    # texts

    def _missing(self, values: dict[str, str], keys: Sequence[str] = ()) -> str:
        for name, column in self._columns.items():
            if column.required and not values.get(name, "").strip():
                hint = self._hint(name, keys) if name not in values else ""
                return f"{name} is missing; every row needs {self._required()}.{hint}".rstrip(".")
        return ""

    def _required(self) -> str:
        return ", ".join(name for name, column in self._columns.items() if column.required)

    def _hint(self, name: str, header: Sequence[str]) -> str:
        close = get_close_matches(name, [key for key in header if key not in self._columns], n=1)
        return f" Is {shown(close[0])} meant to be '{name}'?" if close else ""

    def _refused(self, key: str) -> str:
        allowed = [*self._columns, *([f"{self._prefix}*"] if self._prefix else [])]
        close = get_close_matches(key, list(self._columns), n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        return f"unknown column {shown(key)}. Allowed: {', '.join(allowed)}.{hint}"

    def _ignored(self) -> str:
        names = list(self._unknown)
        listed = ", ".join(map(shown, names[:_NAMED]))
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        allowed = [*self._columns, *([f"{self._prefix}*"] if self._prefix else [])]
        hints = "".join(self._hint(name, names) for name in self._columns)
        return f"ignored unknown columns {listed}{more}; known are {', '.join(allowed)}.{hints}"


def _reader_of(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in JSON_LINES:
        return "json"
    if suffix in CSV:
        return "csv"
    raise RowError(f"{path}: unknown manifest type '{path.suffix}'. Allowed: .csv, .jsonl")
