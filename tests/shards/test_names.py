from __future__ import annotations

import pytest

from omr_kedro.shards.names import near_names, unknown_name


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("offlne", ["base", "offline", "demo"], "offline"),
        ("ask_extract_answer", ["extract_answers.ask_extract_answers", "report.count_funnel"], "extract_answers."),
        ("stage.temperatur", ["stage.temperature", "stage.top_p"], "stage.temperature"),
    ],
)
def test_the_name_that_was_meant_is_offered_first(name: str, known: list[str], meant: str) -> None:
    assert near_names(name, known)[0].startswith(meant)


def test_names_of_one_group_are_not_near_for_their_group_alone() -> None:
    assert near_names("extract_problems.temperatur", ["extract_problems.temperature", "extract_problems.seed"]) == [
        "extract_problems.temperature"
    ]


def test_a_name_like_no_other_is_answered_with_all_that_there_are_but_not_with_a_thousand() -> None:
    assert "Did you mean" not in (told := str(unknown_name("tag", "zzz", [f"tag-{n}" for n in range(1000)])))
    assert "and 960 more" in told


def test_a_name_that_steers_a_terminal_is_written_out() -> None:
    assert "\x1b" not in str(unknown_name("tag", "\x1b[2J" + "x" * 10_000, ["gpu"]))
