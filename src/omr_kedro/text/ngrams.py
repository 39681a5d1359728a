"""Runs of n tokens that texts share: what a copy leaves behind, however much is written around it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

_Hashes = npt.NDArray[np.uint64]
_Owners = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Overlap:
    """A known text, by its place in the index, and the share of its n-grams that the query holds (0 to 1)."""

    index: int
    containment: float


class NGramIndex:
    """Finds the known texts that share an n-gram with a query: exact up to hash collisions (64 bits).

    A known text of fewer than `n` tokens counts as one gram of its own length; one of fewer than `shortest` is never
    found, since three words stand in everything. Memory: 12 bytes for each token of the known texts.
    """

    def __init__(self, texts: Sequence[Sequence[str]], n: int, shortest: int) -> None:
        self._sizes = np.zeros(len(texts), np.int64)
        by_length: dict[int, list[int]] = {}
        for index, tokens in enumerate(texts):
            if len(tokens) >= shortest:
                by_length.setdefault(min(n, len(tokens)), []).append(index)
        self._tables = {length: self._table(texts, length, owners) for length, owners in sorted(by_length.items())}

    def search(self, tokens: Sequence[str], k: int) -> list[Overlap]:
        """At most `k` known texts, the most contained first."""
        found = [self._owners(table, gram_hashes(tokens, length)) for length, table in self._tables.items()]
        if not found:
            return []
        owners, counts = np.unique(np.concatenate(found), return_counts=True)
        containment = counts / self._sizes[owners]
        best = np.lexsort((owners, -containment))[:k]
        return [Overlap(int(owners[place]), float(containment[place])) for place in best]

    def _table(self, texts: Sequence[Sequence[str]], length: int, owners: list[int]) -> tuple[_Hashes, _Owners]:
        grams = [gram_hashes(texts[owner], length) for owner in owners]
        sizes = [len(gram) for gram in grams]
        self._sizes[owners] = sizes
        hashes = np.concatenate(grams)
        order = np.argsort(hashes, kind="stable")
        return hashes[order], np.repeat(np.array(owners, np.int32), sizes)[order]

    @staticmethod
    def _owners(table: tuple[_Hashes, _Owners], grams: _Hashes) -> _Owners:
        hashes, owners = table
        first = np.searchsorted(hashes, grams, "left")
        last = np.searchsorted(hashes, grams, "right")
        hit = last > first
        parts = [owners[start:end] for start, end in zip(first[hit], last[hit], strict=True)]
        return np.concatenate(parts) if parts else np.empty(0, np.int32)


def gram_hashes(tokens: Sequence[str], n: int) -> _Hashes:
    """Distinct hashes of all runs of `n` tokens, sorted, the same in every process; none of a shorter text."""
    if len(tokens) < n:
        return np.empty(0, np.uint64)
    values = np.array([_token_value(token) for token in tokens], np.uint64)
    windows = np.lib.stride_tricks.sliding_window_view(values, n)
    with np.errstate(over="ignore"):
        return np.unique((windows * _multipliers(n)).sum(axis=1, dtype=np.uint64))


def containment(known: Sequence[str], query: Sequence[str], n: int) -> float:
    """Share of the known text's n-grams that the query holds, 0 to 1; a shorter text counts as one gram."""
    grams = gram_hashes(known, min(n, len(known))) if known else np.empty(0, np.uint64)
    if not len(grams):
        return 0.0
    return float(np.isin(grams, gram_hashes(query, min(n, len(known)))).mean())


@lru_cache(maxsize=1 << 16)
def _token_value(token: str) -> int:
    return int.from_bytes(hashlib.blake2b(token.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


@cache
def _multipliers(n: int) -> _Hashes:
    """One for each place of a gram; odd, so that no bit of a token is lost."""
    return np.array([_token_value(f"place {place} of {n}") | 1 for place in range(n)], np.uint64)
