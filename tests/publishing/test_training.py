"""No row that is contaminated, undecided, cut or in a loop reaches a view; SFT and RL have no problem in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from omr_kedro.pipelines.publish.views import EVERY, View
from omr_kedro.publishing.columns import UnmatchedRowsError
from omr_kedro.publishing.files import publish
from omr_kedro.publishing.publication import Publication, publication
from omr_kedro.publishing.selection import held_out
from omr_kedro.publishing.training import UnfitRowError, kept
from omr_kedro.publishing.views import RL, SCHEMAS, SFT
from omr_kedro.shards import Row
from tests.publishing.dataset import Dataset, names, posed
from tests.publishing.support import rejected, rows_of, solution, with_code
from tests.support.tables import shards_of

SFT_VIEWS: list[View] = [view for view in EVERY if view in SFT or view == "preferences"]
RL_VIEWS: list[View] = [view for view in EVERY if view in RL]
SHARE = 0.3
FREE, HELD = names(3, SHARE, held=False), names(4, SHARE, held=True)
LOOP = "Let me compute again and again the same number as before. " * 400

# Each planted where it must not be: in the table of right solutions.
PLANTED: dict[str, Row] = {
    "contaminated": solution(50, "a problem of a benchmark"),
    "undecided": solution(51, FREE[0], verdict="undecided"),
    "cut": solution(52, FREE[0], finish_reason="length"),
    "looping": solution(53, FREE[0], reasoning=LOOP),
    "rejected": solution(54, FREE[0], solution_id=f"{FREE[0]}-90"),
}


def dataset(folder: Path, **more: Any) -> Dataset:
    good = [solution(n, problem) for problem in (*FREE, *HELD) for n in range(2)]
    wrong = [rejected(90 + n, problem=problem) for problem in (*FREE, *HELD) for n in range(2)]
    problems = [posed(name) for name in (*FREE, *HELD)]
    given = {"solutions": good, "problems": problems, "rejected": wrong, "rl": {"share": SHARE}} | more
    return Dataset(folder, **given)


def planted(folder: Path, kind: str) -> Dataset:
    clean = [solution(n, problem) for problem in (*FREE, *HELD) for n in range(2)]
    return dataset(folder, solutions=[*clean[:1], PLANTED[kind], *clean[1:]])


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_row_is_left_out_of_every_view_and_the_reason_is_told(tmp_path: Path, kind: str) -> None:
    data = planted(tmp_path, kind)
    found = PLANTED[kind]["solution_id"]
    assert data.reasons[found] == kind
    for view in SFT_VIEWS:
        rows = data.view(view)
        assert rows, view
        assert found not in {row["solution_id"] for row in rows}, view
        assert PLANTED["contaminated"]["problem_id"] not in {row["problem_id"] for row in rows}, view


@pytest.mark.parametrize("kind", PLANTED)
def test_a_view_that_lets_one_through_is_not_written(tmp_path: Path, kind: str) -> None:
    """The check before writing, without the selection before it."""
    data = planted(tmp_path, kind)
    through = [{**row, "outcome": "kept", "reason": None} for row in data.selection.rows()]
    data.selection = shards_of(through, 1)
    for view in SFT_VIEWS:
        with pytest.raises(UnfitRowError, match="must be in no view"):
            data.view(view)
        assert not (tmp_path / "dataset/data" / view).exists()


@pytest.fixture(scope="module")
def fit(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset(tmp_path_factory.mktemp("fit"))


REPLY = [{"role": "assistant", "content": LOOP}]


@pytest.mark.parametrize(
    ("view", "changed"),
    [
        ("sft_messages", {"verdict": None}),
        ("sft_messages", {"verdict": "incorrect"}),
        ("sft_messages", {"finish_reason": "repetition"}),
        ("sft_messages", {"messages": [{"role": "user", "content": "?"}, *REPLY]}),
        ("sft_prompt_completion", {"completion": REPLY}),
        ("sft_input_output", {"output": LOOP}),
        ("preferences", {"chosen": REPLY}),
        ("preferences", {"rejected": REPLY}),
        ("preferences", {"rejected_verdict": "undecided"}),
        ("preferences", {"rejected_verdict": "correct"}),
        ("preferences", {"rejected_finish_reason": "length"}),
    ],
)
def test_a_row_is_refused_for_what_it_says_of_itself(fit: Dataset, view: View, changed: Row) -> None:
    """Its ids are those of a row that is fit."""
    check = fit.guard.check_preferences if view == "preferences" else fit.guard.check_sft
    rows = rows_of(fit.publication(view))
    check(pa.RecordBatch.from_pylist(rows, SCHEMAS[view]))
    rows[1] |= changed
    with pytest.raises(UnfitRowError, match=rows[1]["solution_id"]):
        check(pa.RecordBatch.from_pylist(rows, SCHEMAS[view]))


@pytest.mark.parametrize("reason", ["undecided", "truncated", "looping", "repetition", "no_box", "unparsed_reply"])
def test_only_whole_samples_with_wrong_answers_are_rejected_replies(tmp_path: Path, reason: str) -> None:
    wrong = [rejected(90, reason, FREE[0]), rejected(91, "incorrect", FREE[0])]
    rows = dataset(tmp_path, rejected=wrong).view("preferences")
    assert [row["rejected_solution_id"] for row in rows] == [f"{FREE[0]}-91"]


@pytest.mark.parametrize("more", [{"finish_reason": "length"}, {"reasoning": LOOP}])
def test_a_wrong_sample_that_is_cut_or_loops_is_no_rejected_reply(tmp_path: Path, more: Row) -> None:
    assert dataset(tmp_path, rejected=[rejected(90, "incorrect", FREE[0], **more)]).view("preferences") == []


def test_sft_and_rl_have_no_problem_in_common_and_together_all(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    for view in SFT_VIEWS:
        assert {row["problem_id"] for row in data.view(view)} == set(FREE), view
    for view in RL_VIEWS:
        assert {row["problem_id"] for row in data.view(view)} == set(HELD), view


def test_a_problem_on_the_wrong_side_is_not_written(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    for view, share in (("sft_messages", 0.0), ("verl_rl", 1.0)):
        # Rows made for another share than the one that the check knows.
        other = dataset(tmp_path / view, rl={"share": share})
        rows = other.publication(view)  # type: ignore[arg-type]
        check = data.guard.check_sft if view in SFT else data.guard.check_rl
        with pytest.raises(UnfitRowError, match="held out"):
            publish(tmp_path / "other", view, Publication(rows.schema, "", rows.batches, check))


@pytest.mark.parametrize(
    "problem",
    [posed(HELD[3], None, "none"), posed(HELD[3], suspect=True)],
    ids=["nobody knows the answer", "all samples have another answer"],
)
def test_a_problem_whose_answer_is_in_doubt_is_in_no_view_for_rl(tmp_path: Path, problem: Row) -> None:
    data = dataset(tmp_path, problems=[posed(HELD[0]), problem], solutions=[])
    for view in RL_VIEWS:
        assert [row["problem_id"] for row in data.view(view)] == [HELD[0]], view


def test_problems_for_rl_can_be_chosen_by_pass_rate_and_type_of_answer(tmp_path: Path) -> None:
    rates = {HELD[0]: 0.0, HELD[1]: 0.5, HELD[2]: 1.0, HELD[3]: None}
    problems = [posed(name, pass_rate=rate) for name, rate in rates.items()]
    some = dataset(tmp_path / "some", problems=problems, rl={"share": SHARE, "pass_rate": {"min": 0.1, "max": 0.9}})
    assert [row["problem_id"] for row in some.view("verl_rl")] == [HELD[1]]
    sets = dataset(tmp_path / "sets", rl={"share": SHARE, "answer_types": ["set"]})
    assert sets.view("verl_rl") == []


def group(problem: str, order: int, *candidates: tuple[str, bool]) -> Row:
    made = [
        {"solution_id": name, "text": f"Text of {name}", "answer": "7", "correct": right} for name, right in candidates
    ]
    ids = {"group_id": f"{problem} {order}", "set_id": problem, "problem_id": problem, "problem": "How many?"}
    return {**ids, "expected_answer": "7", "candidates": made, "order": order}


def test_groups_for_rl_are_of_problems_that_are_held_out_one_order_of_each(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    fit = (f"{HELD[0]}-0", True), (f"{HELD[0]}-90", False)
    other = (f"{FREE[0]}-0", True), (f"{FREE[0]}-90", False)
    groups = [group(HELD[0], 0, *fit), group(HELD[0], 1, *reversed(fit)), group(FREE[0], 0, *other)]
    (row,) = rows_of(publish(tmp_path / "dataset", "genselect_rl", data.comparisons(groups)))
    assert (row["problem_id"], row["right"]) == (HELD[0], [0])
    assert "Candidate 2:\nText of" in row["prompt"][0]["content"]


def test_a_group_with_a_candidate_in_a_loop_is_not_written(tmp_path: Path) -> None:
    looping = group(HELD[0], 0, (f"{HELD[0]}-0", True), (f"{HELD[0]}-90", False))
    looping["candidates"][0]["text"] = LOOP
    with pytest.raises(UnfitRowError, match="in a loop"):
        publish(tmp_path / "dataset", "genselect_rl", dataset(tmp_path).comparisons([looping]))


@pytest.mark.parametrize("unfit", [(f"{HELD[0]}-95", False), (f"{HELD[0]}-90", True)])
def test_a_group_with_an_undecided_candidate_is_not_written(tmp_path: Path, unfit: tuple[str, bool]) -> None:
    wrong = [rejected(90, problem=HELD[0]), rejected(95, "undecided", HELD[0])]
    data = dataset(tmp_path, rejected=wrong)
    groups = [group(HELD[0], 0, (f"{HELD[0]}-0", True), unfit)]
    with pytest.raises(UnfitRowError, match="undecided, cut or in a loop"):
        publish(tmp_path / "dataset", "genselect_rl", data.comparisons(groups))


@for_all(st.lists(st.text("0123456789abcdef", min_size=20, max_size=20), max_size=50), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_holds_out_these_and_more(ids: list[str], one: float, other: float) -> None:
    small, large = sorted([one, other])
    column = pa.array(ids, pa.string())
    assert not (held_out(column, small) & ~held_out(column, large)).any()
    assert not held_out(column, 0.0).any()
    assert held_out(column, 1.0).all()


def test_about_the_wanted_share_of_problems_is_held_out() -> None:
    ids = pa.array([f"{n:020x}" for n in range(20_000)])
    assert held_out(ids, 0.1).mean() == pytest.approx(0.1, abs=0.01)


def test_a_selection_of_other_rows_is_told(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    rows = list(data.selection.rows())
    with pytest.raises(UnmatchedRowsError, match="other rows"):
        list(kept(data.solutions, shards_of(rows[1:], 1), ["problem_id"]))


def test_pairs_are_of_one_problem_and_one_mode_and_no_more_than_wanted(tmp_path: Path) -> None:
    code = [with_code(n, problem) for problem in FREE for n in range(3)]
    wrong_code = [
        {**with_code(90 + n, FREE[1]), "verdict": "incorrect", "outcome": "dropped", "reason": "incorrect"}
        for n in range(3)
    ]
    data = dataset(tmp_path, tir=code, tir_rejected=wrong_code, pairs_per_problem=2, filters={"deduplicate": False})
    rows = data.view("preferences")
    found = [(row["inference_mode"], row["problem_id"]) for row in rows]
    assert found == [("cot", name) for name in FREE for _ in range(2)] + [("tir", FREE[1])] * 2
    assert {row["rejected_solution_id"] for row in rows if row["inference_mode"] == "tir"} == {
        f"{FREE[1]}-code-90",
        f"{FREE[1]}-code-91",
    }


def test_solutions_and_rejected_samples_in_different_orders_are_told(tmp_path: Path) -> None:
    wrong = [rejected(90, problem=problem) for problem in reversed(FREE)]
    with pytest.raises(UnmatchedRowsError, match="different orders"):
        dataset(tmp_path, rejected=wrong).view("preferences")


def test_a_view_that_is_not_wanted_says_so(tmp_path: Path) -> None:
    data = dataset(tmp_path, views=["verl_rl"])
    for view in SFT_VIEWS:
        nothing = data.publication(view)
        assert list(nothing.batches()) == []
        assert nothing.why_empty == "not among `publish_views.views`"


def test_without_a_template_the_original_s_view_says_what_is_missing(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    assert "chat_template" in data.publication("sft_input_output", None).why_empty


def test_a_check_of_nothing_is_silent(tmp_path: Path) -> None:
    empty = publication(pa.schema([("x", pa.string())]), lambda: iter(()), [])
    assert publish(tmp_path, "none", empty).manifest.rows == 0
