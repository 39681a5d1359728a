"""Assessments of extracted answers, made without solving the problem: is it usable, and does the thread agree?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from omr_kedro.answers.effort import Effort, ExhaustedError
from omr_kedro.answers.forms import Form, answer_form, asked_form, clash, dangling_choice
from omr_kedro.answers.functions import same_value
from omr_kedro.answers.grading import Verdict, grade
from omr_kedro.answers.grading_workers import Workers
from omr_kedro.answers.kinds import Kind, Reading
from omr_kedro.answers.readings import MAX_CHARS, read_answer
from omr_kedro.answers.stated import posts_of, stated_answers
from omr_kedro.answers.trees import Expr, number
from omr_kedro.answers.undefined import undefined_symbols
from omr_kedro.answers.words import is_settled_text
from omr_kedro.shards import unless_crashed


class Finding(StrEnum):
    """Doubts about an answer."""

    NON_ANSWER = "non_answer"
    """A proof, a reference to one, or the letter of an option that the statement does not list."""
    FORM_CLASH = "form_clash"
    """No answer to what is asked, by its form."""
    COPIED_EXAMPLE = "copied_example"
    """The answer of a worked example in the prompt, which the thread holds nowhere."""
    UNPARSABLE = "unparsable"
    """Cannot be compared with another answer but as text."""
    PARSE_TIMEOUT = "parse_timeout"
    UNDEFINED_SYMBOLS = "undefined_symbols"
    DISPUTED = "disputed"
    """Some post states another answer."""
    OUTVOTED = "outvoted"
    """More posts state another answer than this one."""
    CRASHED = "crashed"
    """A reader failed on the answer, the statement or the thread: a fault of this program. Nothing else is known."""


@dataclass(frozen=True, slots=True)
class Case:
    """An answer and where it comes from."""

    statement: str
    answer: str
    discussion: str
    sole: bool
    """Whether the thread poses this problem alone; else a value in a post may belong to another one."""
    copied: bool = False
    """Whether it is the answer of a worked example that the model was shown, and not in the thread."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """The findings about an answer, and the facts that they follow from."""

    parses: str
    """Whether it can be read as mathematics, and compared: `yes`, `no`, or `timeout`."""
    given: Form
    asked: Form
    clashes: bool
    undefined: tuple[str, ...]
    agreeing_posts: int
    disagreeing_posts: int
    undecided_posts: int
    """Posts with an answer that could not be compared within the limits."""
    findings: tuple[Finding, ...]


_UNKNOWN = Assessment("no", Form.UNKNOWN, Form.UNKNOWN, False, (), 0, 0, 0, (Finding.CRASHED,))
_MOST_COMPARED = 60
"""Answers that a thread states and that are compared with the extracted one, which may take seconds each; posts of
people state a handful. They are shared out among the posts, each of which gives its last ones."""


def assess(cases: Sequence[Case], workers: Workers) -> list[Assessment]:
    """Assess answers, in their order; all that may take long is done by the workers.

    Whatever happens while an answer is read is that answer's outcome (`Finding.CRASHED`).

    Raises:
        GradingWorkerError: workers do not start.
    """
    readable = _readable([case.answer for case in cases], workers)
    stated = [unless_crashed(_nothing_stated, _stated, case) for case in cases]
    pairs = [(case.answer, said) for case, posts in zip(cases, stated, strict=True) for post in posts for said in post]
    verdicts = iter(grade(pairs, workers))
    votes = [[(post, [next(verdicts) for _ in post]) for post in posts] for posts in stated]
    return [
        unless_crashed(lambda _: _UNKNOWN, _assess, case, parses, posts)
        for case, parses, posts in zip(cases, readable, votes, strict=True)
    ]


def _nothing_stated(error: str) -> list[list[str]]:
    del error
    return []


def _stated(case: Case) -> list[list[str]]:
    """The answers that each post states, as far as they are compared; posts that state nothing are left out."""
    stated = [answers for post in posts_of(case.discussion) if (answers := stated_answers(post))]
    share = max(1, _MOST_COMPARED // max(1, len(stated)))
    return [answers[-share:] for answers in stated[:_MOST_COMPARED]]


def _assess(case: Case, parses: str, posts: Sequence[tuple[Sequence[str], Sequence[Verdict]]]) -> Assessment:
    votes = [_vote(answers, verdicts) for answers, verdicts in posts]
    given, asked = answer_form(case.answer), asked_form(case.statement)
    dangling = dangling_choice(case.answer, case.statement)
    counts_against = case.sole and given is not Form.PARTS
    agreeing = votes.count(Verdict.EQUAL)
    disagreeing = votes.count(Verdict.UNEQUAL) if counts_against else 0
    undecided = sum(vote in {Verdict.TIMEOUT, Verdict.CRASHED} for vote in votes)
    undefined = undefined_symbols(case.answer, case.statement)
    clashes = clash(case.statement, given)
    found = {
        Finding.NON_ANSWER: given in {Form.PROOF, Form.REFERENCE} or dangling,
        Finding.FORM_CLASH: clashes,
        Finding.COPIED_EXAMPLE: case.copied,
        Finding.UNPARSABLE: parses == "no",
        Finding.PARSE_TIMEOUT: parses == "timeout",
        Finding.UNDEFINED_SYMBOLS: bool(undefined) and not dangling,
        Finding.DISPUTED: disagreeing > 0,
        Finding.OUTVOTED: disagreeing > agreeing,
    }
    findings = tuple(finding for finding, holds in found.items() if holds)
    return Assessment(
        parses,
        Form.CHOICE if dangling else given,
        asked,
        clashes,
        undefined,
        agreeing,
        disagreeing,
        undecided,
        findings,
    )


def _vote(answers: Sequence[str], verdicts: Sequence[Verdict]) -> Verdict | None:
    """The vote of one post: it agrees if it states the answer at all, and differs if it states values only."""
    if Verdict.EQUAL in verdicts:
        return Verdict.EQUAL
    undecided = [verdict for verdict in verdicts if verdict is not Verdict.UNEQUAL]
    if undecided:
        return undecided[0]
    return Verdict.UNEQUAL if any(_is_value(answer) for answer in answers) else None


def _is_value(answer: str) -> bool:
    reading = read_answer(answer)
    return reading.kind is not Kind.TEXT and (reading.kind is not Kind.VALUE or reading.tree is not None)


def _readable(answers: Sequence[str], workers: Workers) -> list[str]:
    """Whether each answer can be read and compared with others: `yes`, `no`, `timeout`."""
    known = {answer: unless_crashed(lambda _: "no", _readable_here, answer) for answer in dict.fromkeys(answers)}
    hard = [answer for answer, readable in known.items() if readable is None]
    replies = workers.run([("read", answer) for answer in hard])
    known |= {
        answer: reply if reply in {"yes", "no"} else "timeout" for answer, reply in zip(hard, replies, strict=True)
    }
    return [str(known[answer]) for answer in answers]


def _readable_here(answer: str) -> str | None:
    if len(answer) > MAX_CHARS:
        return "no"
    reading = read_answer(answer)
    if all(_is_readable(part) for part in _leaves([reading])):
        return "yes"
    return "no" if any(part.kind is Kind.TEXT and not _is_readable(part) for part in _leaves([reading])) else None


def _is_readable(leaf: Reading) -> bool:
    if leaf.kind is Kind.TEXT:
        return is_settled_text(leaf.text)
    return leaf.kind is not Kind.VALUE or (leaf.tree is not None and _has_a_value(leaf.tree))


def _has_a_value(tree: Expr) -> bool:
    """Whether it can be computed within bounds: a tower of powers is read in no time, and never evaluated."""
    try:
        return same_value(tree, Expr("add", (tree, number(0))), Effort()) is True
    except ExhaustedError:
        return False


def _leaves(readings: Iterable[Reading]) -> Iterator[Reading]:
    for reading in readings:
        if reading.parts:
            yield from _leaves(reading.parts)
        else:
            yield reading
