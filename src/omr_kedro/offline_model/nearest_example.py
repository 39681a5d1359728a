"""A label for prompts that have no rule of their own: that of the worked example which is most alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from omr_kedro.llm.calls import Prompt
from omr_kedro.text import math_tokens


def nearest_reply(prompt: Prompt, values: Mapping[str, str]) -> str:
    """The reply of the worked example that shares most of its words with a row; of the first, where several do.

    Args:
        prompt: has worked examples.
        values: the row's, by field of the prompt.
    """
    own = _words(values.values())
    return max(prompt.examples, key=lambda example: _likeness(own, _words(example.fields.values()))).reply


def _words(texts: Iterable[str]) -> set[str]:
    return {token for text in texts for token in math_tokens(text)}


def _likeness(one: set[str], other: set[str]) -> float:
    """Jaccard index."""
    return len(one & other) / max(len(one | other), 1)
