from __future__ import annotations

import pytest

from omr_kedro.text.boxes import extract_boxed, final_box


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("It is \\boxed{5}.", "5"),
        ("\\boxed{1}, no, \\boxed{ \\frac{1}{2} }", "\\frac{1}{2}"),
        ("\\boxed {5}", "5"),
        ("\\fbox{5}", "5"),
        ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        ("\\boxed{}", ""),
        ("no box", None),
        ("\\boxed{5", None),
        ("\\boxed{5} and then \\boxed{6", None),
        ("\\boxed 5", None),
    ],
)
def test_the_final_box_is_the_one_that_opens_last_if_it_is_closed(text: str, inside: str | None) -> None:
    assert final_box(text) == inside


def test_a_box_that_is_cut_off_hides_no_earlier_one_from_those_who_take_any() -> None:
    assert extract_boxed("\\boxed{5} and then \\boxed{6") == "5"
