"""The label that a model gave."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from omr_kedro.text.replies import Unreadable, final_text, why_unreadable

_VERDICT_WORD = r"(?:answer|label|classification|category|verdict|conclusion|result|output|judge?ment|decision)"
_LATEX_WRAPPER = re.compile(r"\\(?:boxed|fbox|text|textbf|mathrm|mathbf)[ \t]*+\{")
_SENTENCE_END = re.compile(r"[.;!\n]")
_GAP = r"[\s_-]{1,5}"


@dataclass(frozen=True, slots=True)
class _Finders:
    """The places where a label is a verdict, as patterns for one set of choices; the label's group is `c<index>`."""

    json: re.Pattern[str]
    stated: re.Pattern[str]
    concluded: re.Pattern[str]
    alone: re.Pattern[str]


def parse_label(reply: str, choices: Sequence[str]) -> str | Unreadable:
    """The one choice that the reply gives as its verdict, spelled as in `choices`.

    A choice is a verdict, in falling order of authority:

    1. as the value of the key `label` in JSON;
    2. after `Answer:`, `Classification:` and the like at the start of a line, or at the end of a last line such as
       `so the label is X` or `I classify it as X`;
    3. as a sentence or line of its own, which a comma or a bracket with the reason may follow.

    The highest place that holds any verdict decides, and its verdicts must agree. Case, quotes, markdown, `-` or `_`
    for a space, and an article ("not a proof") make no difference: the negation is explicit, so nothing is guessed. A
    choice within other prose ("this needs no proof", "non-proof", "Proof: no") is no verdict.
    """
    text = _LATEX_WRAPPER.sub("", final_text(reply))
    finders = _finders(tuple(choices))
    for find in (_in_json, _in_statements, _on_their_own):
        if found := {choices[index] for index in find(text, finders)}:
            return found.pop() if len(found) == 1 else Unreadable("unparsed", f"gives the labels {sorted(found)}")
    return why_unreadable(text)


def _in_json(text: str, finders: _Finders) -> set[int]:
    return {_index(found) for found in finders.json.finditer(text)}


def _in_statements(text: str, finders: _Finders) -> set[int]:
    found = {_index(match) for match in finders.stated.finditer(text)}
    last_line = text[text.rfind("\n") + 1 :]
    concluded = finders.concluded.search(last_line)
    return found | ({_index(concluded)} if concluded else set())


def _on_their_own(text: str, finders: _Finders) -> set[int]:
    matches: Callable[[str], re.Match[str] | None] = finders.alone.fullmatch
    return {_index(found) for piece in _SENTENCE_END.split(text) if (found := matches(piece))}


def _index(found: re.Match[str]) -> int:
    return int(str(found.lastgroup).removeprefix("c"))


@lru_cache(maxsize=32)
def _finders(choices: tuple[str, ...]) -> _Finders:
    label = _label_pattern(choices)
    mark = r"[^\w\n]{0,12}"
    stop = r"""(?=[^\w\n]*+$|[*_"'’”`]{0,4}[ ]{0,2}[.,;(—–])"""
    verdict = rf"(?:(?:my|the|final)[ ]){{0,2}}{_VERDICT_WORD}"
    flags = re.IGNORECASE | re.MULTILINE
    return _Finders(
        json=re.compile(rf"""["']label["']\s*+:\s*+["']?\s*+{label}\s*+["'}},\n]""", flags),
        stated=re.compile(rf"^[^\w\n]*+{verdict}[*_]{{0,3}}[ ]?[:：=]{mark}{label}{stop}", flags),
        concluded=re.compile(
            rf"\b(?:{verdict}[ ](?:is|as)|(?:classif|label)\w{{0,5}}(?:[ ]\w+){{0,4}}[ ]as)"
            rf"\b{mark}{label}[^\w\n]*+$",
            flags,
        ),
        alone=re.compile(rf"[\W_]*+{label}(?:[^\w,(—–]*+|[^\w,(—–]*+[,(—–].*)", flags | re.DOTALL),
    )


def _label_pattern(choices: tuple[str, ...]) -> str:
    """All choices as named groups, the longest first: `proof` must never be read out of `not proof`."""
    ordered = sorted(range(len(choices)), key=lambda index: -len(choices[index]))
    groups = "|".join(f"(?P<c{index}>{_words(choices[index])})" for index in ordered)
    return rf"(?:an?[ ])?(?:{groups or '(?!)'})(?!\w)"


def _words(choice: str) -> str:
    return rf"{_GAP}(?:an?{_GAP})?".join(re.escape(word) for word in re.split(r"[\s_-]+", choice.strip()))
