from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omr_kedro.publishing.arithmetic import is_arithmetic_wrong, split_arithmetic
from omr_kedro.shards import Row
from tests.publishing.dataset import Dataset, posed
from tests.publishing.support import solution, with_code
from tests.support.tables import shards_of

PROBLEMS = ["a", "b", "c"]


def dataset(
    folder: Path, solutions: list[Row], filters: dict[str, Any], tir: list[Row] | None = None, **more: Any
) -> Dataset:
    problems = [posed(name) for name in PROBLEMS]
    return Dataset(folder, solutions, problems, tir=tir or [], rl={"share": 0}, filters=filters, **more)


# For each filter: its setting, a row that it leaves out, one that it keeps.
FILTERS: list[tuple[str, Any, Row, Row]] = [
    ("drop_multi_boxed", True, {"solution": r"$\boxed{7}$ or $\boxed{8}$"}, {"solution": r"$\boxed{7}$"}),
    ("remove_code_errors", True, {"reasoning": "Traceback (most recent call last):"}, {"reasoning": "a trace"}),
    ("remove_code_errors", True, {"solution": "<output cut>"}, {"solution": "cut"}),
    ("remove_matplotlib", True, {"solution": "import matplotlib.pyplot"}, {"solution": "import numpy"}),
    ("remove_no_think_tags", True, {"reasoning": None}, {"reasoning": "x"}),
    ("remove_verification_code", True, {"solution": "Let's verify this with Python."}, {"solution": "Use Python."}),
    ("min_majority_votes", 3, {"votes_for": 2, "votes_total": 9}, {"votes_for": 3, "votes_total": 9}),
    ("min_majority_votes", 3, {"votes_for": 2, "votes_total": 9}, {"votes_for": None, "votes_total": None}),
    ("min_majority_fraction", 0.5, {"votes_for": 4, "votes_total": 9}, {"votes_for": 5, "votes_total": 9}),
    ("drop_incorrect_arithmetic", True, {"solution": "so 2 + 3 * 4 = 15."}, {"solution": "so 2 + 3 * 4 = 14."}),
    ("problem_tokens", {"max": 20}, {"problem": "x" * 21}, {"problem": "x" * 20}),
    ("solution_tokens", {"min": 50}, {"reasoning": None, "solution": "x" * 49}, {"solution": "x" * 50}),
    ("pass_rate", {"max": 0.9}, {"pass_rate": 1.0}, {"pass_rate": 0.9}),
    ("pass_rate", {"min": 0.1}, {"pass_rate": 0.05}, {"pass_rate": None}),
    ("modes", ["tir"], {}, {"mode": "tir"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "out", "kept"), FILTERS, ids=[each[0] for each in FILTERS])
def test_each_filter_leaves_out_what_it_says(tmp_path: Path, name: str, value: Any, out: Row, kept: Row) -> None:
    rows = [{**solution(0, "a"), **out}, {**solution(1, "b"), **kept}]
    if name == "modes":
        data = dataset(tmp_path, rows[:1], {name: value}, [with_code(1, "b")])
    else:
        data = dataset(tmp_path, rows, {name: value})
    reasons = data.reasons
    first, second = reasons.values()
    assert second is None
    assert first == _REASONS.get(name, name.removeprefix("remove_").removeprefix("drop_"))


_REASONS = {"min_majority_votes": "few_votes", "min_majority_fraction": "few_votes", "modes": "unwanted_mode"}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, value, *_ in FILTERS])
def test_without_a_filter_all_stay_but_for_pictures(tmp_path: Path, name: str, value: Any) -> None:
    del value
    out = [each[2] for each in FILTERS if each[0] == name and name not in {"remove_matplotlib", "modes"}]
    rows = [{**solution(number, "a"), **row} for number, row in enumerate(out)]
    assert dataset(tmp_path, rows, {"deduplicate": False}).kept == [row["solution_id"] for row in rows]


def test_code_that_failed_or_did_not_run_is_known_by_its_counts(tmp_path: Path) -> None:
    quiet = with_code(0, "a", execution_errors=0)
    slow = with_code(1, "a", execution_errors=0, execution_timeouts=1)
    idle = with_code(2, "a", execution_errors=0, executions=0)
    data = dataset(
        tmp_path, [solution(0, "b")], {"remove_code_errors": True, "remove_no_code": True}, [quiet, slow, idle]
    )
    assert data.reasons == {"b-0": None, "a-code-0": None, "a-code-1": "code_errors", "a-code-2": "no_code"}


def usefulness(useful: list[Row], dropped: list[Row], judged: list[Row]) -> dict[str, Any]:
    return {"usefulness": tuple(shards_of(rows, 1) for rows in (useful, dropped, judged))}


CODE = [with_code(n, "a") for n in range(4)]


def test_solutions_whose_code_was_of_no_use_are_left_out_where_that_was_judged(tmp_path: Path) -> None:
    no_code, not_useful = ({"row_id": f"a-code-{n}", "outcome": "dropped"} for n in (1, 2))
    judged = usefulness([{"solution_id": "a-code-0"}], [no_code], [not_useful])
    reasons = {f"a-code-{n}": why for n, why in enumerate([None, "not_useful", "not_useful", "usefulness_unknown"])}
    data = dataset(tmp_path / "one", [solution(0, "b")], {}, CODE, **judged)
    assert data.reasons == {"b-0": None, **reasons}
    assert {row["solution_id"] for row in data.view("sft_messages")} == {"b-0", "a-code-0"}
    everything = dataset(tmp_path / "two", [solution(0, "b")], {"only_useful": False}, CODE, **judged)
    assert set(everything.reasons.values()) == {None}


def test_without_any_judgement_all_solutions_with_code_stay(tmp_path: Path) -> None:
    assert dataset(tmp_path, [], {}, CODE).kept == [row["solution_id"] for row in CODE]


def test_a_judge_who_decided_nothing_found_nothing_useful(tmp_path: Path) -> None:
    undecided = [{"row_id": row["solution_id"], "outcome": "failed"} for row in CODE]
    data = dataset(tmp_path, [], {}, CODE, **usefulness([], [], undecided))
    assert set(data.reasons.values()) == {"usefulness_unknown"}


def test_of_texts_that_are_the_same_the_first_stays(tmp_path: Path) -> None:
    same = [solution(n, problem, reasoning="Same.") for problem in "ab" for n in range(2)]
    assert dataset(tmp_path, same, {}).reasons == {"a-0": None, "a-1": "duplicate", "b-0": None, "b-1": "duplicate"}


def test_the_shortest_right_solutions_of_each_problem_stay(tmp_path: Path) -> None:
    rows = [solution(n, problem, completion_tokens=100 - n) for problem in "ab" for n in range(4)]
    assert dataset(tmp_path, rows, {"shortest": 2}).kept == ["a-2", "a-3", "b-2", "b-3"]


def test_a_cap_draws_the_same_rows_whatever_else_there_is(tmp_path: Path) -> None:
    rows = [solution(n, "a") for n in range(9)]
    one = dataset(tmp_path / "one", rows, {"most_per_problem": 3}).kept
    more = [*rows, *(solution(n, "b") for n in range(5))]
    assert len(one) == 3
    assert [name for name in dataset(tmp_path / "two", more, {"most_per_problem": 3}).kept if name[0] == "a"] == one
    assert dataset(tmp_path / "other", rows, {"most_per_problem": 3, "seed": 7}).kept != one


MANY = [solution(n, problem) for problem, count in (("a", 8), ("b", 2), ("c", 1)) for n in range(count)]


@pytest.mark.parametrize("how", ["random", "fair"])
@pytest.mark.parametrize("count", [0, 1, 5, 10, 11, 12])
def test_as_many_are_drawn_as_are_wanted_or_there_are(tmp_path: Path, how: str, count: int) -> None:
    """The original's `fair` never ends, or fails, when exactly the wanted number is there."""
    data = dataset(tmp_path, MANY, {"num_output_samples": count, "downsampling": how})
    assert len(data.kept) == min(count, len(MANY))
    assert list(data.reasons.values()).count("not_drawn") == max(0, len(MANY) - count)


def test_a_fair_draw_takes_one_of_each_problem_in_turn(tmp_path: Path) -> None:
    kept = {}
    for count in (3, 5, 6):
        data = dataset(tmp_path / str(count), MANY, {"num_output_samples": count, "downsampling": "fair"})
        kept[count] = [sum(name.startswith(problem) for name in data.kept) for problem in PROBLEMS]
    assert kept == {3: [1, 1, 1], 5: [2, 2, 1], 6: [3, 2, 1]}


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        (None, {"a": "ctt", "b": "ct", "c": "t"}),
        ("all", {"a": "ctt", "b": "ct", "c": "t"}),
        ("any_code", {"a": "c", "b": "c", "c": "t"}),
        ("majority_code", {"a": "tt", "b": "c", "c": "t"}),
        ("majority_text", {"a": "tt", "b": "t", "c": "t"}),
    ],
)
def test_solutions_with_or_without_code_are_kept_by_problem(
    tmp_path: Path, wanted: str | None, kept: dict[str, str]
) -> None:
    text = [solution(n, problem) for problem, count in (("a", 2), ("b", 1), ("c", 1)) for n in range(count)]
    data = dataset(tmp_path, text, {"code_text_filter": wanted}, [with_code(0, "a"), with_code(0, "b")])
    found = {
        name: "".join(sorted("c" if "code" in each else "t" for each in data.kept if each[0] == name)) for name in "abc"
    }
    assert found == kept


def test_a_filter_that_there_is_not_and_contamination_that_is_kept_are_refused(tmp_path: Path) -> None:
    for filters in ({"remove_contaminated": False}, {"remove_everything": True}):
        with pytest.raises(ValueError, match="remove_"):
            dataset(tmp_path, [], filters)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("2 + 3 = 5", False),
        ("2 + 3 = 6", True),
        ("2+3*4=14, so", False),
        ("10 / 4 = 2.5", False),
        ("10 / 3 = 3.3333", False),
        ("10 / 3 = 3.3", True),
        ("-2 - 3 = -5", False),
        ("1 / 0 = 7", True),
        ("x + 2 + 3 = 5", False),
        ("x2 + 3 = 9", False),
        ("2 + 3 = 5x", False),
        ("2 + 3 = 4 + 1", False),
        ("2^2 + 3 = 7", False),
        ("f(2) + 3 = 9", False),
        (r"2 + 3 = 5\pi", False),
        ("2 + 3 \\equiv 0", False),
        ("1. 2 + 3 = 5", False),
    ],
)
def test_only_plain_chains_of_numbers_are_checked(text: str, wrong: bool) -> None:
    assert is_arithmetic_wrong(text) is wrong


@pytest.mark.parametrize(
    ("text", "apart"),
    [
        ("So 2 + 3 * 4 = 14.", "So 2 + 3 * 4 = 2 + 12 = 14."),
        ("2 + 3 = 5", "2 + 3 = 5"),
        ("2 + 3 * 4 = 15", "2 + 3 * 4 = 15"),
        ("1 + 2 + 3 + 4 = 10 and 8 / 2 * 3 = 12", "1 + 2 + 3 + 4 = 3 + 3 + 4 = 6 + 4 = 10 and 8 / 2 * 3 = 4 * 3 = 12"),
        ("1 / 3 * 3 = 1", "1 / 3 * 3 = 1"),
        ("nothing", "nothing"),
    ],
)
def test_chains_are_taken_apart_step_by_step_where_steps_can_be_written(text: str, apart: str) -> None:
    assert split_arithmetic(text) == apart
