"""The ten example threads go through the rules from end to end."""

from __future__ import annotations

import pytest

from omr_kedro.offline_model.rules_judge import same_problem
from tests.offline_model.examples import BENCHMARKS, THREADS, Fate, fates

ALL: list[list[Fate]] = [fates(thread) for thread in THREADS]

EXPECTED: list[list[tuple[str, str | None, bool]]] = [
    [("open", "351", False), ("open", "102", True), ("open", "365", False), ("open", "16", False)],
    [],
    [("converted", None, False)],
    [("proof", None, False)],
    [("mcq", None, False)],
    [("binary", None, False)],
    [("invalid", None, False)],
    [("open", "21", False)],
    [("open", "54", False)],
    [("open", r"\frac{9}{64}", True), ("open", r"\frac{7}{36}", False)],
]


def test_there_are_ten_threads_of_which_none_names_a_person() -> None:
    assert len(THREADS) == 10
    assert all(set(thread) == {"forum_post", "forum_discussions", "problem_source"} for thread in THREADS)


@pytest.mark.parametrize("number", range(10))
def test_each_problem_ends_where_its_author_meant_it_to(number: int) -> None:
    assert [fate[1:] for fate in ALL[number]] == EXPECTED[number]


def test_every_kind_occurs() -> None:
    assert {fate.kind for thread in ALL for fate in thread} == {
        "open",
        "converted",
        "proof",
        "mcq",
        "binary",
        "invalid",
    }
    assert [] in ALL, "a thread without a problem"
    assert any(len(thread) > 1 for thread in ALL), "a thread with several problems"


def test_at_least_five_problems_survive_with_an_answer() -> None:
    assert sum(fate.answer is not None and not fate.contaminated for thread in ALL for fate in thread) >= 5


def test_two_benchmark_problems_are_found_one_of_them_verbatim_and_near_misses_are_not() -> None:
    statements = [fate.problem for thread in ALL for fate in thread]
    found = {known for known in BENCHMARKS for ours in statements if same_problem(ours, known)}
    assert len(BENCHMARKS) == 25
    assert len(found) == 2
    assert len(found & set(statements)) == 1


def test_the_image_only_question_keeps_a_mark_for_its_figure() -> None:
    assert "[figure]" in ALL[6][0].problem
