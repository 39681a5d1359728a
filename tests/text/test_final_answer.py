from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.answers import extract_boxed, parse_answer
from omr_kedro.text import Unreadable

# Short forms without marks that are dress: outer delimiters, emphasis, a final full stop.
answers = st.from_regex(r"[a-z0-9]([a-z0-9+=/,^ ()-]{0,20}[a-z0-9)])?", fullmatch=True).filter(
    lambda answer: (
        answer == " ".join(answer.split()) and answer not in {"none", "null", "nothing", "unknown", "na", "n/a"}
    )
)


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("Answer: 5", "5"),
        ("Answer:5", "5"),
        ("answer: 5", "5"),
        ("ANSWER: 5.", "5"),
        ("Answer: 0.5.", "0.5"),
        ("Answer: 0.333...", "0.333..."),
        ("Answer: 1,000", "1,000"),
        ("**Answer:** 5", "5"),
        ("**Answer**: 5", "5"),
        ("**Answer: 5**", "5"),
        ("*Answer: 5*", "5"),
        ("`Answer: 5`", "5"),
        ("- Answer: 5", "5"),
        ("### Answer: 5", "5"),
        ("### Final Answer\n\n5", "5"),
        ("**Answer**\n5", "5"),
        ("**Final answer:** **5**.", "5"),
        ("The final answer is: 5", "5"),
        ("Posts 1 and 3 agree. Answer: 5", "5"),
        ("Post 2 says so. **Answer:** 5", "5"),
        ("Answer: $5$", "5"),
        ("Answer: $5.$", "5"),
        ("Answer: $$5$$", "5"),
        ("Answer: \\(5\\).", "5"),
        ("Answer: \\[5\\]", "5"),
        ("Answer: \\boxed{5}", "5"),
        ("Answer: $\\boxed{\\frac{1}{2}}$.", "\\frac{1}{2}"),
        ("Answer: \\boxed {5}", "5"),
        ("Answer: \\fbox{5}", "5"),
        ("Answer: \\boxed{\\boxed{5}}", "5"),
        ("Answer: $x=\\boxed{5}$", "x=5"),
        ("Answer: \\boxed{3} and \\boxed{5}", "3 and 5"),
        ("Answer: \\(\\boxed{\\{1,2\\}}\\)", "\\{1,2\\}"),
        ("Answer: $x=1$ or $x=2$", "$x=1$ or $x=2$"),
        ("Answer: \\left\\{x\\right.", "\\left\\{x\\right."),
        ("Answer: x^*", "x^*"),
        ("Answer: $5", "$5"),
        ("Answer: 5\n\nThis is from Post 2.", "5"),
        ("Answer: 5. This follows from Post 2.", "5"),
        ("Answer: 5 (see Post 2).", "5"),
        ("**Answer: $5$ (from posts 1 and 3)**", "5"),
        ("Answer: 5 (mod 7)", "5 (mod 7)"),
        ("Answer: $p. Then q$", "p. Then q"),
        ("Answer:\n5", "5"),
        ("Answer:\n```\n5\n```", "5"),
        ("Answer:\n\\[\n\\frac{1}{2}\n\\]\nfrom Post 2", "\\frac{1}{2}"),
        ("Answer: $$\n5\n$$", "5"),
        ("Answer: $\\begin{pmatrix}1\\\\\n2\\end{pmatrix}$\nend", "\\begin{pmatrix}1\\\\ 2\\end{pmatrix}"),
        ("Answer: (a) 4 pm, (b) 240", "(a) 4 pm, (b) 240"),
        ("Answer: no solution", "no solution"),
        ("Answer: 3\nNo, Post 4 corrects it.\nAnswer: 5", "5"),
        ("Answer not found in Post 1.\nPost 2 has it.\nAnswer: 5", "5"),
        ('I will not say "Answer not found", as Post 2 has it.\nAnswer: 5', "5"),
        ("<think>Answer: 3</think>Answer: 5", "5"),
        ("Reasons.\r\nAnswer: 5\r\n", "5"),
        ("```\nAnswer: 5\n```", "5"),
        ("Both posts agree on this:\n\\[\\boxed{5}\\]", "5"),
        ("答案。\nAnswer：5", "5"),
    ],
)
def test_the_short_form_is_read_in_every_shape(reply: str, answer: str) -> None:
    assert parse_answer(reply) == answer


@pytest.mark.parametrize(
    "reply",
    [
        "Answer not found.",
        "**Answer not found.**",
        "answer not found",
        "The answer is not found.",
        "The thread holds no result.\n\nAnswer not found.",
        "The thread holds no result. Answer not found.",
        "Answer: Answer not found.",
        "Answer: not found",
        "Answer: **Not found in the discussion.**",
        "Answer: N/A",
        "No answer found.",
        "Answer: 5\nNobody confirms this guess.\nAnswer not found.",
    ],
)
def test_none_means_that_the_discussion_holds_no_answer(reply: str) -> None:
    assert parse_answer(reply) is None


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "empty_reply"),
        ("<think>Answer: 5", "empty_reply"),
        ("I cannot help with this.", "refusal"),
        ("It is 5.", "unparsed"),
        ("Answer:", "unparsed"),
        ("**Answer:**", "unparsed"),
        ("Answer: .", "unparsed"),
        ("Answer: \\boxed{}", "unparsed"),
        ("Answer: $$ $$", "unparsed"),
        ("Answer: none", "unparsed"),
        ("Answer: 3\nAnswer:", "unparsed"),
        ("Answer: The solutions are:\n- 1\n- 2", "unparsed"),
        ("they discuss the\nanswer\nat length", "unparsed"),
        ("Is it \\boxed{3} or \\boxed{5}?", "unparsed"),
        ("Post 1 says \\boxed{3}.\nIt is not confirmed.", "unparsed"),
        ("Post 1 says that the answer: 5 is wrong", "unparsed"),
    ],
)
def test_a_reply_without_verdict_has_a_reason(reply: str, reason: str) -> None:
    result = parse_answer(reply)
    assert isinstance(result, Unreadable)
    assert result.reason == reason


@given(answers)
def test_an_answer_is_read_back_in_any_dress(answer: str) -> None:
    for dress in (
        "Answer: {}",
        "Answer: {}.",
        "**Answer:** {}",
        "**Answer: {}**",
        "Answer: $\\boxed{{{}}}$",
        "Answer:\n\\[\n{}\n\\]",
    ):
        reply = "Post 2 argues well.\n" + dress.format(answer)
        assert parse_answer(reply) == parse_answer(reply.replace("\n", "\r\n")) == answer
        assert parse_answer(f"<think>Answer: 1</think>{reply}") == answer


@given(st.text() | st.text("Answer: notfud.$\\{}boxed*`\n[]()"))
def test_any_text_is_read_without_an_exception(reply: str) -> None:
    result = parse_answer(reply)
    assert result is None or isinstance(result, Unreadable) or result.strip() != ""


@pytest.mark.parametrize(
    "unit",
    [
        "*",
        " ",
        "$",
        "{",
        "\\boxed{",
        "\\boxed{1}",
        "Answer: ",
        "Answer:\n",
        "answer ",
        ". ",
        "`",
        '"',
        "\\",
        "\n",
        "Answer: {\n",
    ],
)
def test_a_megabyte_of_hostile_text_is_read_in_one_go(unit: str) -> None:
    flood = unit * (1_000_000 // len(unit))
    assert parse_answer(flood) != ""
    assert parse_answer("Answer: " + flood) != ""


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("\\boxed{5}", "5"),
        ("\\boxed{ 5 }", "5"),
        ("\\boxed {5}", "5"),
        ("\\fbox{5}", "5"),
        ("\\boxed{}", ""),
        ("\\boxed{3} then \\boxed{5}", "5"),
        ("\\boxed{\\frac{1}{\\sqrt{2}}}", "\\frac{1}{\\sqrt{2}}"),
        ("\\boxed{3} then \\boxed{5", "3"),
        ("\\boxed{3} then \\boxed{\\frac{5}{2}", "3"),
        ("\\boxed{x \\boxed{5} y}", "5"),
        ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        ("\\boxed{\\}}", "\\}"),
        ("\\\\\\boxed{5}", "5"),
        ("} } \\boxed{5} {", "5"),
        ("no box", None),
        ("\\boxed{5", None),
        ("\\boxed 5", None),
        ("\\unboxed{5}", None),
    ],
)
def test_the_last_complete_box_is_extracted(text: str, content: str | None) -> None:
    assert extract_boxed(text) == content


@given(
    st.recursive(
        st.text("ab+ ", max_size=5), lambda inner: st.lists(inner, max_size=4).map(lambda p: "{" + "\\}".join(p) + "}")
    )
)
def test_a_box_holds_whatever_is_balanced(content: str) -> None:
    assert extract_boxed(f"first \\boxed{{1}}, then \\boxed{{{content}}} and {{") == content.strip()
