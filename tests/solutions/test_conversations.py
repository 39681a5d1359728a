from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.solutions.code_blocks import FENCED, TOOL_CALL, CodeTags
from omr_kedro.solutions.conversations import as_messages, as_text
from omr_kedro.solutions.fragments import Piece

TAGS = pytest.mark.parametrize("tags", [FENCED, TOOL_CALL])
WORDS = st.text(alphabet="abc \n", max_size=8)
CODE = st.from_regex(r"\A[a-c]=[0-9](\n[a-c]=[0-9]){0,2}\Z")
LINES = ("```", "```python", "```output", "</tool_call>", "<tool_call>", " ```", "```\n```python\nx\n```", "1", "")
HOSTILE = st.lists(st.sampled_from(LINES), max_size=5).map("\n".join)
RUNS = st.lists(st.tuples(CODE, HOSTILE), max_size=3)
TURNS = st.lists(st.tuples(WORDS, WORDS, RUNS), min_size=1, max_size=4)

Turns = list[tuple[str, str, list[tuple[str, str]]]]


def pieces_of(turns: Turns) -> list[Piece]:
    """Reasoning, text, and runs of each turn, as a conversation by tools has them."""
    return [piece for number, turn in enumerate(turns) for piece in _pieces(number, *turn)]


def _pieces(number: int, reasoning: str, text: str, runs: list[tuple[str, str]]) -> list[Piece]:
    said = [Piece(number, "reasoning", reasoning)] if reasoning else []
    said += [Piece(number, "text", text)] if text else []
    for code, output in runs:
        said += [Piece(number, "code", code), Piece(number, "output", output, "completed")]
    return said


def by_text(talk: list[Piece], tags: CodeTags) -> list[Piece]:
    """The same with each code at the end of its text, as a model writes it that is asked for text."""
    found: list[Piece] = []
    for piece in talk:
        if piece.kind == "code":
            before = found.pop().text if found and found[-1].kind == "text" and found[-1].turn == piece.turn else ""
            found.append(Piece(piece.turn, "text", f"{before}\n{tags.begin}\n{piece.text}\n{tags.end}\n"))
        found.append(piece)
    return found


def blocks_in(text: str, tags: CodeTags) -> list[tuple[str, str]]:
    """Code and output of each block in a text, as a reader of the published string finds them: line by line."""
    found: list[tuple[str, str]] = []
    lines = iter(text.split("\n"))
    for line in lines:
        if line == tags.begin:
            code = "\n".join(iter(lambda: next(lines), tags.end))
            assert next(lines) == tags.output_begin
            found.append((code, "\n".join(iter(lambda: next(lines), tags.output_end))))
    return found


@TAGS
@given(turns=TURNS)
def test_the_string_holds_each_piece_of_code_with_its_output_whatever_that_says(tags: CodeTags, turns: Turns) -> None:
    talk = pieces_of(turns)
    text = as_text(talk, tags)
    found = blocks_in(text, tags)
    assert [code for code, _ in found] == [piece.text for piece in talk if piece.kind == "code"]
    outputs = [piece.text for piece in talk if piece.kind == "output"]
    for (_, shown), output in zip(found, outputs, strict=True):
        said = [line.strip() for line in output.rstrip("\n").split("\n")]
        assert [line.strip() for line in shown.rstrip("\n").split("\n")] == said, "not a word is lost"


@TAGS
@pytest.mark.parametrize("written", [FENCED, TOOL_CALL])
@given(turns=TURNS)
def test_the_string_is_the_same_whether_the_model_wrote_its_code_as_text_or_as_calls(
    tags: CodeTags, written: CodeTags, turns: Turns
) -> None:
    talk = pieces_of(turns)
    assert _squeezed(as_text(by_text(talk, written), tags)) == _squeezed(as_text(talk, tags))


def _squeezed(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


@given(TURNS)
def test_every_call_has_its_answer_right_behind_it_and_in_its_order(turns: Turns) -> None:
    talk = pieces_of(turns)
    messages = as_messages("What is it?", talk)
    assert messages[0] == {"role": "user", "content": "What is it?"}
    waiting: list[str] = []
    seen: list[tuple[str, str]] = []
    for message in messages[1:]:
        if message["role"] == "tool":
            assert message["tool_call_id"] == waiting.pop(0), "in the order of the calls"
            seen.append((message["tool_call_id"], message["content"]))
        else:
            assert not waiting, "a reply comes after all answers"
            waiting = [call["id"] for call in message.get("tool_calls", [])]
    assert not waiting
    assert len({name for name, _ in seen}) == len(seen)
    assert [content for _, content in seen] == [piece.text for piece in talk if piece.kind == "output"]
    assert codes(messages) == [piece.text for piece in talk if piece.kind == "code"]


def codes(messages: list[dict[str, Any]]) -> list[str]:
    """The code of each call."""
    calls = (call for message in messages for call in message.get("tool_calls", []))
    return [json.loads(call["function"]["arguments"])["code"] for call in calls]


@pytest.mark.parametrize("tags", [FENCED, TOOL_CALL])
def test_code_that_stands_in_the_text_is_a_call_and_no_content(tags: CodeTags) -> None:
    talk = by_text(pieces_of([("", "I count.", [("a=1", "1\n")]), ("", "It is \\boxed{1}.", [])]), tags)
    _, first, output, last = as_messages("How many?", talk)
    assert (first["content"], codes([first])) == ("I count.", ["a=1"])
    assert (output["role"], output["content"]) == ("tool", "1\n")
    assert last == {"role": "assistant", "content": "It is \\boxed{1}."}


def test_thinking_that_goes_on_over_several_turns_is_reasoning_in_each_of_them() -> None:
    turns: Turns = [
        ("", "<think>\nI count.", [("a=1", "1\n")]),
        ("", "One, and once more.", [("b=2", "</think>\n")]),
        ("", "Both agree.\n</think>\n\nIt is \\boxed{1}.", []),
    ]
    said = [message for message in as_messages("How many?", pieces_of(turns)) if message["role"] == "assistant"]
    assert [(message.get("reasoning"), message["content"]) for message in said] == [
        ("I count.", ""),
        ("One, and once more.", ""),
        ("Both agree.", "It is \\boxed{1}."),
    ]
    assert [len(message.get("tool_calls", [])) for message in said] == [1, 1, 0]


def test_after_the_thought_a_later_turn_is_content_again() -> None:
    turns: Turns = [("", "I think.</think>Let me compute.", [("a=1", "1\n")]), ("", "It is 1.", [])]
    said = [message for message in as_messages("How many?", pieces_of(turns)) if message["role"] == "assistant"]
    assert [(message.get("reasoning"), message["content"]) for message in said] == [
        ("I think.", "Let me compute."),
        (None, "It is 1."),
    ]


def test_what_a_server_told_apart_as_reasoning_stays_so() -> None:
    (_, said, _) = as_messages("How many?", pieces_of([("I think.", "", [("a=1", "1\n")])]))
    assert (said["reasoning"], said["content"], codes([said])) == ("I think.", "", ["a=1"])


def test_a_conversation_of_which_nothing_is_known_is_empty() -> None:
    assert as_text([], FENCED) == ""
    assert as_messages("How many?", []) == [{"role": "user", "content": "How many?"}]
