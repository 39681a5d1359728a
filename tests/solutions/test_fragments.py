from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.solutions.code_blocks import FENCED, TAGS, CodeTags
from omr_kedro.solutions.fragments import (
    CUT,
    Computation,
    Piece,
    answer_before_code,
    computations,
    fragments_of,
    void_turns,
)


def conversation(*parts: str, tags: CodeTags | None = None) -> list[Piece]:
    """Text, code, output, text, …; with tags the text holds its code, as a model writes it by text."""
    pieces = []
    for place, part in enumerate(parts):
        kind = ("text", "code", "output")[place % 3]
        code = parts[place + 1] if place + 1 < len(parts) else None
        text = f"{part}\n{tags.begin}\n{code}\n{tags.end}\n" if tags and kind == "text" and code else part
        pieces.append(Piece(place // 3, kind, text, "completed" if kind == "output" else None))  # type: ignore[arg-type]
    return pieces


def computed(before: str, *, status: str = "completed") -> list[Computation]:
    return [Computation(before, "print(1)", "1\n", status, "")]


@pytest.mark.parametrize("tags", [None, *TAGS.values()], ids=["tools", *TAGS])
def test_each_piece_of_code_has_its_output_and_the_text_up_to_the_code_next_to_it(tags: CodeTags | None) -> None:
    made = computations(conversation("one", "x = 1", "a\n", "two", "x = 2", "b\n", "three", tags=tags))
    assert made == [
        Computation("one", "x = 1", "a\n", "completed", "two"),
        Computation("two", "x = 2", "b\n", "completed", "three"),
    ]


def test_reasoning_is_text_and_several_calls_of_one_reply_have_none_between_them() -> None:
    pieces = [
        Piece(0, "reasoning", "I think."),
        Piece(0, "text", "I compute."),
        *(
            piece
            for n in range(2)
            for piece in (Piece(0, "code", f"x = {n}"), Piece(0, "output", f"{n}\n", "completed"))
        ),
        Piece(1, "text", "Done."),
    ]
    first, second = computations(pieces)
    assert (first.before, first.after) == ("I think.\n\nI compute.", "")
    assert (second.before, second.after) == ("", "Done.")


def test_code_without_output_is_not_given_that_of_the_code_after_it() -> None:
    pieces = [Piece(0, "code", "x = 1"), Piece(0, "code", "x = 2"), Piece(0, "output", "b\n", "completed")]
    assert [(made.output, made.status) for made in computations(pieces)] == [("", None), ("b\n", "completed")]


def test_an_empty_output_swallows_no_text_and_merges_no_blocks() -> None:
    first, second = fragments_of(
        "s", computations(conversation("one", "x = 1", "", "two", "print(x)", "1\n", "three")), 99
    )
    assert first.text == "one\n```python\nx = 1\n```\n```output\n```\ntwo"
    assert second.text == "two\n```python\nprint(x)\n```\n```output\n1\n```\nthree"


@pytest.mark.parametrize("status", ["error", "timeout", "killed", "crashed", "state_lost", "not_run", None])
def test_code_that_did_not_run_to_its_end_is_no_fragment(status: str | None) -> None:
    made = [Computation("a", "x", "1\n", status, "b"), Computation("b", "y", "2\n", "completed", "c")]
    assert [fragment.number for fragment in fragments_of("s", made, 99)] == [1]


def test_an_output_that_speaks_of_tracebacks_is_one_of_code_that_ran_to_its_end() -> None:
    said = "Traceback (most recent call last) is what Python prints first\n"
    assert len(fragments_of("s", [Computation("", "print(…)", said, "completed", "")], 99)) == 1


def test_a_judge_is_shown_as_much_text_on_each_side_as_the_window_holds() -> None:
    (fragment,) = fragments_of("s", [Computation("abcdef", "x", "1\n", "completed", "uvwxyz")], 2)
    assert fragment.text == f"{CUT}ef\n```python\nx\n```\n```output\n1\n```\nuv{CUT}"
    (bare,) = fragments_of("s", [Computation("abcdef", "x", "1\n", "completed", "uvwxyz")], 0)
    assert bare.text == f"{CUT}\n```python\nx\n```\n```output\n1\n```\n{CUT}"


def test_an_id_follows_from_the_content_whatever_the_window_and_the_place() -> None:
    made = Computation("a" * 9, "x", "1\n", "completed", "b")
    (small,), (large,) = fragments_of("s", [made], 1), fragments_of("s", [made], 99)
    failed = Computation("", "y", "", "error", "")
    (later,) = fragments_of("s", [failed, made], 99)
    assert small.fragment_id == large.fragment_id == later.fragment_id
    (elsewhere,) = fragments_of("other", [made], 1)
    assert elsewhere.fragment_id != small.fragment_id


def test_a_fragment_that_stands_twice_counts_once() -> None:
    made = computed("") * 2
    assert [fragment.number for fragment in fragments_of("s", made, 99)] == [0]


@given(st.lists(st.text(alphabet="`pythonu\n x", max_size=30), max_size=9), st.integers(0, 40))
def test_no_text_of_a_model_loses_a_piece_of_code(parts: list[str], window: int) -> None:
    made = computations(conversation(*parts, tags=FENCED))
    assert [each.code for each in made] == parts[1::3]
    assert [each.output for each in made] == [*parts[2::3], *[""] * (len(made) - len(parts[2::3]))]
    shown = fragments_of("s", made, window)
    assert all(len(each.text) <= 2 * (window + len(CUT)) + 200 for each in shown)
    assert len({each.fragment_id for each in shown}) == len(shown)


def test_a_reply_with_neither_code_nor_answer_is_void() -> None:
    pieces = [
        Piece(0, "text", "Let me see."),
        Piece(1, "text", "I compute."),
        Piece(1, "code", "x = 1"),
        Piece(1, "output", "", "completed"),
        Piece(2, "code", ""),
        Piece(2, "output", "Not run: the arguments must be …", "not_run"),
        Piece(3, "text", "So it is \\boxed{5}."),
        Piece(4, "text", "The answer is 5."),
    ]
    assert void_turns(pieces) == 2
    assert void_turns([]) == 0


@pytest.mark.parametrize(
    "before",
    [
        "So it is $\\boxed{3}$. Let me check.",
        "The answer is 3.",
        "Hence the answer should be $\\frac{6}{2}$, which I verify by code.",
        "**Final Answer:** 3",
        "The answer is 12. No, there are \\boxed{12} pairs, and so \\boxed{3} triples.",
        "An earlier box \\boxed{7} hides no statement: the answer is 3.",
    ],
)
def test_a_final_answer_that_is_stated_before_the_first_code_is_found(before: str) -> None:
    assert answer_before_code(computed(before), "3")


@pytest.mark.parametrize(
    "before",
    [
        "There are 3 cases.",
        "We need $x_3$ for n = 3, and 30 or 13 as well.",
        "The first part has the answer \\boxed{33}.",
        "The answer is 5.",
        "The answer is not 3.",
        "",
    ],
)
def test_a_number_that_merely_stands_before_the_code_is_no_answer(before: str) -> None:
    assert not answer_before_code(computed(before), "3")


def test_an_answer_that_is_stated_behind_the_first_code_rejects_nothing() -> None:
    made = computations(conversation("I compute.", "print(3)", "3\n", "It is \\boxed{3}.", "print(4)", "4\n"))
    assert not answer_before_code(made, "3")
    assert not answer_before_code([], "3")
