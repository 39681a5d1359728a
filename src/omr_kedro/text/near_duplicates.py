"""Texts that say almost the same, among any number of texts, in two passes and less than a kilobyte a text.

A text is the set of its shingles (runs of tokens), two texts are as similar as the Jaccard index of their sets. MinHash
and banding find the pairs that may be similar enough; each such pair is then compared set by set, so that an unlucky
hash makes no duplicate.

Who stands for whom: texts are taken in the order of their rank. A text that matches a representative joins the one that
it is most similar to; a text that matches none becomes a representative. So each member matches its representative
itself, chains of similar texts join nothing that is not similar, and the order of the input does not matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from rensa import RMinHash

from omr_kedro.text.decisive import decisive_tokens
from omr_kedro.text.normal import normal_form

_SEED = 1
_BATCH = 256
_MISSED = 0.001

Hashes = NDArray[np.uint64]
Bands = NDArray[np.uint32]
Places = NDArray[np.int64]
Number = TypeVar("Number", np.uint32, np.uint64)


class NearDuplicateOptions(BaseModel):
    """When two texts are near-duplicates."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float = Field(default=0.8, ge=0.3, le=1)
    """Jaccard index of the sets of shingles, from which on two texts are near-duplicates.

    benchmarks/near_duplicates.py: of rewritten copies 89% are found at 0.8 and 69% at 0.85. What keeps other problems
    apart is `same_mathematics`: without it, more than 90% of siblings are joined at 0.8 and at 0.85."""
    shingle_tokens: int = Field(default=2, ge=1, le=20)
    """Tokens of a shingle; see `normal_form`."""
    permutations: int = Field(default=128, ge=32, le=1024)
    """Hash functions of MinHash. More of them find fewer pairs below the threshold, and take longer."""
    same_mathematics: bool = True
    """Whether numbers, signs, variables and words such as `least` must agree as well (`decisive_tokens`)."""


class Document(NamedTuple):
    """A text that may have duplicates."""

    id: str
    text: str
    rank: int = 0
    """The lowest of a cluster stands for it; the smaller id where ranks are equal."""


class Match(NamedTuple):
    """Which text stands for another one."""

    representative: str
    similarity: float
    """Jaccard index of the two sets of shingles."""
    exact: bool
    """Equal but for dress: both have one `normal_form`."""


def near_duplicates(
    documents: Callable[[], Iterable[Document]], options: NearDuplicateOptions | None = None
) -> dict[str, Match]:
    """Whom to drop, and for whom: every text that has a representative other than itself, by id.

    Args:
        documents: starts the stream; called twice, and must give the same texts in the same order. Ids are unique.
        options: when two texts are near-duplicates.

    Memory is about 400 bytes a text (at 128 permutations), and 4 bytes a token for texts that have a candidate.

    Raises:
        ValueError: the second pass gave other ids than the first.
    """
    options = options or NearDuplicateOptions()
    seen = _scan(documents(), partial(_banded, options=options))
    exact = _first_of_equals(seen.texts)
    leaders = np.flatnonzero(exact == np.arange(len(exact)))
    candidates, buckets = _candidates(seen.bands, leaders)
    sets = _shingle_sets(documents(), seen, candidates, options)
    joined = _join(sets, seen.decisive[candidates], buckets, options.threshold)
    near = {int(candidates[one]): (int(candidates[other]), score) for one, (other, score) in joined.items()}
    return dict(_matches(seen.ids, exact, near))


def exact_duplicates(documents: Iterable[Document]) -> dict[str, Match]:
    """As `near_duplicates`, for texts that are equal but for dress, in one pass."""
    seen = _scan(documents, lambda _, forms: (np.empty((len(forms), 0), np.uint32), _digests(forms)))
    return dict(_matches(seen.ids, _first_of_equals(seen.texts), {}))


@dataclass(frozen=True, slots=True)
class _Seen:
    """All texts after the first pass, the best ranked first."""

    ids: list[str]
    places: Places
    """Place of the text that came first, second, …"""
    texts: Hashes
    """Digest of each normal form."""
    decisive: Hashes
    """Digest of what must be the same in duplicates."""
    bands: Bands
    """Digests of the bands of each text's signature, a row a text."""


def _scan(
    documents: Iterable[Document], banded: Callable[[Sequence[Document], Sequence[str]], tuple[Bands, Hashes]]
) -> _Seen:
    ids: list[str] = []
    ranks: list[int] = []
    texts: list[Hashes] = []
    bands: list[Bands] = []
    decisive: list[Hashes] = []
    # An empty batch first: without a text the arrays have their shapes all the same.
    for batch in chain([[]], _batches(documents)):
        forms = [normal_form(document.text) for document in batch]
        ids += [document.id for document in batch]
        ranks += [document.rank for document in batch]
        texts.append(_digests(forms))
        more_bands, more_decisive = banded(batch, forms)
        bands.append(more_bands)
        decisive.append(more_decisive)
    order = sorted(range(len(ids)), key=ids.__getitem__)
    order.sort(key=ranks.__getitem__)
    best_first = np.array(order, dtype=np.int64)
    places = np.empty_like(best_first)
    places[best_first] = np.arange(len(order))
    return _Seen(
        [ids[number] for number in order],
        places,
        _reordered(texts, best_first),
        _reordered(decisive, best_first),
        _reordered(bands, best_first),
    )


def _reordered(parts: list[NDArray[Number]], order: Places) -> NDArray[Number]:
    """The parts end to end, in this order; they are let go on the way, since copies of them are most of the memory."""
    whole = np.concatenate(parts)
    parts.clear()
    return whole if np.array_equal(order, np.arange(len(order))) else whole[order]


def _banded(batch: Sequence[Document], forms: Sequence[str], options: NearDuplicateOptions) -> tuple[Bands, Hashes]:
    tokens = [" ".join(decisive_tokens(document.text)) if options.same_mathematics else "" for document in batch]
    decisive = _digests(tokens)
    rows = rows_of_band(options.threshold, options.permutations)
    return _bands(_signatures(forms, options), decisive, rows), decisive


def rows_of_band(threshold: float, permutations: int) -> int:
    """The most rows a band can have for pairs at the threshold to be missed less than once in a thousand.

    A pair of Jaccard index s shares one of b bands of r rows with probability 1 - (1 - s^r)^b.
    """
    fitting = [r for r in range(1, permutations + 1) if (1 - threshold**r) ** (permutations // r) <= _MISSED]
    return max(fitting, default=1)


def _digests(texts: Iterable[str]) -> Hashes:
    whole = b"".join(hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(whole, dtype="<u8").astype(np.uint64)


def _signatures(forms: Sequence[str], options: NearDuplicateOptions) -> NDArray[np.uint32]:
    hashed = _hashed_shingles(forms, options.shingle_tokens)
    matrix = RMinHash.digest_matrix_from_token_hash_sets(hashed, options.permutations, _SEED)
    return np.array(matrix.to_rows(), dtype=np.uint32).reshape(len(forms), options.permutations)


def _hashed_shingles(forms: Sequence[str], size: int) -> list[list[int]]:
    hashed: list[list[int]] = RMinHash.hash_token_sets([_shingles(form.split(" "), size) for form in forms])
    return hashed


def _shingles(tokens: Sequence[str], size: int) -> list[str]:
    return [" ".join(tokens[start : start + size]) for start in range(max(1, len(tokens) - size + 1))]


def _bands(signatures: NDArray[np.uint32], decisive: Hashes, rows: int) -> Bands:
    count = signatures.shape[1] // rows
    folded = np.repeat(decisive[:, None], count, axis=1)
    parts = signatures[:, : count * rows].reshape(len(signatures), count, rows).astype(np.uint64)
    for row in range(rows):
        # A round of splitmix64 for each row: all bits of the digest depend on all rows.
        folded = (folded ^ parts[:, :, row]) + np.uint64(0x9E3779B97F4A7C15)
        folded = (folded ^ (folded >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        folded = (folded ^ (folded >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        folded ^= folded >> np.uint64(31)
    # Half of the bits is half of the memory. In a million texts some hundred pairs share a digest by chance, and are
    # told apart when they are compared.
    return (folded >> np.uint64(32)).astype(np.uint32)


def _first_of_equals(texts: Hashes) -> Places:
    """For each text the place of the first text that equals it."""
    _, first, group = np.unique(texts, return_index=True, return_inverse=True)
    places: Places = first[group]
    return places


def _candidates(bands: Bands, among: Places) -> tuple[Places, NDArray[np.int32]]:
    """Those that share a band with another one, and the number of the bucket for each of their bands, or -1."""
    sharing = np.zeros(len(among), dtype=np.bool_)
    for band in range(bands.shape[1]):
        _, group, counts = np.unique(bands[among, band], return_inverse=True, return_counts=True)
        sharing |= counts[group] > 1
    chosen = among[sharing]
    buckets = np.full((len(chosen), bands.shape[1]), -1, dtype=np.int32)
    total = 0
    for band in range(bands.shape[1]):
        _, group, counts = np.unique(bands[chosen, band], return_inverse=True, return_counts=True)
        shared = counts > 1
        numbers = np.where(shared, np.cumsum(shared) - 1 + total, -1)
        buckets[:, band] = numbers[group]
        total += int(shared.sum())
    return chosen, buckets


def _shingle_sets(
    documents: Iterable[Document], seen: _Seen, wanted: Places, options: NearDuplicateOptions
) -> list[NDArray[np.uint32]]:
    """The hashed shingles of the wanted texts, each sorted and without repetition."""
    slots = dict(zip(wanted.tolist(), range(len(wanted)), strict=True))
    sets: list[Any] = [None] * len(wanted)
    read = 0
    for batch in _batches(documents):
        places = seen.places[read : read + len(batch)].tolist()
        if [seen.ids[place] for place in places] != [document.id for document in batch]:
            raise ValueError(f"the texts changed between two passes, somewhere in the {len(batch)} texts from {read}")
        read += len(batch)
        chosen = [(slots[place], document) for place, document in zip(places, batch, strict=True) if place in slots]
        forms = [normal_form(document.text) for _, document in chosen]
        for (slot, _), hashes in zip(chosen, _hashed_shingles(forms, options.shingle_tokens), strict=True):
            # 32 bits are plenty within a pair, where they only have to tell shingles of two texts apart.
            whole = np.array(hashes, dtype=np.uint64)
            sets[slot] = np.unique((whole ^ (whole >> np.uint64(32))).astype(np.uint32))
    return sets


def _join(
    sets: Sequence[NDArray[np.uint32]], decisive: Hashes, buckets: NDArray[np.int32], threshold: float
) -> dict[int, tuple[int, float]]:
    """For each candidate that joins a representative: which, and how similar they are. Candidates come best first."""
    heads = [-1] * (int(buckets.max(initial=-1)) + 1)
    # Representatives of a bucket as a linked list: a Python list for each bucket would take most of the memory.
    links = np.full(buckets.shape, -1, dtype=np.int32)
    joined: dict[int, tuple[int, float]] = {}
    for one, row in enumerate(buckets.tolist()):
        mine = [(band, bucket) for band, bucket in enumerate(row) if bucket >= 0]
        others = set[int]()
        for band, bucket in mine:
            other = heads[bucket]
            while other >= 0:
                if decisive[other] == decisive[one]:
                    others.add(other)
                other = int(links[other, band])
        scored = [(jaccard(sets[one], sets[other], threshold), -other) for other in others]
        score, closest = max(scored, default=(0.0, 0))
        if score >= threshold:
            joined[one] = (-closest, score)
        else:
            for band, bucket in mine:
                links[one, band], heads[bucket] = heads[bucket], one
    return joined


def jaccard(one: NDArray[np.uint32], other: NDArray[np.uint32], least: float = 0.0) -> float:
    """Jaccard index of two sorted sets; 0 where their sizes alone keep it below `least`."""
    if min(one.size, other.size) < least * max(one.size, other.size):
        return 0.0
    common = np.intersect1d(one, other, assume_unique=True).size
    return float(common / (one.size + other.size - common))


def _matches(ids: Sequence[str], exact: Places, near: dict[int, tuple[int, float]]) -> Iterator[tuple[str, Match]]:
    for place, first in enumerate(exact.tolist()):
        if first in near:
            representative, similarity = near[first]
            yield ids[place], Match(ids[representative], similarity, exact=False)
        elif first != place:
            yield ids[place], Match(ids[first], 1.0, exact=True)


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    iterator = iter(documents)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
