from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.text import Unreadable, final_text, why_unreadable, without_fences


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
