"""Groups of candidates: what is in them, and that chance is all that decides it."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omr_kedro.solutions.candidate_groups import (
    Candidate,
    Group,
    GroupingRule,
    NoGroup,
    draw_groups,
    draw_size,
    ends_with_its_only_box,
    in_another_order,
    is_asked_twice,
)

RULE = GroupingRule(least_candidates=2)


def candidate(name: str, correct: bool, text: str | None = None) -> Candidate:
    answer = "5" if correct else "7"
    return Candidate(
        name, f"By the way of {name} it is $\\boxed{{{answer}}}$." if text is None else text, answer, correct
    )


def candidates(right: int, wrong: int) -> list[Candidate]:
    return [
        *(candidate(f"right{index}", correct=True) for index in range(right)),
        *(candidate(f"wrong{index}", correct=False) for index in range(wrong)),
    ]


def words(text: str) -> int:
    return len(text.split())


def groups(given: list[Candidate], rule: GroupingRule = RULE, problem: str = "p") -> list[Group]:
    found = draw_groups(problem, given, rule, words)
    assert not isinstance(found, NoGroup)
    return found


def why_none(given: list[Candidate], rule: GroupingRule = RULE) -> str:
    found = draw_groups("p", given, rule, words)
    assert isinstance(found, NoGroup)
    return found.reason


@settings(max_examples=200)
@given(
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(0, 99),
    st.integers(2, 16),
    st.sampled_from(["truncated_normal", "uniform"]),
)
def test_a_group_has_two_to_sixteen_different_candidates_right_and_wrong_ones_and_at_most_half_right(
    right: int, wrong: int, seed: int, most: int, sizes: str
) -> None:
    rule = GroupingRule.model_validate({"least_candidates": 2, "seed": seed, "most_candidates": most, "sizes": sizes})
    given = candidates(right, wrong)
    found = groups(given, rule)
    assert 1 <= len(found) <= 8
    assert len({group.set_id for group in found}) == len(found)
    for group in found:
        rights = sum(each.correct for each in group.candidates)
        assert 2 <= len(group.candidates) <= most
        assert 1 <= rights <= len(group.candidates) / 2
        assert len(set(group.candidates)) == len(group.candidates)
        assert set(group.candidates) <= set(given)


@given(st.randoms(use_true_random=False), st.integers(0, 9))
def test_groups_do_not_depend_on_the_order_of_rows_or_on_other_problems(chance: random.Random, seed: int) -> None:
    given = candidates(6, 7)
    rule = RULE.model_copy(update={"seed": seed})
    found = groups(given, rule)
    chance.shuffle(given)
    groups(candidates(3, 3), rule, problem="another one")
    assert groups(given, rule) == found


def test_seed_and_problem_make_other_groups() -> None:
    given = candidates(8, 8)
    assert groups(given) != groups(given, RULE.model_copy(update={"seed": 1}))
    first, other = ([group.candidates for group in groups(given, problem=name)] for name in ("p", "q"))
    assert first != other


@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 99))
def test_another_order_has_the_same_candidates_each_at_another_place(right: int, wrong: int, seed: int) -> None:
    rule = RULE.model_copy(update={"seed": seed})
    for group in groups(candidates(right, wrong), rule):
        other = in_another_order(group, rule)
        assert sorted(each.solution_id for each in other.candidates) == sorted(
            each.solution_id for each in group.candidates
        )
        assert all(one != two for one, two in zip(group.candidates, other.candidates, strict=True))
        assert (other.set_id, other.order) == (group.set_id, 1)
        assert other.group_id != group.group_id


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (0.3, 200, 400), (1.0, 1000, 1000)])
def test_a_share_of_the_sets_is_asked_about_twice(share: float, low: int, high: int) -> None:
    rule = RULE.model_copy(update={"asked_twice": share})
    sets = [Group(f"p{number}", tuple(candidates(1, 1))) for number in range(1000)]
    assert low <= sum(is_asked_twice(group, rule) for group in sets) <= high


@pytest.mark.parametrize("sizes", ["truncated_normal", "uniform"])
@pytest.mark.parametrize("most", [2, 3, 4, 7, 16])
def test_sizes_reach_both_ends_and_no_further(most: int, sizes: str) -> None:
    rule = GroupingRule.model_validate({"sizes": sizes})
    chance = random.Random(0)
    drawn = Counter(draw_size(most, rule, chance.random()) for _ in range(20_000))
    assert (min(drawn), max(drawn)) == (2, most)
    assert draw_size(most, rule, 0.0) == 2
    assert draw_size(most, rule, 1 - 2**-53) == most
    if most == 16:
        middle = drawn[9] / 20_000
        assert 0.15 < middle < 0.19 if sizes == "truncated_normal" else 0.05 < middle < 0.08


def test_a_whole_group_of_the_largest_size_is_drawn_too() -> None:
    drawn = Counter(
        len(group.candidates) for number in range(300) for group in groups(candidates(8, 8), problem=f"p{number}")
    )
    assert {2, 16} <= drawn.keys()
    assert 8.8 < sum(size * times for size, times in drawn.items()) / drawn.total() < 9.2


def test_equal_texts_are_one_candidate_the_first_by_id_and_shift_no_place() -> None:
    text = "So it is $\\boxed{5}$."
    same = [candidate(name, correct=True, text=text) for name in ("a", "b", "c")]
    dressed = candidate("d", correct=True, text="So  it is\n\\(\\boxed{5}\\)")
    wrong = candidates(0, 5)
    alone = groups([same[0], *wrong])
    assert groups([*reversed([*same, dressed]), *wrong]) == alone
    assert {each.solution_id for group in alone for each in group.candidates if each.correct} == {"a"}


def test_a_text_that_was_judged_both_ways_is_no_candidate() -> None:
    text = "So it is $\\boxed{5}$."
    both = [candidate("a", correct=True, text=text), candidate("b", correct=False, text=text)]
    assert why_none([*both, *candidates(0, 3)]) == "no_right"
    assert why_none([*both, *candidates(3, 0)]) == "no_wrong"


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("So it is $\\boxed{5}$.", True),
        ("So:\n\n$$\n\\boxed{5}\n$$\n", True),
        ("So it is $\\boxed{5}$, as was asked.", True),
        ("First $\\boxed{5}$, then $\\boxed{6}$.", False),
        ("So it is $\\boxed{5}$.\n\nRemark: this generalises.", False),
        ("So it is 5.", False),
        ("So it is $\\boxed{5$.", False),
        ("", False),
    ],
)
def test_a_candidate_ends_with_its_only_box(text: str, is_one: bool) -> None:
    assert ends_with_its_only_box(text) is is_one
    reason = why_none([candidate("a", correct=True, text=text), candidate("b", correct=False, text="no")])
    assert reason == ("no_wrong" if is_one else "no_right")


@pytest.mark.parametrize(
    ("right", "wrong", "rule", "reason"),
    [
        (0, 4, {}, "no_right"),
        (4, 0, {}, "no_wrong"),
        (0, 0, {}, "no_right"),
        (1, 2, {"least_candidates": 4}, "too_few"),
        (4, 4, {"max_tokens": 15}, "too_long"),
        (4, 4, {"max_candidate_tokens": 3}, "too_long"),
        (0, 4, {"max_candidate_tokens": 3}, "no_right"),
    ],
)
def test_why_a_problem_gives_no_group(right: int, wrong: int, rule: dict[str, int], reason: str) -> None:
    given = candidates(right, wrong)
    assert words(given[0].text) == 8 if given else True
    assert why_none(given, RULE.model_copy(update=rule)) == reason


def test_groups_keep_to_the_tokens_of_a_candidate_and_of_all_together() -> None:
    long = candidate("long", correct=False, text="so " * 100 + "it is $\\boxed{7}$.")
    rule = RULE.model_copy(update={"max_candidate_tokens": 50, "max_tokens": 40})
    found = groups([*candidates(8, 8), long], rule)
    assert {len(group.candidates) for group in found} <= {2, 3, 4, 5}
    assert long not in {each for group in found for each in group.candidates}


def test_a_problem_gives_no_more_sets_than_there_are_and_than_are_wanted() -> None:
    assert len(groups(candidates(1, 1))) == 1
    assert len(groups(candidates(8, 8), RULE.model_copy(update={"most_groups": 3}))) == 3


@pytest.mark.parametrize("wrong", [{"most_candidates": 17}, {"most_candidates": 1}, {"asked_twice": 1.1}, {"size": 3}])
def test_a_rule_that_cannot_be_kept_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        GroupingRule.model_validate(wrong)
