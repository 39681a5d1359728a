"""Samples of solutions with code: code that helps, code that fails, and code without an end.

Which kind of sample a conversation is depends on the problem and on the seed of its first turn alone; later turns go
on with the kind that the first one began, which its words tell. The code is this project's own: it opens no file, and
but for one kind it ends at once.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

import orjson

from omr_kedro.offline_model.replies import Reply
from omr_kedro.offline_model.rules_judge import same_problem
from omr_kedro.offline_model.rules_solve import LOOP, UNSOLVED, Worked, worked_problems
from omr_kedro.offline_model.talk import Tags, Talk

_VALUE = re.compile(r"-?\d{1,30}(?:/\d{1,30})?")
"""Values that the code prints: whole numbers and fractions."""
_OPEN, _CLOSE, _BREAK = "<think>\n", "\n</think>\n\n", "\n\n"
_ENDLESS = "number = 0\nwhile True:\n    number += 1"


class Sample(StrEnum):
    """Kinds of samples."""

    COMPUTED = "computed"
    """One cell, which prints the answer."""
    STEPWISE = "stepwise"
    """Cells that build on each other, one in a turn."""
    AT_ONCE = "at_once"
    """Several calls of the tool in one turn; by text one after the other."""
    WRONG = "wrong"
    """Code with the slip that people make."""
    REPAIRED = "repaired"
    """Code that raises, and then code that does not."""
    ENDLESS = "endless"
    """Code that never ends, and then code that does."""
    RESTLESS = "restless"
    """More and more code, until no more is run; by text even then."""
    UNREADABLE = "unreadable"
    """Arguments that are no JSON, and then such that are; by text a block that does not begin as blocks do."""
    BY_HAND = "by_hand"
    """No code at all."""
    UNBOXED = "unboxed"
    CUT = "cut"
    """Ended by the server in the middle of the code."""
    LOOPING = "looping"
    """Code, and then thoughts that say the same again and again."""


ORDER = (
    Sample.COMPUTED, Sample.WRONG, Sample.STEPWISE, Sample.REPAIRED, Sample.CUT, Sample.AT_ONCE,
    Sample.RESTLESS, Sample.ENDLESS, Sample.UNREADABLE, Sample.BY_HAND, Sample.UNBOXED, Sample.LOOPING,
)  # fmt: skip
"""The kinds by seed, beginning with another one for each problem, again and again."""

_OPENINGS = {
    Sample.COMPUTED: "I let Python compute it.",
    Sample.STEPWISE: "I compute it step by step, and look at each result.",
    Sample.AT_ONCE: "I compute it in two pieces.",
    Sample.WRONG: "A short computation should do.",
    Sample.REPAIRED: "One line of Python gives the result.",
    Sample.ENDLESS: "I search all numbers, one after the other.",
    Sample.RESTLESS: "I compute it, and then I check it with as many cases as I may.",
    Sample.UNREADABLE: "I write the code down at once.",
    Sample.BY_HAND: "This needs no computer.",
    Sample.UNBOXED: "I compute it, for my own use.",
    Sample.CUT: "I begin with the computation.",
    Sample.LOOPING: "I compute it and look at the result once more.",
}
"""Words that a sample begins with; no two kinds begin with the same."""


class Step(NamedTuple):
    """A turn in which code is written."""

    thought: str
    cells: tuple[str, ...]
    readable: bool = True


def solve_tir(problem: str, seed: int, talk: Talk) -> Reply:
    """The reply of the stage: the next turn of the conversation."""
    for place, worked in enumerate(worked_problems()):
        if same_problem(worked.problem, problem):
            kind = _kind_of(talk) if talk.turns else ORDER[(place + seed) % len(ORDER)]
            return _next_turn(worked, kind, seed, talk)
    return Reply(UNSOLVED)


def _kind_of(talk: Talk) -> Sample:
    """The kind that a conversation began as; one that this server did not begin is ended without code."""
    begun = talk.turns[0].text
    return next((kind for kind, opening in _OPENINGS.items() if opening in begun), Sample.BY_HAND)


def _next_turn(worked: Worked, kind: Sample, seed: int, talk: Talk) -> Reply:
    steps, number = _steps(worked, kind, talk.tags), len(talk.turns)
    restless = kind is Sample.RESTLESS and (talk.may_run or talk.tags is not None)
    if restless or (talk.may_run and number < len(steps)):
        step = steps[number] if number < len(steps) else _check(number)
        thought = step.thought if number else _opened(worked, kind, seed, talk)
        return _cut(_written(step, thought, seed, talk.tags), kind)
    printed = _printed(talk) if number >= len(steps) else ""
    thoughts = [
        "" if number else _opened(worked, kind, seed, talk),
        f"The program prints {printed}." if printed else "No program has printed the answer, so this is by hand.",
        LOOP if kind is Sample.LOOPING else "",
    ]
    return _ended(_solution(worked, kind, printed), "\n\n".join(filter(None, thoughts)), seed, talk)


def _opened(worked: Worked, kind: Sample, seed: int, talk: Talk) -> str:
    """The first words; by text, half of the samples think in tags that the last turn closes."""
    thinks = _OPEN if talk.tags and seed % 2 else ""
    return f"{thinks}{worked.idea} {_OPENINGS[kind]}"


def _steps(worked: Worked, kind: Sample, tags: Tags | None) -> list[Step]:
    """The turns with code of a sample. By text, each cell has a turn of its own."""
    cells, whole = worked.cells, "\n".join(worked.cells)
    match kind:
        case Sample.BY_HAND:
            return []
        case Sample.STEPWISE:
            steps = [Step("", cells[:1]), *(Step("Now the next step.", (cell,)) for cell in cells[1:])]
        case Sample.AT_ONCE:
            steps = [Step("", tuple(cells))] if tags is None else [Step("And then:", (cell,)) for cell in cells]
        case Sample.WRONG:
            steps = [Step("", (worked.slip_cell,))]
        case Sample.REPAIRED:
            steps = [
                Step("", cells[-1:]),
                Step("The lines before it are missing. Once more, with all of them.", (whole,)),
            ]
        case Sample.ENDLESS:
            steps = [Step("", (_ENDLESS,)), Step("That takes too long. There is a better way.", (whole,))]
        case Sample.UNREADABLE:
            steps = [Step("", (whole,), readable=False), Step("As it should be written:", (whole,))]
        case _:
            steps = [Step("", (whole,))]
    return steps


def _check(number: int) -> Step:
    """One more cell of a restless sample; no two are the same."""
    return Step(f"Check number {number}.", (f"sum(n * n for n in range({number * 100}))",))


def _written(step: Step, thought: str, seed: int, tags: Tags | None) -> Reply:
    if tags is None:
        arguments = tuple(orjson.dumps({"code": cell}).decode() if step.readable else cell for cell in step.cells)
        # Servers have thoughts in a field of their own, or before the calls.
        return Reply("", thought, arguments=arguments) if seed % 2 else Reply(thought, arguments=arguments)
    break_after_tag = "\n" if step.readable else " "
    (cell,) = step.cells
    return Reply(f"{thought}\n\n{tags.begin}{break_after_tag}{cell}\n{tags.end}\n")


def _cut(reply: Reply, kind: Sample) -> Reply:
    """The reply, or of a sample that is cut the first part: without an end, and without calls."""
    if kind is not Sample.CUT:
        return reply
    part = len(reply.content) - len(reply.content) // 8
    return Reply(reply.content[:part], reply.reasoning, "length")


def _solution(worked: Worked, kind: Sample, printed: str) -> str:
    """The final text, whose answer is what the code printed, where it printed a value."""
    steps, by_hand = (worked.slip, worked.wrong_answer) if kind is Sample.WRONG else (worked.steps, worked.answer)
    box = "" if kind is Sample.UNBOXED else f"\n\nThe answer is $\\boxed{{{printed or by_hand}}}$."
    return f"{steps}{box}"


def _ended(solution: str, thoughts: str, seed: int, talk: Talk) -> Reply:
    """The last turn; thoughts stand in a field of their own, in the tags that the first turn opened, or in the text."""
    if talk.tags is None and seed % 2:
        return Reply(solution, thoughts)
    thinks = _OPEN in (talk.turns[0].text if talk.turns else thoughts)
    return Reply(f"{thoughts}{_CLOSE if thinks else _BREAK}{solution}")


def _printed(talk: Talk) -> str:
    """The last line of the last output before all checks, if it is a value."""
    outputs = [output for turn in talk.turns if not turn.text.startswith("Check number") for output in turn.outputs]
    last = outputs[-1].strip().rpartition("\n")[2] if outputs else ""
    return last if _VALUE.fullmatch(last) else ""
