from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.text import (
    ReasonedReply,
    Unreadable,
    final_text,
    split_reasoning,
    why_unreadable,
    without_fences,
)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("plain", "plain"),
        ("  padded \n", "padded"),
        ("<think>one\ntwo</think>\n\nresult", "result"),
        ("no opening tag</think>result", "result"),
        ("<think>a</think>draft<think>b</think>result", "result"),
        ("<THINK>loud</THINK>result", "result"),
        ("<think>cut off in the middle", ""),
        ("before<think>cut off", "before"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("", ""),
    ],
)
def test_final_text_is_what_follows_the_reasoning(reply: str, text: str) -> None:
    assert final_text(reply) == text


@given(st.text())
def test_final_text_of_a_final_text_is_itself_when_it_holds_no_tags(reply: str) -> None:
    once = final_text(reply.replace("<", "").replace(">", ""))
    assert final_text(once) == once


@pytest.mark.parametrize("fence", ["```", "```markdown", "   ```json", "```\t"])
def test_fence_lines_go_and_their_content_stays(fence: str) -> None:
    assert without_fences(f"a\n{fence}\nb\n```\nc") == "a\nb\nc"


def test_backticks_within_a_line_are_no_fence() -> None:
    assert without_fences("use ```x``` here\n```x```") == "use ```x``` here\n```x```"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty_reply"),
        (" \n", "empty_reply"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("I’m sorry, but I can’t assist with this request.", "refusal"),
        ("As an AI model I am not able to fulfill this request.", "refusal"),
        ("Sorry, I cannot do this.", "refusal"),
        ("It cannot be divided by 3.", "unparsed"),
        ("Some words", "unparsed"),
    ],
)
def test_a_reply_without_result_gets_a_reason(text: str, reason: str) -> None:
    assert why_unreadable(text).reason == reason


def test_the_detail_is_one_short_line() -> None:
    detail = why_unreadable("a\nb " * 1000).detail
    assert detail.startswith("a b a b")
    assert "\n" not in detail
    assert len(detail) <= 120


def test_unreadable_compares_by_value() -> None:
    assert Unreadable("unparsed", "x") == Unreadable("unparsed", "x") != Unreadable("unparsed", "y")


@pytest.mark.parametrize(
    ("reply", "reasoning", "parts"),
    [
        ("result", None, ("", "result")),
        ("result", "", ("", "result")),
        (" result\r\n", " one\r\ntwo ", ("one\ntwo", "result")),
        ("<think>one\ntwo</think>\n\nresult", None, ("one\ntwo", "result")),
        ("\n<THINK>\none\n</THINK>result", None, ("one", "result")),
        ("the template has opened it\n</think>\nresult", None, ("the template has opened it", "result")),
        ("<think>\n\n</think>\n\nresult", None, ("", "result")),
        ("|a|<|b|>0", "a <tool_call> is < 5", ("a <tool_call> is < 5", "|a|<|b|>0")),
    ],
)
def test_reasoning_is_found_wherever_the_server_has_put_it(
    reply: str, reasoning: str | None, parts: tuple[str, str]
) -> None:
    found = split_reasoning(reply, reasoning)
    assert isinstance(found, ReasonedReply)
    assert (found.reasoning, found.text) == parts


@pytest.mark.parametrize(
    ("reply", "reasoning"),
    [
        ("", "the whole solution \\boxed{5}"),
        ("", 'I shall compute it. <tool_call>{"name": "python"}</tool_call>'),
        ("<think>cut off in the middle", None),
        ("<think>thought</think>", None),
        ("thought \\boxed{5}</think>", None),
        ("<think>a</think>draft<think>b</think>result", None),
        ("<think>a</think>result</think>", None),
        ("draft<think>a", None),
        ("</think>\nresult", "thought"),
        ("<think>thought</think>result", "thought"),
        ('<tool_call>\n{"name": "python"}\n</tool_call>', None),
        ('```json\n{\n "name": "python",\n "arguments": {"code": "print(5)"}}\n```\nSo it is \\boxed{5}.', None),
        ("<|python_tag|>print(5)", None),
        ("<｜tool▁calls▁begin｜>result", None),
        ("\\boxed{5}<|im_end|>", None),
        ("<function=python>", "thought"),
        ("result", "let me run it </tool_call>"),
        ("result", "let me run it <tool_call> print(5)"),
    ],
)
def test_a_reply_whose_parts_were_mixed_up_is_never_a_solution(reply: str, reasoning: str | None) -> None:
    found = split_reasoning(reply, reasoning)
    assert isinstance(found, Unreadable)
    assert found.reason == "unparsed_reply"
    assert found.detail


@pytest.mark.parametrize("reply", ["", " \n"])
def test_a_reply_without_any_text_is_empty(reply: str) -> None:
    assert split_reasoning(reply, None) == Unreadable("empty_reply")


_PIECES = st.sampled_from(
    ["<think>", "</think>", "<tool_call>", "</tool_call>", "<|im_end|>", "\\boxed{5}", "\n", " ", "x"]
)


@given(st.lists(_PIECES, max_size=8).map("".join), st.none() | st.lists(_PIECES, max_size=4).map("".join))
def test_no_solution_is_empty_or_holds_marks(reply: str, reasoning: str | None) -> None:
    found = split_reasoning(reply, reasoning)
    if isinstance(found, ReasonedReply):
        assert found.text.strip()
        assert not [mark for mark in ("think>", "tool_call>", "<|im_end|>") if mark in found.text]
        assert found.text in reply
    elif reasoning:
        assert found.reason == "unparsed_reply" or not reasoning.strip()
