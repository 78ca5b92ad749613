"""Features of clips, which set metrics compare: sealed files beside the clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.errors import EvalError
from eval.io.arrays import feature_name, read_array, write_array
from eval.store.opened import OpenStore, named
from eval.store.rows import read


class FeatureStore(OpenStore):
    """The part of :class:`eval.store.store.Store` that keeps features."""

    @named
    def use_features(self, encoder: str, fingerprint: str) -> None:
        """Deletes the stored features of ``encoder`` if other weights made them, and warns if that
        fails. The seal of each file names its weights, so a feature is never taken for another.
        """
        if self.meta(f"features/{encoder}") != fingerprint:
            self.files.remove(self.files.feature_folder(encoder))
            self.set_meta(f"features/{encoder}", fingerprint)

    @named
    def add_features(self, encoder: str, features: Mapping[str, NDArray[np.float32]]) -> None:
        """Writes clip key -> float32 (D,), each file whole or not at all."""
        fingerprint = self._fingerprint(encoder)
        for key, vector in features.items():
            write_array(self.files.feature(encoder, key), vector, feature_name(fingerprint, key))

    def has_features(self, encoder: str, key: str) -> bool:
        """Whether there are sound features of a clip; on remote storage, whether there are any."""
        path = self.files.feature(encoder, key)
        if not isinstance(path, Path) or not self.files.present(path):
            return self.files.present(path)
        try:
            read_array(path, feature_name(self._fingerprint(encoder), key))
        except EvalError:
            return False
        return True

    def features(self, encoder: str, keys: Sequence[str]) -> NDArray[np.float32]:
        """float32 (len(keys), D).

        Raises:
            EvalError: a file is missing, damaged, of another clip or of other weights; naming it.
        """
        fingerprint = self._fingerprint(encoder)
        names = {key: feature_name(fingerprint, key) for key in keys}
        found = {key: read_array(self.files.feature(encoder, key), names[key]) for key in names}
        shapes = {vector.shape for vector in found.values()}
        if len(shapes) > 1:
            folder = self.files.feature_folder(encoder)
            raise EvalError(
                f"{folder}: features of {len(shapes)} shapes; remove the folder and run again"
            )
        return np.stack([found[key] for key in keys])

    def _fingerprints(self) -> dict[str, str]:
        """Encoder -> fingerprint, of those that features are stored of."""
        rows = read(self._database, "meta", "WHERE key LIKE 'features/%'")
        return {str(key).removeprefix("features/"): str(value) for key, value in rows}

    def _fingerprint(self, encoder: str) -> str:
        return self.meta(f"features/{encoder}") or ""

    @named
    def _upgrade(self) -> None:
        """Seals the features of a store from before there were seals."""
        if not self.meta("unsealed"):
            return
        for encoder in self._fingerprints():
            folder = self.files.feature_folder(encoder)
            for path in folder.glob("*.npy") if folder.exists() else ():
                try:
                    vector = read_array(path)
                except EvalError:  # then it is measured again
                    continue
                self.add_features(encoder, {path.stem: vector})
        self._database.execute("DELETE FROM meta WHERE key = 'unsealed'")
