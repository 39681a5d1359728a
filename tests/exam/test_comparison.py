from __future__ import annotations

from rich.console import Console

from omr_kedro.exam import Marks, compare
from omr_kedro.exam.view import show_comparison


def marks(right: set[int]) -> Marks:
    return {f"r-{number}": ("one", "right" if number in right else "wrong") for number in range(10)}


def test_two_exams_are_compared_by_the_rows_that_both_have() -> None:
    first = {"extract_problems": marks(set(range(10))), "convert_proofs": marks({1})}
    second = {"extract_problems": {**marks({0, 1, 2}), "r-99": ("one", "right")}}
    (found,) = compare(first, second)
    assert (found.stage, found.rows, found.first.share, found.second.share) == ("extract_problems", 10, 1.0, 0.3)
    assert (list(found.only_first), list(found.only_second)) == ([f"r-{number}" for number in range(3, 10)], [])
    assert found.p == 2 / 2**7


def test_a_comparison_on_the_screen_names_the_rows_that_only_one_has_right() -> None:
    console = Console(width=100, record=True)
    found = compare({"convert_proofs": marks(set(range(10)))}, {"convert_proofs": marks(set())})
    show_comparison(("one", "\x1b[2Jother [bold]"), found, console)
    text = console.export_text()
    assert "only A is right about r-0, r-1, r-2, r-3, r-4, r-5, r-6, r-7 and 2 more" in text
    assert "0.002" in text
    assert "\x1b" not in text
