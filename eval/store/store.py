"""The run folder: SQLite for rows, files for clips and features."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence

from eval.clips.lossless import Clip, read_clip
from eval.io.files import write_whole
from eval.store.feature_files import FeatureStore
from eval.store.opened import named
from eval.store.rows import Failure, Record, StoredClip, insert
from eval.store.schema import CHECKSUMMED
from eval.store.soundness import look, stamp_of

__all__ = ["Failure", "Record", "Store", "StoredClip"]


class Store(FeatureStore):
    """One run folder, held by one process at a time. Use it as a context manager.

    The database and the tables always lie in the folder, on a disk; clips and features may lie
    elsewhere (``storage``).

    A row is written only after its files, and files are replaced only after their rows are deleted:
    a kill at any moment leaves no row without its file.

    Args:
        folder: made if missing.
        wait: seconds to wait for another process to let the folder go.
        read_only: look at a folder, also while another process works on it; nothing in it is
            touched.
        check: of a folder that is only looked at, whether all pages of its database are checked.
        storage: path or fsspec URL of clips and features; None: where they were put before, at
            first the folder itself.

    Attributes:
        decoded: how many clips were read from their files.
        files: clips and features.
        storage: as given, now or before; None for the folder itself.

    Raises:
        StoreError: if another process holds the folder (naming it), or the store cannot be
            opened or is damaged.
        EvalError: no such storage, or another than before.
    """

    # clips

    @named
    def clip_keys(self, cell: str) -> dict[tuple[str, int], str]:
        """(sample, seed) -> key of the clips of ``cell`` whose files are there and sound."""
        return {(row.sample, row.seed): row.key for row, fault in self._looked(cell) if not fault}

    @named
    def drop_damaged(self, cell: str) -> list[str]:
        """Deletes the rows of clips of ``cell`` whose files are missing or changed, and returns
        what is wrong with each. The next batch makes these clips again.
        """
        bad = [(row, fault) for row, fault in self._looked(cell) if fault]
        if bad:
            self.forget_clips(
                [(row.cell, row.sample, row.seed) for row, _ in bad], [row.key for row, _ in bad]
            )
        return [
            f"cell {row.cell}, sample/seed {row.sample}/{row.seed}: the clip's file "
            f"{self.files.clip(row.key)} {fault}; it is made again"
            for row, fault in bad
        ]

    def _looked(self, cell: str) -> Iterator[tuple[StoredClip, str | None]]:
        """The clips of a cell with what is wrong with their files; results are stored."""
        rows = self._rows(StoredClip, "WHERE cell = ?", [cell])
        stamps = self._stamps(cell)
        learned = []
        for row in rows:
            stamp = stamps.get(row[1:3])
            found = look(self.files, row, stamp)
            yield row, found.fault
            known = row._replace(size=found.size, sha256=found.sha256)
            if not found.fault and (known != row or found.stamp != stamp):
                learned.append((known, found.stamp))
        if learned and self._lock:
            with self._transaction():
                self._put_clips(learned)

    def _stamps(self, cell: str) -> dict[tuple[str, int], str | None]:
        if self.version < CHECKSUMMED:
            return {}
        rows = self._database.execute(
            "SELECT sample, seed, stamp FROM clips WHERE cell = ?", [cell]
        )
        return {(sample, seed): stamp for sample, seed, stamp in rows}

    @named
    def seconds(self, cell: str, *, warm: bool = False) -> dict[tuple[str, int], float]:
        """(sample, seed) -> wall time it took to make the clip; ``warm``: only of clips whose time
        holds no loading.
        """
        rows = self._rows(StoredClip, "WHERE cell = ?", [cell])
        return {(row.sample, row.seed): row.seconds for row in rows if not (warm and row.cold)}

    @named
    def digests(self, keys: Iterable[str]) -> dict[str, str | None]:
        """Key -> sha256 of the clip's file, where it is known."""
        if self._digests is None:
            self._digests = {row.key: row.sha256 for row in self._rows(StoredClip)}
        return {key: self._digests.get(key) for key in keys}

    def read(self, key: str) -> Clip:
        """The clip of this key.

        Raises:
            EvalError: its file is missing, or not the one that was stored.
        """
        self.decoded += 1
        return read_clip(self.files.clip(key), sha256=self.digests([key])[key])

    @named
    def add_clips(
        self,
        rows: Sequence[StoredClip],
        contents: Sequence[bytes],
        failures: Sequence[Failure] = (),
    ) -> None:
        """Stores a batch: deletes its old rows, writes the files, then adds all rows in one
        transaction. ``contents``: of :func:`eval.clips.lossless.encoded`, one for each row.
        """
        places = [(row.cell, row.sample, row.seed) for row in rows]
        places += [(failure.cell, failure.sample, failure.seed) for failure in failures]
        self.forget_clips(places, [row.key for row in rows])
        written = []
        for row, content in zip(rows, contents, strict=True):
            write_whole(self.files.clip(row.key), content)
            sha256 = hashlib.sha256(content).hexdigest()
            written.append(row._replace(size=len(content), sha256=sha256))
        self.add_clip_rows(written, failures)

    @named
    def forget_clips(self, items: Sequence[tuple[str, str, int]], keys: Iterable[str]) -> None:
        """Deletes the rows of these (cell, sample, seed), then the features of these keys."""
        with self._transaction():
            for table in ("records", "clips", "failures"):
                self._forget(table, items)
        for encoder, key in itertools.product(self._fingerprints(), keys):
            stale = self.files.feature(encoder, key)
            if self.files.present(stale):
                stale.unlink(missing_ok=True)

    @named
    def add_clip_rows(self, rows: Sequence[StoredClip], failures: Sequence[Failure] = ()) -> None:
        """Adds a batch whose files are written, in one transaction.

        Clips of other cells that share a file (equal methods under two labels) are then those of
        the new file, and no longer measured.
        """
        for row in rows:
            if row.size is not None:
                self.files.written(self.files.clip(row.key), row.size)
        stamped = [(row, self._stamp(row)) for row in rows]
        with self._transaction():
            for row in rows:
                self._adopt(row)
            self._put_clips(stamped)
            insert(self._database, "failures", failures)
        if self._digests is not None:
            self._digests.update((row.key, row.sha256) for row in rows)

    def _stamp(self, row: StoredClip) -> str | None:
        return stamp_of(self.files.clip(row.key)) if row.sha256 is not None else None

    def _adopt(self, row: StoredClip) -> None:
        others = self._rows(StoredClip, "WHERE key = ? AND sha256 IS NOT ?", [row.key, row.sha256])
        others = [other for other in others if other[:3] != row[:3]]
        if others:
            self._forget("records", [(o.cell, o.sample, o.seed) for o in others])
            changed = [other._replace(size=row.size, sha256=row.sha256) for other in others]
            self._put_clips([(other, None) for other in changed])

    def _put_clips(self, rows: Sequence[tuple[StoredClip, str | None]]) -> None:
        insert(self._database, "clips", [row for row, _ in rows], "INSERT OR REPLACE")
        self._database.executemany(
            "UPDATE clips SET stamp = ? WHERE cell = ? AND sample = ? AND seed = ?",
            [(stamp, *row[:3]) for row, stamp in rows],
        )

    # failures

    @named
    def failures(self) -> list[Failure]:
        """All of them; none in a store from before there were any."""
        return self._rows(Failure, "ORDER BY cell, sample, seed") if self.version >= 2 else []

    @named
    def forget_failures(self, items: Iterable[tuple[str, str, int]]) -> None:
        """Of (cell, sample, seed)."""
        with self._transaction():
            self._forget("failures", items)

    @named
    def add_failures(self, failures: Sequence[Failure]) -> None:
        """Adds or replaces failures, and deletes the records of these clips."""
        with self._transaction():
            self._forget("records", [failure[:3] for failure in failures])
            insert(self._database, "failures", failures, "INSERT OR REPLACE")

    def _forget(self, table: str, items: Iterable[tuple[str, str, int]]) -> None:
        self._database.executemany(
            f"DELETE FROM {table} WHERE cell = ? AND sample = ? AND seed = ?", items
        )

    # counts

    @named
    def counts(self) -> dict[str, tuple[int, int, int]]:
        """Cell -> clips made, measured by at least one metric, and failed; as the database says,
        without a look at any file."""
        asked = {
            "made": "SELECT cell, count(*) FROM clips GROUP BY cell",
            "measured": "SELECT cell, count(*) FROM clips AS c WHERE EXISTS (SELECT 1 FROM records "
            "AS r WHERE r.cell = c.cell AND r.sample = c.sample AND r.seed = c.seed) GROUP BY cell",
            "failed": "SELECT cell, count(*) FROM failures GROUP BY cell",
        }
        if self.version < 2:
            del asked["failed"]
        found = {name: dict(self._database.execute(query)) for name, query in asked.items()}
        cells = dict.fromkeys(cell for counted in found.values() for cell in counted)
        names = ("made", "measured", "failed")
        return {
            cell: tuple(found.get(name, {}).get(cell, 0) for name in names)  # type: ignore[misc]
            for cell in cells
        }

    # records

    @named
    def records(self, cell: str) -> list[Record]:
        return self._rows(Record, "WHERE cell = ? ORDER BY sample, seed, metric", [cell])

    @named
    def add_records(self, records: Iterable[Record]) -> None:
        """Adds or replaces records, in one transaction."""
        with self._transaction():
            insert(self._database, "records", records, "INSERT OR REPLACE")
