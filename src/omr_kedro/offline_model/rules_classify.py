"""The four kinds of problems that are set apart: proof, multiple choice, yes/no, invalid."""

from __future__ import annotations

import re
from itertools import pairwise

from omr_kedro.offline_model.forum import FIGURE
from omr_kedro.offline_model.signs import asks_proof, asks_value, has_formula, has_maths, has_task, pieces

_FEWEST_OPTIONS = 3
_MOST_OPTIONS = 5
_LONGEST_OPTION = 160
_FEWEST_WORDS = 4
_LONGEST_DEFINITION = 80

_OPTION = re.compile(r"\((?P<in>[A-Ea-e])\)|(?:^|(?<=[\s{]))(?P<bare>[A-E])[.)](?=[\s}$])")
_YES_NO = re.compile(
    r"(?:^|[,:;]\s|\b(?:then|and|but|or)\s)(?:\([a-z0-9]\)\s)?"
    r"(?:is|are|was|does|do|can|could|must|will|would|has|have|should|existe|es cierto|est-ce|gibt es|ist)\b[^?]*\?",
    re.IGNORECASE,
)
_OPEN_QUESTION = re.compile(r"\b(?:how|what|which|when|where|who|why|find|compute|solve|evaluate)\b", re.IGNORECASE)
_WHETHER = re.compile(
    r"\b(?:true or false|yes or no|is it true|(?:determine|decide|check|tell|say) (?:if|whether)\b"
    r"|whether or not|does there exist|do there exist|(?:prove|proof) or (?:disprove|give|find))",
    re.IGNORECASE,
)
_ABSENT = re.compile(
    r"\b(?:attach(?:ed|ment)|(?:see|in|from) the (?:figure|diagram|picture|image|graph|table)\b"
    r"|(?:figure|diagram|picture|image|table) (?:below|above|shown|attached)|as (?:shown|pictured)\b"
    r"|(?:previous|preceding|last|earlier|above) (?:problem|question|exercise|part|result|post|thread)"
    r"|(?:problem|question|exercise) (?:above|before|\d+ (?:above|from))|same (?:problem|question) (?:as|but)"
    r"|see (?:here|link|page|book)|(?:on|of) page \d|in (?:my|the|our) (?:book|textbook)|theorem \d+\.\d+)",
    re.IGNORECASE,
)
_DEFINITION = re.compile(
    r"\bwhat (?:is|are|does|do) (?:meant by|the (?:definition|meaning|difference)|an?\b|[a-z' -]{1,40}\bmean\b)"
    r"|\b(?:define|explain|describe|who (?:invented|discovered|proved))\b|\b(?:definition|meaning) of\b",
    re.IGNORECASE,
)
_OPINION = re.compile(
    r"\b(?:do you (?:think|like|prefer|know)|your (?:opinion|favou?rite)|best (?:book|way)|recommend|should i)\b",
    re.IGNORECASE,
)


def is_proof(problem: str) -> bool:
    """Whether only a proof is asked for; a value to be found as well makes it a problem with an answer."""
    return asks_proof(problem) and not asks_value(problem)


def is_mcq(problem: str) -> bool:
    """Whether lettered options follow the question. Lettered parts that each give an order are none."""
    options = list(_OPTION.finditer(problem))
    return any(
        _is_row(problem, options[start : start + _MOST_OPTIONS])
        for start in range(len(options))
        if _letter(options[start]) == "a"
    )


def is_binary(problem: str) -> bool:
    """Whether yes or no would answer all that is asked."""
    if any(asks_value(piece) and not _WHETHER.search(piece) for piece in pieces(problem)):
        return False
    return _WHETHER.search(problem) is not None or any(_is_yes_no(piece) for piece in pieces(problem))


def is_invalid(problem: str) -> bool:
    """Whether something is missing, or nothing is asked that has an answer; when in doubt a problem is valid."""
    return (
        FIGURE in problem
        or _ABSENT.search(problem) is not None
        or _too_short(problem)
        or not (has_task(problem) or "?" in problem)
        or not has_maths(problem)
        or _is_talk(problem)
    )


def _letter(option: re.Match[str]) -> str:
    return str(option["in"] or option["bare"]).lower()


def _is_row(problem: str, options: list[re.Match[str]]) -> bool:
    row = options[:1]
    for former, option in pairwise(options):
        if ord(_letter(option)) != ord(_letter(former)) + 1:
            break
        row.append(option)
    return len(row) >= _FEWEST_OPTIONS and not any(_is_part(problem, *pair) for pair in pairwise(row))


def _is_part(problem: str, option: re.Match[str], following: re.Match[str]) -> bool:
    text = problem[option.end() : following.start()]
    return len(text) > _LONGEST_OPTION or not text.strip(" ,;/") or has_task(text)


def _is_yes_no(piece: str) -> bool:
    # Cut behind its last question mark, the text is scanned to a question mark once, not once for each verb.
    question = _YES_NO.search(piece[: piece.rfind("?") + 1])
    return question is not None and not _OPEN_QUESTION.search(question[0])


def _too_short(problem: str) -> bool:
    return len(problem.split()) < _FEWEST_WORDS and not has_formula(problem)


def _is_talk(problem: str) -> bool:
    if _OPINION.search(problem):
        return True
    return len(problem) <= _LONGEST_DEFINITION and not has_formula(problem) and _DEFINITION.search(problem) is not None
