from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.text import Unreadable, parse_problems
from omr_kedro.text.statements import tidy


def _render(statements: list[str]) -> str:
    return "\n\n".join(f"Problem {number}:\n{text}" for number, text in enumerate(statements, start=1))


# Without letters that could spell a marker, and without marks that belong to the reply and not to the statement.
statements = st.lists(
    st.text("xyz ABC 0123456789 +-=^_$\\{}()<>,.?:;*\n", max_size=60)
    .map(str.strip)
    .filter(lambda s: s and s == tidy(s)),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize(
    "reply",
    [
        "Problem 1:\nFind $x$.\n\nProblem 2:\nFind $y$.",
        "Problem 1: Find $x$.\nProblem 2: Find $y$.",
        "**Problem 1:** Find $x$.\n\n**Problem 2:** Find $y$.",
        "**Problem 1**: Find $x$.\n\n**Problem 2**: Find $y$.",
        "**Problem 1: Find $x$.**\n\n**Problem 2: Find $y$.**",
        "*Problem 1:* Find $x$.\n*Problem 2: Find $y$.*",
        "__Problem 1__\nFind $x$.\n__Problem 2__\nFind $y$.",
        "### Problem 1\nFind $x$.\n\n---\n\n### Problem 2\nFind $y$.\n\n---",
        "## **Problem 1 (Algebra):**\nFind $x$.\n\n## **Problem 2 [Geometry]**\nFind $y$.",
        "Problem 1 (Algebra): Find $x$.\nProblem 2 (AMC, 1998) - Find $y$.",
        "Problem 1. Find $x$.\nProblem 2. Find $y$.",
        "PROBLEM 1 - Find $x$.\nPROBLEM 2 – Find $y$.",
        "problem 1) Find $x$.\nproblem 2) Find $y$.",
        "Problem #1: Find $x$.\nProblem No. 2: Find $y$.",
        "Problem 01: Find $x$.\nProblem 02: Find $y$.",
        "- **Problem 1:** Find $x$.\n- **Problem 2:** Find $y$.",
        "1. **Problem 1:** Find $x$.\n2. **Problem 2:** Find $y$.",
        "Problem 1:\n**Find $x$.**\n\nProblem 2:\nFind **$y$**.",
        "```\nProblem 1: Find $x$.\nProblem 2: Find $y$.\n```",
        "```markdown\nProblem 1: Find $x$.\n```\n\n```markdown\nProblem 2: Find $y$.\n```",
        "Here are the problems:\n\nProblem 1: Find $x$.\n\nProblem 2: Find $y$.",
        "<think>Problem 1: draft. Problem 2:</think>Problem 1: Find $x$.\nProblem 2: Find $y$.",
        "Problem 1: Find $x$.\r\n\r\nProblem 2: Find $y$.\r\n",
        "### Problem 1\n\nProblem 1: Find $x$.\n\n### Problem 2\n\n**Problem 2:** Find $y$.",
        "Problem 1: Find $x$.\n\nProblem 2: Find $y$.\n\nProblem 3:\n",
        "Problem 1: Find $x$.\n\nProblem 2: Find $y$.\n\nNo other problems identified.",
        "Problem 1：Find $x$.\nProblem 2：Find $y$.",
    ],
)
def test_two_problems_are_read_in_every_shape(reply: str) -> None:
    assert parse_problems(reply) == ("Find $x$.", "Find $y$.")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Problem: Find $x$.", ("Find $x$.",)),
        ("**Problem statement:**\nFind $x$.", ("Find $x$.",)),
        ("Problem 1: See Problem 2: it helps.", ("See Problem 2: it helps.",)),
        ("Problem 1: Solve\n1. x = 2\n2. x = 3", ("Solve\n1. x = 2\n2. x = 3",)),
        ("Problem 1: Recall\nProblem 7: find y.\nProblem 2: z", ("Recall\nProblem 7: find y.", "z")),
        ("Problem 1: Like\nProblem 2 is harder.\nProblem 2: z", ("Like\nProblem 2 is harder.", "z")),
        ("Problem 1: Parts\nProblem 1a: x\nProblem 1.2: y", ("Parts\nProblem 1a: x\nProblem 1.2: y",)),
        ("Problem 1: Parts\nProblems 2-3: x", ("Parts\nProblems 2-3: x",)),
        ("Problem 1:\n\nProblem 2: x", ("x",)),
        ("Problem 1: **Find x**2 if x**3 = 8.**", ("Find x**2 if x**3 = 8.",)),
        ("Problem 1: Given $V^{**}$ and $W^{**}$, show x.", ("Given $V^{**}$ and $W^{**}$, show x.",)),
        ("Problem 1: Fill in: 2 + __ = 5 and\n____", ("Fill in: 2 + __ = 5 and\n____",)),
        ("Problem 1: Why are no problems identified by AI?", ("Why are no problems identified by AI?",)),
    ],
)
def test_what_is_inside_a_statement_stays(reply: str, expected: tuple[str, ...]) -> None:
    assert parse_problems(reply) == expected


@pytest.mark.parametrize(
    "reply",
    [
        "No problems identified.",
        "**No problems identified**",
        "no problems identified",
        "No problem was found.",
        "Problem 1: No problems identified.",
        "The post is about a website.\n\nNo problems identified.",
        "The post only greets, so my reply is: No problems identified.",
        "No mathematical problems were identified in this post.",
        "```\nNo problems identified.\n```",
    ],
)
def test_a_reply_may_say_that_there_is_no_problem(reply: str) -> None:
    assert parse_problems(reply) == ()


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "empty_reply"),
        ("\r\n \t", "empty_reply"),
        ("<think>Problem 1: x", "empty_reply"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("Find x if 2x = 4.", "unparsed"),
        ("1. Find x.\n2. Find y.", "unparsed"),
        ("Problem 2: Find x.", "unparsed"),
        ("Problem 1:\nProblem 2:\n", "unparsed"),
        ("Problem: a\nProblem: b", "unparsed"),
        ("Problem 1: a\nProblem 2: b\n\nFinal list\nProblem 1: a\nProblem 2: b", "unparsed"),
        ("I will not write No problems identified here, as the post asks for x.", "unparsed"),
    ],
)
def test_a_reply_without_problems_has_a_reason(reply: str, reason: str) -> None:
    result = parse_problems(reply)
    assert isinstance(result, Unreadable)
    assert result.reason == reason


@given(statements)
def test_rendered_problems_are_read_back(problems: list[str]) -> None:
    assert parse_problems(_render(problems)) == tuple(problems)


@given(statements)
def test_dress_changes_nothing(problems: list[str]) -> None:
    plain, expected = _render(problems), tuple(problems)
    bold = "\n\n".join(f"**Problem {number}:** {text}" for number, text in enumerate(problems, start=1))
    assert parse_problems(bold) == expected
    assert parse_problems(f"Here is what I found:\n\n{plain}") == expected
    assert parse_problems(f"<think>Problem 1: no</think>\n{plain}\n") == expected
    assert parse_problems(plain.replace("\n", "\r\n")) == expected
    assert parse_problems(f"```\n{plain}\n```") == expected


@given(st.text() | st.text("Problem 12:*#.-`\n \tNoidentfs"))
def test_any_text_is_read_without_an_exception(reply: str) -> None:
    result = parse_problems(reply)
    assert isinstance(result, Unreadable) or all(text == text.strip() != "" for text in result)


@pytest.mark.parametrize(
    "unit",
    [
        "*",
        " ",
        "\n",
        "Problem ",
        "Problem 1 (",
        "**Problem 1:** ",
        "Problem",
        "** a",
        "#",
        "-\n",
        "no problems ",
        "```",
    ],
)
def test_a_megabyte_of_hostile_text_is_read_in_one_go(unit: str) -> None:
    assert parse_problems(unit * (1_000_000 // len(unit))) != ("",)
