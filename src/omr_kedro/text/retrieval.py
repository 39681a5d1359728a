"""Which known texts are most like a new one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import bm25s

from omr_kedro.text.normal import math_tokens

# The package sets its own logger to DEBUG when it is imported.
logging.getLogger("bm25s").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Hit:
    """A known text, by its place in the index, and how like the query it is."""

    index: int
    score: float


class Retriever(Protocol):
    """Finds the known texts that are most like a query."""

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """For each query at most `k` hits, best first; texts that share nothing with it are none."""
        ...


class LexicalRetriever:
    """BM25 over words, numbers and LaTeX commands: exact, needs no model, blind to paraphrase in other words."""

    def __init__(self, texts: Sequence[str]) -> None:
        tokens = [math_tokens(text) for text in texts]
        # The library cannot index texts that hold no word at all.
        self._size = len(texts) if any(tokens) else 0
        self._index = bm25s.BM25()
        if self._size:
            self._index.index(tokens, show_progress=False)

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """See `Retriever`."""
        tokens = [math_tokens(query) for query in queries]
        if not (self._size and tokens):
            return [[] for _ in queries]
        found, scores = self._index.retrieve(tokens, k=min(k, self._size), show_progress=False)
        return [
            [Hit(int(index), round(float(score), 4)) for index, score in zip(row, marks, strict=True) if score > 0]
            for row, marks in zip(found, scores, strict=True)
        ]
