"""Fragments of solutions that compute: each piece of code with its output and the text around it.

A judge is shown a fragment, and not the whole solution, to tell whether its code was of use. Code is found by the turns
of its conversation and told to have failed by the status of its run: neither by tags in a text, nor by words in an
output, which may say anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from omr_kedro.answers import parse_answer
from omr_kedro.answers.stated import boxed_answers, said_answers
from omr_kedro.shards import Row, content_id
from omr_kedro.solutions.answer_classes import equal_answers, equal_both_ways
from omr_kedro.solutions.code_blocks import FENCED, without_block

COMPLETED = "completed"
"""The status of code that ran to its end without raising (`sandbox.Status`)."""
CUT = "[…]"
"""Stands where text around code is left out."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a conversation, as a row of `tables.TIR_TURNS` tells it."""

    turn: int
    """Number of the model's reply that it belongs to."""
    kind: Literal["reasoning", "text", "code", "output"]
    text: str
    status: str | None = None
    """Of an output: how its code ended."""


@dataclass(frozen=True, slots=True)
class Computation:
    """A piece of code in a solution, and all text on both sides up to the code next to it."""

    before: str
    code: str
    output: str
    status: str | None
    """None where no output stands behind the code."""
    after: str


@dataclass(frozen=True, slots=True)
class Fragment:
    """A computation as a judge is shown it."""

    fragment_id: str
    """Content id of the solution and the whole computation: the window makes no difference."""
    number: int
    """Of the computation in its solution, from 0."""
    text: str


def pieces_of(turns: Iterable[Row]) -> list[Piece]:
    """The pieces of one conversation, in its order, from its rows of `tables.TIR_TURNS` in any order."""
    ordered = sorted(turns, key=lambda row: row["position"])
    return [Piece(row["turn"], row["kind"], row["text"], row["status"]) for row in ordered]


def computations(pieces: Sequence[Piece]) -> list[Computation]:
    """All code of a solution, in its order.

    Args:
        pieces: of the conversation, in its order; an output stands right behind its code. A text may end with the block
            of the code that follows it, as the model wrote it: that is taken off.
    """
    texts, runs = [""], list[tuple[str, Piece]]()
    for piece, following in zip(pieces, [*pieces[1:], None], strict=False):
        if piece.kind == "code":
            output = following if following and following.kind == "output" else Piece(piece.turn, "output", "")
            runs.append((piece.text, output))
            texts.append("")
        elif piece.kind != "output":
            text = piece.text
            if following and following.kind == "code":
                text = without_block(text, following.text)
            texts[-1] = "\n\n".join(filter(None, [texts[-1], text.strip()]))
    return [
        Computation(texts[place], code, output.text, output.status, texts[place + 1])
        for place, (code, output) in enumerate(runs)
    ]


def fragments_of(solution_id: str, made: Iterable[Computation], window: int) -> list[Fragment]:
    """The fragments of a solution, one for each computation that ran to its end; of equal ones the first.

    Args:
        solution_id: of the solution.
        made: its computations, in their order.
        window: characters of text on each side at most.
    """
    found: dict[str, Fragment] = {}
    for number, each in enumerate(made):
        if each.status == COMPLETED:
            fragment_id = content_id(solution_id, each.before, each.code, each.output, each.after)
            found.setdefault(fragment_id, Fragment(fragment_id, number, _shown(each, window)))
    return list(found.values())


def void_turns(pieces: Iterable[Piece]) -> int:
    """Replies that bring nothing on: they hold neither code nor an answer."""
    return sum(not _brings_on(list(turn)) for _, turn in groupby(pieces, lambda piece: piece.turn))


def answer_before_code(made: Sequence[Computation], answer: str) -> bool:
    """Whether a solution states its final answer before its first code, so that the code can only verify it.

    Answers are read out of that text (boxes, `the answer is`, `Answer:`) and compared as answers are: a number that
    merely stands there is none.
    """
    return bool(made) and any(equal_both_ways(answer, each, equal_answers) for each in _answers_in(made[0].before))


def _shown(made: Computation, window: int) -> str:
    before, after = made.before, made.after
    if len(before) > window:
        before = CUT + before[len(before) - window :]
    if len(after) > window:
        after = after[:window] + CUT
    block = f"{FENCED.begin}\n{made.code}\n{FENCED.end}{FENCED.output(made.output)}"
    return "\n".join(filter(None, [before, block.rstrip("\n"), after]))


def _brings_on(pieces: Sequence[Piece]) -> bool:
    if any(piece.kind == "code" and piece.text.strip() for piece in pieces):
        return True
    return any(next(_answers_in(piece.text), None) is not None for piece in pieces if piece.kind == "text")


def _answers_in(text: str) -> Iterator[str]:
    """The answers that a text states, in whatever way."""
    yield from boxed_answers(text)
    yield from said_answers(text)
    marked = parse_answer(text)
    if isinstance(marked, str):
        yield marked
