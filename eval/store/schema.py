"""The tables of a run folder's store, and how an older store becomes a present one."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

from eval.errors import StoreError

_STEPS = (
    # Version 1. Stores from before there were versions have these tables already.
    """
    CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS clips (cell TEXT, sample TEXT, seed INTEGER, key TEXT NOT NULL,
        seconds REAL NOT NULL, PRIMARY KEY (cell, sample, seed)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS records (cell TEXT, sample TEXT, seed INTEGER, metric TEXT,
        value REAL NOT NULL, flags TEXT NOT NULL, clip_key TEXT NOT NULL,
        encoder_fingerprint TEXT NOT NULL, PRIMARY KEY (cell, sample, seed, metric)) WITHOUT ROWID;
    """,
    # Version 2: clips that failed.
    """
    CREATE TABLE failures (cell TEXT, sample TEXT, seed INTEGER, stage TEXT NOT NULL,
        reason TEXT NOT NULL, PRIMARY KEY (cell, sample, seed)) WITHOUT ROWID;
    """,
    # Version 3: a clip's row says what its file holds (NULL: from before, not looked at yet) and
    # whether its seconds include loading; failures keep their traceback; each row has a checksum.
    # The stamp of a file (times of change) spares reading it when it has not been touched.
    """
    ALTER TABLE clips ADD COLUMN cold INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE clips ADD COLUMN size INTEGER;
    ALTER TABLE clips ADD COLUMN sha256 TEXT;
    ALTER TABLE clips ADD COLUMN stamp TEXT;
    ALTER TABLE failures ADD COLUMN traceback TEXT NOT NULL DEFAULT '';
    ALTER TABLE meta ADD COLUMN checksum INTEGER;
    ALTER TABLE clips ADD COLUMN checksum INTEGER;
    ALTER TABLE records ADD COLUMN checksum INTEGER;
    ALTER TABLE failures ADD COLUMN checksum INTEGER;
    UPDATE meta SET checksum = checksum_of(key, value);
    UPDATE clips SET checksum = checksum_of(cell, sample, seed, key, seconds, cold, size, sha256);
    UPDATE records SET checksum = checksum_of(cell, sample, seed, metric, value, flags, clip_key,
        encoder_fingerprint);
    UPDATE failures SET checksum = checksum_of(cell, sample, seed, stage, reason, traceback);
    INSERT OR REPLACE INTO meta VALUES ('unsealed', '1', checksum_of('unsealed', '1'));
    """,
)
VERSION = len(_STEPS)
"""Written to SQLite's ``user_version``. A change of tables is a new step, never an edit of an old
one.
"""
FILE = "store.sqlite"
CHECKSUMMED = 3
"""The first version whose rows have checksums."""
COLUMNS = {
    "meta": ("key", "value"),
    "clips": ("cell", "sample", "seed", "key", "seconds", "cold", "size", "sha256"),
    "records": (
        *("cell", "sample", "seed", "metric", "value", "flags", "clip_key"),
        "encoder_fingerprint",
    ),
    "failures": ("cell", "sample", "seed", "stage", "reason", "traceback"),
}
"""Table -> the columns that its checksums cover."""
REALS = {"seconds", "value"}
ADDED = {"cold": 0, "size": None, "sha256": None, "traceback": ""}
"""Columns that a table of an older version lacks -> what their rows are read as."""


def checksum_of(*values: object) -> int:
    """64 bits (63, as SQLite's integers are signed) over the values of a row."""
    digest = hashlib.blake2b("\x1f".join(map(repr, values)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def know_checksums(database: sqlite3.Connection) -> None:
    """Makes ``checksum_of(...)`` known to the SQL of this connection."""
    database.create_function("checksum_of", -1, checksum_of, deterministic=True)


def version(database: sqlite3.Connection) -> int:
    """The version of an open store.

    Raises:
        StoreError: if a newer version of this package wrote it.
    """
    (found,) = database.execute("PRAGMA user_version").fetchone()
    if found > VERSION:
        raise StoreError(
            f"the store has schema {found}, this version knows {VERSION}; update, or give another "
            "--out"
        )
    return int(found)


def migrate(database: sqlite3.Connection) -> None:
    """Brings an open store to :data:`VERSION`; each step happens whole or not at all.

    Raises:
        StoreError: if a newer version of this package wrote it.
    """
    know_checksums(database)
    for step in range(version(database), VERSION):
        database.executescript(
            f"BEGIN IMMEDIATE; {_STEPS[step]} PRAGMA user_version = {step + 1}; COMMIT;"
        )


def open_database(folder: Path) -> sqlite3.Connection:
    """The store of a folder that this process holds, made if missing, its pages checked, at
    :data:`VERSION`.

    Raises:
        sqlite3.Error: it cannot be opened, or is damaged.
        StoreError: if a newer version of this package wrote it.
    """
    database = sqlite3.connect(folder / FILE, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    # A killed process loses nothing committed. A power cut may lose the last transactions, never
    # the order of what is kept: their clips are then made again.
    database.execute("PRAGMA synchronous=NORMAL")
    _check_pages(database)
    migrate(database)
    # Clips of one key are looked for whenever one is stored. Not a version of its own: a store
    # with it is read by older versions of this package too.
    database.execute("CREATE INDEX IF NOT EXISTS clips_by_key ON clips (key)")
    return database


def open_read_only(folder: Path, *, check: bool = True) -> sqlite3.Connection:
    """The store of a folder that another process may be writing, at whatever version it is; its
    `check` says whether its pages are checked.

    Raises:
        sqlite3.Error: it cannot be read, or is damaged.
        StoreError: the database does not exist, or a newer version of this package wrote it.
    """
    path = folder / FILE
    if not path.is_file():
        raise StoreError(
            f"{folder}: not a run folder (no {FILE}); i2v-eval run SUITE --out {folder} makes one"
        )
    # Without a journal nobody writes; an immutable database then leaves no files of SQLite's own in
    # the folder.
    journal = path.with_name(f"{FILE}-wal")
    database = _connect(path, "mode=ro" if journal.exists() else "immutable=1", check)
    version(database)
    return database


def _connect(path: Path, options: str, check: bool) -> sqlite3.Connection:
    database = sqlite3.connect(
        f"{path.resolve().as_uri()}?{options}", uri=True, isolation_level=None
    )
    if check:
        _check_pages(database)
    return database


def _check_pages(database: sqlite3.Connection) -> None:
    try:
        (found,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    except UnicodeDecodeError as error:  # SQLite's own message quotes what it found
        raise sqlite3.DatabaseError(f"malformed: {error}") from error
    if found != "ok":
        raise sqlite3.DatabaseError(f"malformed: {' '.join(found.split())}")
