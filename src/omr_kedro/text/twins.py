"""Which known problems may be the same as a new one: equal ones, the most alike, those that share a long passage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from omr_kedro.text.ngrams import NGramIndex, containment
from omr_kedro.text.normal import math_tokens, normal_form
from omr_kedro.text.retrieval import Retriever


@dataclass(frozen=True, slots=True)
class Twin:
    """A known problem that should be compared with a new one."""

    index: int
    """Place among the known texts."""
    rank: int
    """1 for the statement that is looked at first; known texts that differ in dress alone share one."""
    found_by: str
    """The ways in which it was found, in this order, joined by `, `: `exact`, the retriever's name, `ngram`."""
    score: float | None
    """The retriever's, for what the retriever found."""
    containment: tuple[float, float]
    """Share of the known text's long and short n-grams that the new one holds."""

    @property
    def exact(self) -> bool:
        """Whether both are equal but for dress."""
        return self.found_by.startswith("exact")


class TwinFinder:
    """All known problems that a new one should be compared with.

    For each new problem: every equal one; the `k` most alike, as the retriever sees it; and the `k` that share the most
    long n-grams with it, whether or not the retriever found them. Known texts that differ in dress alone are one to the
    retriever, so that copies of a problem in several benchmarks do not crowd out others; each of them is a match.
    """

    def __init__(
        self,
        texts: Sequence[str],
        name: str,
        make_retriever: Callable[[Sequence[str]], Retriever],
        ngrams: tuple[int, int],
    ) -> None:
        """Index the known texts.

        Args:
            texts: known problems.
            name: of the retriever, as `found_by` will say.
            make_retriever: makes an index of texts, all different.
            ngrams: length of the long and the short n-grams, in tokens.
        """
        self._copies: dict[str, list[int]] = {}
        for index, text in enumerate(texts):
            self._copies.setdefault(normal_form(text), []).append(index)
        self._places = {form: place for place, form in enumerate(self._copies)}
        self._members = list(self._copies.values())
        firsts = [texts[members[0]] for members in self._members]
        self._tokens = [math_tokens(text) for text in firsts]
        self._name, self._ngrams = name, ngrams
        self._retriever = make_retriever(firsts)
        self._long_grams = NGramIndex(self._tokens, *ngrams)

    def find(self, queries: Sequence[str], k: int) -> list[list[Twin]]:
        """The matches of each query, by rank."""
        hits = self._retriever.search(queries, k)
        return [
            self._matches(query, {hit.index: hit.score for hit in found}, k)
            for query, found in zip(queries, hits, strict=True)
        ]

    def _matches(self, query: str, scores: dict[int, float], k: int) -> list[Twin]:
        tokens = math_tokens(query)
        equal = self._places.get(form) if (form := normal_form(query)) else None
        overlaps = [overlap.index for overlap in self._long_grams.search(tokens, k)]
        places = dict.fromkeys([*([] if equal is None else [equal]), *scores, *overlaps])
        matches = []
        for rank, place in enumerate(places, start=1):
            ways = {"exact": place == equal, self._name: place in scores, "ngram": place in overlaps}
            found_by = ", ".join(way for way, found in ways.items() if found)
            shares = [round(containment(self._tokens[place], tokens, n), 4) for n in self._ngrams]
            matches += [
                Twin(index, rank, found_by, scores.get(place), (shares[0], shares[1])) for index in self._members[place]
            ]
        return matches
