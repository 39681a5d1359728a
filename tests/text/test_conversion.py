from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.text import Unreadable, parse_conversion
from omr_kedro.text.statements import tidy

statements = (
    st.text("xyz ABC 0123456789 +-=^_$\\{}()<>,.?:;*\n", max_size=80)
    .map(str.strip)
    .filter(lambda s: s and s == tidy(s))
)


@pytest.mark.parametrize(
    "reply",
    [
        "Problem: Find the least $k$.",
        "Problem:\nFind the least $k$.",
        "**Problem:** Find the least $k$.",
        "**Problem: Find the least $k$.**",
        "### Problem\nFind the least $k$.",
        "### Converted problem\n\nFind the least $k$.\n\n---",
        "Original problem: Prove that k is 4.\n\nProblem: Find the least $k$.",
        "Problem: Prove that k is 4.\n\n**Converted problem:** Find the least $k$.",
        "The bound is sharp, so one may ask for it.\n\nNew Problem: Find the least $k$.",
        "Problem: Find the least $k$.\n\nAnswer: 4",
        "Problem: Find the least $k$.\n\n**Solution:**\nLet k be 4.",
        "<think>Problem: a</think>Problem: Find the least $k$.",
        "```\nProblem: Find the least $k$.\n```",
        "Problem statement: Find the least $k$.\r\n",
    ],
)
def test_the_new_statement_is_read_in_every_shape(reply: str) -> None:
    assert parse_conversion(reply) == "Find the least $k$."


@pytest.mark.parametrize(
    "reply",
    [
        "Not convertible.",
        "**Not convertible.**",
        "not convertible",
        "Problem: Not convertible.",
        "It claims that primes are infinite in number.\n\nNot convertible.",
        "Not convertible: the claim has no value in it.",
        "The problem is not convertible.",
        "This cannot be converted.",
    ],
)
def test_none_means_that_the_model_declined(reply: str) -> None:
    assert parse_conversion(reply) is None


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "empty_reply"),
        ("I'm unable to assist with this.", "refusal"),
        ("Find the least k.", "unparsed"),
        ("Problem:", "unparsed"),
        ("Problem: Answer: 4", "unparsed"),
        ("Problem: Find a.\nProblem: Find b.", "unparsed"),
        ("Problem: Find a.\n\nNot convertible.", "unparsed"),
        ("The words not convertible are in the middle of this line.", "unparsed"),
    ],
)
def test_a_reply_that_is_neither_has_a_reason(reply: str, reason: str) -> None:
    result = parse_conversion(reply)
    assert isinstance(result, Unreadable)
    assert result.reason == reason


def test_currency_in_a_statement_is_not_the_verdict() -> None:
    statement = "Of 9 currencies 4 are not convertible directly. Find the number of pairs."
    assert parse_conversion(f"Problem: {statement}") == statement


@given(statements)
def test_a_rendered_statement_is_read_back_in_any_dress(statement: str) -> None:
    for dress in ("Problem: {}", "**Problem:** {}", "<think>x</think>\nProblem:\n{}\n", "Converted it.\n\nProblem: {}"):
        reply = dress.format(statement)
        assert parse_conversion(reply) == parse_conversion(reply.replace("\n", "\r\n")) == statement


@given(st.text() | st.text("Problem:*Not cvertibl\nAswr"))
def test_any_text_is_read_without_an_exception(reply: str) -> None:
    result = parse_conversion(reply)
    assert result is None or isinstance(result, Unreadable) or result == result.strip() != ""


@pytest.mark.parametrize("unit", ["*", " ", "\n", "Problem:", "Problem ", "not convertible ", "answer ", "** a"])
def test_a_megabyte_of_hostile_text_is_read_in_one_go(unit: str) -> None:
    assert parse_conversion(unit * (1_000_000 // len(unit))) != ""
