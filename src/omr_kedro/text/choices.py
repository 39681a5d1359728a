"""The one of several numbered texts that a model chose."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from omr_kedro.text.boxes import find_boxes
from omr_kedro.text.replies import Unreadable, final_text, why_unreadable, without_fences

_WRAPPER = re.compile(r"\\(?:boxed|fbox|text|textbf|mathrm|mathbf)[ \t]*+\{")
_NAME = r"(?:solution|candidate|option|choice|number|index|no\.)s?"
_VALUE = rf"""
    [\s*_"'“”`$\[({{<\#]{{0,12}}+ (?:the[ ])? (?:{_NAME}[\s*_:=\[({{\#]{{0,6}}+){{0,2}}
    (?P<number>[0-9]{{1,9}}+)(?![.,]?[0-9])
    (?P<more>[\s\])}}*_$"'”`]{{0,8}}+(?:[,/&+=^–-]|\bor\b|\band\b)\s{{0,3}}+(?:{_NAME})?[\s*_\[({{\#]{{0,6}}+[0-9])?
"""
_STATED = re.compile(
    rf"""(?P<lead>^[^\w\n]{{0,12}}+)?(?:\b(?:my|the|final)[ ]){{0,3}}\b
         (?:(?P<judgement>judge?ment|verdict)
           | choice | selection | decision | pick
           | best(?:[ ](?:solution|candidate|option|one))?)
         [ ]?(?:number|index)?
         [*_"'\s]{{0,6}}+(?:(?P<colon>[:：=])|is(?:[ ]that)?\b|[–—-]{{1,2}}+(?=\s)|(?(lead)(?<=\n)|(?!)))
         (?:{_VALUE})?
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_IN_BOX = re.compile(rf"\W*+(?:{_NAME}\W*+)?([0-9]{{1,9}})\W*+", re.IGNORECASE)
_ABOUT_CHOICE = re.compile(
    r"\b(?:judge?ment|verdict|choice|selection|best|choose|select|solution|candidate)", re.IGNORECASE
)
_ABOUT_ANSWER = re.compile(r"\b(?:answers?|results?|values?)\b|=", re.IGNORECASE)


class _Stated(NamedTuple):
    start: int
    number: int | None
    """None where something else stands in its place, or several numbers do."""


def parse_choice(reply: str, count: int, answers: Sequence[str] = ()) -> int | Unreadable:
    r"""The number, from 1, of the text that the reply chooses.

    A choice is, in falling order of authority:

    1. a number after `Judgment:`, `**Judgement** = Solution`, `verdict is [`, and the like;
    2. one after `best`, `best solution is`, `my choice:`, `selection:`;
    3. one in the only box of the last line, unless that box may hold the answer of the problem: the line speaks of an
       answer, or a text has this answer and the line does not speak of a choice.

    The highest that there is decides, and of its statements the last. Others in the same paragraph must agree with it,
    and so must those of lower authority that come after it.

    Args:
        reply: of the model.
        count: of the texts.
        answers: final answers of the texts.

    Returns:
        The number, or `Unreadable` with the reason `out_of_range`, `contradictory`, or one of a reply without a choice.
    """
    text = without_fences(final_text(reply))
    plain = _WRAPPER.sub("", text)
    judgements = list(_statements(plain, judged=True))
    others = list(_statements(plain, judged=False))
    stated = judgements or others
    if not stated:
        number = _boxed(text, answers)
        return why_unreadable(text) if number is None else _in_range(number, count)
    last = stated[-1]
    paragraph = plain.rfind("\n\n", 0, last.start)
    said = {each.number for each in stated if each.start > paragraph} | {
        each.number for each in others if each.start > last.start
    }
    if said == {None}:
        return Unreadable("unparsed", _line_at(plain, last.start))
    if len(said) > 1 or last.number is None:
        return Unreadable("contradictory", _line_at(plain, last.start))
    return _in_range(last.number, count)


def _statements(text: str, *, judged: bool) -> Iterator[_Stated]:
    for found in _STATED.finditer(text):
        if (found["judgement"] is not None) != judged:
            continue
        if found["number"]:
            yield _Stated(found.start(), None if found["more"] else int(found["number"]))
        elif found["lead"] is not None and found["colon"] and judged:
            yield _Stated(found.start(), None)


def _boxed(text: str, answers: Sequence[str]) -> int | None:
    line = text.rstrip().rpartition("\n")[2]
    boxes = find_boxes(line)
    if len(boxes) != 1:
        return None
    inside = line[boxes[0].inside : boxes[0].end]
    found = _IN_BOX.fullmatch(_WRAPPER.sub("", inside))
    if found is None or _ABOUT_ANSWER.search(line):
        return None
    may_be_answer = found[1] in {"".join(char for char in answer if char.isdigit()) for answer in answers}
    return None if may_be_answer and not _ABOUT_CHOICE.search(line) else int(found[1])


def _in_range(number: int, count: int) -> int | Unreadable:
    if 1 <= number <= count:
        return number
    return Unreadable("out_of_range", f"it chooses {number} of {count}")


def _line_at(text: str, start: int) -> str:
    begin = text.rfind("\n", 0, start) + 1
    return text[begin:].lstrip().partition("\n")[0][:120]
