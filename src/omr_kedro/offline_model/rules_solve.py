"""Samples of solutions: right and wrong ones, and such as real models give and nobody can use.

Which one a request gets depends on the problem and on its seed alone, so that a run is the same each time and sees all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml

from omr_kedro.offline_model.replies import Reply
from omr_kedro.offline_model.rules_judge import same_problem

UNSOLVED = "None of my rules solves this problem, so I have no answer to give."
_DOUBT = "Wait, let me look at the last step once more. It looks right, but let me look at the last step once more. "
LOOP = (_DOUBT * 100).strip()
"""Thoughts that go round in circles."""


class Sample(StrEnum):
    """Kinds of samples."""

    RIGHT = "right"
    DRESSED = "dressed"
    """The right answer, written otherwise."""
    WRONG = "wrong"
    VAGUE = "vague"
    """Words about the answer in the box, of which a judge may think one thing or the other."""
    CUT = "cut"
    """Ended by the server in the middle of the reasoning."""
    LOOPING = "looping"
    """Reasoning that says the same again and again, and a solution after it."""
    UNBOXED = "unboxed"
    MISPLACED = "misplaced"
    """All of it where the reasoning should be."""


ORDER = (
    Sample.RIGHT, Sample.DRESSED, Sample.RIGHT, Sample.WRONG, Sample.RIGHT, Sample.CUT,
    Sample.RIGHT, Sample.UNBOXED, Sample.LOOPING, Sample.RIGHT, Sample.VAGUE, Sample.MISPLACED,
)  # fmt: skip
"""The kinds by seed, beginning with another one for each problem, again and again."""


class Worked(NamedTuple):
    """A problem and two solutions of it, as in `worked_problems.yml`."""

    problem: str
    idea: str
    steps: str
    answer: str
    same_answer: str
    slip: str
    wrong_answer: str
    cells: tuple[str, ...]
    """Code that gives the answer, each piece on top of those before; the last one raises without them."""
    slip_cell: str
    """Code that gives the wrong answer by itself."""


def solve(problem: str, seed: int) -> Reply:
    """The reply of the stage."""
    for place, worked in enumerate(worked_problems()):
        if same_problem(worked.problem, problem):
            return _apart(_SAMPLES[ORDER[(place + seed) % len(ORDER)]](worked), seed)
    return Reply(UNSOLVED)


@cache
def worked_problems() -> tuple[Worked, ...]:
    """All problems that have a solution here, in the order of their kinds of samples."""
    text = Path(__file__).with_name("worked_problems.yml").read_text("utf-8")
    return tuple(Worked(**entry | {"cells": tuple(entry["cells"])}) for entry in yaml.safe_load(text))


def _apart(reply: Reply, seed: int) -> Reply:
    """The reasoning in a field of its own, or before the solution in its tags: servers do either."""
    if seed % 2 or not (reply.content and reply.reasoning):
        return reply
    return Reply(f"<think>\n{reply.reasoning}\n</think>\n\n{reply.content}")


def _solution(worked: Worked, steps: str, box: str, doubt: str = _DOUBT) -> Reply:
    thoughts = [worked.idea, steps, doubt.strip(), "Yes. Now I write it down."]
    return Reply(f"{steps}\n\nThe answer is $\\boxed{{{box}}}$.", "\n\n".join(thoughts))


def _cut(worked: Worked) -> Reply:
    """Reasoning that stops in the middle; its tag is opened and never closed."""
    thoughts = f"{worked.idea}\n\n{worked.steps}"
    return Reply(f"<think>\n{thoughts[: len(thoughts) * 2 // 3]}", finish_reason="length")


def _unboxed(worked: Worked) -> Reply:
    reply = _solution(worked, worked.steps, worked.answer)
    return reply._replace(content=worked.steps)


def _misplaced(worked: Worked) -> Reply:
    reply = _solution(worked, worked.steps, worked.answer)
    return Reply("", f"{reply.reasoning}\n\n{reply.content}")


_SAMPLES: Mapping[Sample, Callable[[Worked], Reply]] = {
    Sample.RIGHT: lambda worked: _solution(worked, worked.steps, worked.answer),
    Sample.DRESSED: lambda worked: _solution(worked, worked.steps, worked.same_answer),
    Sample.WRONG: lambda worked: _solution(worked, worked.slip, worked.wrong_answer),
    Sample.VAGUE: lambda worked: _solution(worked, worked.steps, f"\\text{{about }} {worked.answer}"),
    Sample.CUT: _cut,
    Sample.LOOPING: lambda worked: _solution(worked, worked.steps, worked.answer, LOOP),
    Sample.UNBOXED: _unboxed,
    Sample.MISPLACED: _misplaced,
}
