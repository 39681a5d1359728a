from __future__ import annotations

import pytest
from hypothesis import given

from omr_kedro.offline_model.rules_convert import DECLINED, convert
from omr_kedro.text import Unreadable, parse_conversion
from tests.offline_model.texts import POSTS


@pytest.mark.parametrize(
    ("proof", "question"),
    [
        (
            "Prove that $n^3 - n$ is divisible by 6 for every integer $n$.",
            "Find the greatest positive integer that divides $n^3 - n$ for every integer $n$.",
        ),
        (
            "For all integers n, prove that n^2 + n is divisible by 2.",
            "Find the greatest positive integer that divides n^2 + n for all integers n.",
        ),
        ("Show that 7 divides $2^{300} - 1$.", "Find the remainder when $2^{300} - 1$ is divided by 7."),
        (
            "Let $a, b > 0$ with $a + b = 2$. Prove that $a^2 + b^2 \\ge 2$.",
            "Let $a, b > 0$ with $a + b = 2$. "
            "Find the largest real constant $C$ such that $a^2 + b^2 \\ge C$ always holds.",
        ),
        (
            "Show that, for positive reals $a, b$, we have\n\\[\\frac{ab}{(a+b)^2} \\le \\frac14.\\]",
            "For positive reals $a, b$, find the smallest real constant $C$ such that "
            "$\\frac{ab}{(a+b)^2} \\le C$ always holds.",
        ),
        ("Prove that $\\sum_{k=1}^n k = \\frac{n(n+1)}{2}$.", "Find a closed form of $\\sum_{k=1}^n k$."),
        (
            "Prove that if $a + b = 1$ then $a^3 + b^3 + 3ab = 1$.",
            "If $a + b = 1$, find the value of $a^3 + b^3 + 3ab$.",
        ),
        (
            "Show that the only integer solutions of $xy = x + y$ are $(0, 0)$ and $(2, 2)$.",
            "Find all integer solutions of $xy = x + y$.",
        ),
        (
            "Show that the equation $x^3 - 3x + 1 = 0$ has exactly three real roots.",
            "How many real roots does the equation $x^3 - 3x + 1 = 0$ have?",
        ),
        (
            "In a convex pentagon, prove that the sum of the inner angles is 540°.",
            "In a convex pentagon, find the sum of the inner angles.",
        ),
    ],
)
def test_a_proof_becomes_a_question_that_does_not_give_its_answer_away(proof: str, question: str) -> None:
    assert parse_conversion(convert(proof)) == question


@pytest.mark.parametrize(
    "proof",
    [
        "Prove that $\\sqrt{2}$ is irrational.",
        "Prove that $AB = CD$.",
        "Prove that the lines $AB$ and $CD$ are parallel.",
        "Prove that $a^2 + b^2 \\ge 2ab$.",
        "Prove that $0 < x < 1$.",
        "(a) Prove that $x = 1$. (b) Prove that $y = 2$.",
        "",
    ],
)
def test_a_proof_that_fits_no_rule_is_declined(proof: str) -> None:
    assert convert(proof) == DECLINED


@given(POSTS)
def test_any_text_gets_a_reply_that_can_be_read(problem: str) -> None:
    assert not isinstance(parse_conversion(convert(problem)), Unreadable)
