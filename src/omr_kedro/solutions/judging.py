"""Whether the answer of a class of solutions is the reference answer, by the cheapest way that can tell.

The ladder, one answer at a time:

1. **Text**: both read the same once dress is taken off; or the answer holds nothing to compare.
2. **Computation**: the grading workers find both equal, whichever stands first, or both are numbers that differ, and no
   problem can change that (`answers.doubt`). A worker that ran out of time or memory says nothing.
3. **A judge model** for the rest, asked about both orders, and not told which answer is the reference. It decides only
   where both replies agree.

Rules are right when they say equal and too strict when they do not (recall 78 to 86 %, arXiv 2505.22203), so their
`unequal` goes on to the judge. Judges are talked into yes by answers that are none (the same paper), so those never
reach one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from omr_kedro.answers import Verdict, Workers, grade, has_answer, same_text, surely_differ, surely_equal
from omr_kedro.llm.calls import Completion
from omr_kedro.shards import unless_crashed
from omr_kedro.text import Unreadable, parse_label

SAME, DIFFERENT = "same", "different"
"""The labels of the prompt `judge_answer`."""
ORDERS = ("forward", "backward")
"""Reference first, and reference last."""
MAX_CHARS = 1000
"""Of an answer that a judge is shown; longer ones argue. Those of problems with an answer that can be checked have
some hundred at most."""


class Correctness(StrEnum):
    """Verdicts on the answer of a solution."""

    CORRECT = "correct"
    INCORRECT = "incorrect"
    UNDECIDED = "undecided"
    """Nobody knows: never read as wrong."""


class Rung(StrEnum):
    """Ways to a verdict, the cheapest first."""

    EQUAL_TEXT = "equal_text"
    SYMBOLIC = "symbolic"
    JUDGE = "judge"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on an answer, and the last way that was tried."""

    verdict: Correctness
    decided_by: Rung


def judge_without_model(pairs: Sequence[tuple[str, str]], workers: Workers) -> list[Judgement | None]:
    """The judgement on each pair of a reference and an answer, in their order; None where a judge must be asked.

    A pair on which a reader of ours crashes is undecided.

    Raises:
        GradingWorkerError: workers do not start.
    """
    by_text = [unless_crashed(_crashed, _by_text, *pair) for pair in pairs]
    open_pairs = [pair for pair, judgement in zip(pairs, by_text, strict=True) if judgement is None]
    forward = grade(open_pairs, workers)
    backward = grade([(answer, reference) for reference, answer in open_pairs], workers)
    found = zip(open_pairs, forward, backward, strict=True)
    computed = (unless_crashed(_crashed, _by_computation, *each) for each in found)
    return [judgement or next(computed) for judgement in by_text]


def questions(problem: str, reference: str, answer: str) -> dict[str, dict[str, str]]:
    """The values of the prompt's fields for each of the `ORDERS`."""
    pairs = ((reference, answer), (answer, reference))
    return {
        order: {"problem": problem, "answer_a": first, "answer_b": second}
        for order, (first, second) in zip(ORDERS, pairs, strict=True)
    }


def opinion(completion: Completion | None, labels: Sequence[str] = (SAME, DIFFERENT)) -> str:
    """The label that a judge's reply gives, or the reason why it gives none; None stands for a call never made."""
    if completion is None:
        return "not_asked"
    if completion.error_kind:
        return completion.error_kind
    if completion.cut:
        return "cut"
    label = parse_label(completion.text, labels)
    return label.reason if isinstance(label, Unreadable) else label


def judge_by_opinions(opinions: Mapping[str, str]) -> Judgement:
    """The judgement of a judge model from its opinions on both orders: undecided unless they are one label."""
    said = {opinions.get(order) for order in ORDERS}
    verdict = {SAME: Correctness.CORRECT, DIFFERENT: Correctness.INCORRECT}
    label = said.pop() if len(said) == 1 else None
    return Judgement(verdict.get(label or "", Correctness.UNDECIDED), Rung.JUDGE)


def _crashed(error: str) -> Judgement:
    del error
    return Judgement(Correctness.UNDECIDED, Rung.SYMBOLIC)


def _by_text(reference: str, answer: str) -> Judgement | None:
    if not has_answer(answer):
        return Judgement(Correctness.INCORRECT, Rung.EQUAL_TEXT)
    return Judgement(Correctness.CORRECT, Rung.EQUAL_TEXT) if same_text(reference, answer) else None


def _by_computation(pair: tuple[str, str], forward: Verdict, backward: Verdict) -> Judgement | None:
    if forward is backward is Verdict.EQUAL and surely_equal(*pair):
        return Judgement(Correctness.CORRECT, Rung.SYMBOLIC)
    if Verdict.EQUAL not in (forward, backward) and surely_differ(*pair):
        return Judgement(Correctness.INCORRECT, Rung.SYMBOLIC)
    if not has_answer(pair[0]) or max(map(len, pair)) > MAX_CHARS:
        return Judgement(Correctness.UNDECIDED, Rung.SYMBOLIC)
    return None
