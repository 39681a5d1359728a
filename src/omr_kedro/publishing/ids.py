"""Ids of millions of rows in a few bytes each: as hashes of 64 bits, sorted.

Two of ten million ids have one hash with a chance of three in a million.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

Keys = npt.NDArray[np.uint64]


def keys_of(ids: pa.Array, salt: str = "") -> Keys:
    """A hash of each id, the same in every process.

    Args:
        ids: texts, none of them empty.
        salt: makes other hashes of the same ids.
    """
    key = f"{salt:0<16}"[:16] if salt else "0123456789123456"
    keys: Keys = pd.util.hash_array(ids.to_numpy(zero_copy_only=False), hash_key=key, categorize=False)
    return keys


def all_keys(columns: Iterable[pa.Array]) -> Keys:
    """Hashes of the ids of many batches."""
    return np.concatenate([np.empty(0, np.uint64), *map(keys_of, columns)])


class Ids:
    """A set of ids."""

    def __init__(self, columns: Iterable[pa.Array]) -> None:
        self._keys = np.unique(all_keys(columns))

    def __len__(self) -> int:
        return len(self._keys)

    def hold(self, ids: pa.Array) -> npt.NDArray[np.bool_]:
        """Whether each id is one of them."""
        keys = keys_of(ids)
        if not len(self._keys):
            return np.zeros(len(keys), bool)
        places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        found: npt.NDArray[np.bool_] = self._keys[places] == keys
        return found


class IdCounts:
    """How many times each id stands in columns."""

    def __init__(self, columns: Iterable[pa.Array]) -> None:
        self._keys, self._counts = np.unique(all_keys(columns), return_counts=True)

    def of(self, ids: pa.Array) -> npt.NDArray[np.int64]:
        """The count of each id, 0 for one that is not there."""
        keys = keys_of(ids)
        if not len(self._keys):
            return np.zeros(len(keys), np.int64)
        places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[places] == keys, self._counts[places], 0)


class IdPlaces:
    """Where each id stands in columns, of which none holds it twice."""

    def __init__(self, columns: Iterable[pa.Array]) -> None:
        keys = all_keys(columns)
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]

    def of(self, ids: pa.Array) -> npt.NDArray[np.int64]:
        """The place of each id, -1 for one that is not there."""
        keys = keys_of(ids)
        if not len(self._keys):
            return np.full(len(keys), -1)
        places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[places] == keys, self._order[places], -1)
