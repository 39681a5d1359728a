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


class IdPlaces:
    """Where each id stands first in columns, and how many times it stands there."""

    def __init__(self, columns: Iterable[pa.Array]) -> None:
        self._keys, self._firsts, self._counts = np.unique(all_keys(columns), return_index=True, return_counts=True)

    def of(self, ids: pa.Array) -> npt.NDArray[np.int64]:
        """The first place of each id, -1 for one that is not there."""
        return self._found(ids, self._firsts, -1)

    def counts(self, ids: pa.Array) -> npt.NDArray[np.int64]:
        """How many times each id is there."""
        return self._found(ids, self._counts, 0)

    def _found(self, ids: pa.Array, values: npt.NDArray[np.int64], missing: int) -> npt.NDArray[np.int64]:
        keys = keys_of(ids)
        if not len(self._keys):
            return np.full(len(keys), missing)
        places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[places] == keys, values[places], missing)
