"""Every problem with samples gets its reference answer, and every sample its place: a solution, or rejected."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omr_kedro.pipelines.sampling import SamplingOptions
from omr_kedro.pipelines.settle_solutions.nodes import (
    SettlingOptions,
    pass_rates,
    reference_answer,
    verdicts_of,
    why_rejected,
)
from omr_kedro.shards import Row
from omr_kedro.solutions import StopRule
from omr_kedro.tables import ANSWERS
from tests.support.cot import Cot, boxed, completion_row, problem, read_completions
from tests.support.tables import shards_of

KEEP, REPLACE = SettlingOptions(), SettlingOptions(suspect_answer="replace")
WHOLE = {"stop", "eos", "end_turn", None}
"""Finish reasons of replies that the model has ended itself, and that of servers that tell none."""


def votes(*classes: tuple[str, int], extracted: str | None = "5", drawn: int = 0, **columns: Any) -> Row:
    """Votes of a problem; the samples of its classes are numbered class by class."""
    rows, first = [], 0
    for answer, count in classes:
        rows.append({"answer": answer, "votes": count, "samples": list(range(first, first + count))})
        first += count
    leads = len(classes) == 1 or (len(classes) > 1 and classes[0][1] > classes[1][1])
    return {
        "problem_id": "p",
        "thread_id": "t",
        "mode": "cot",
        "extracted_answer": extracted,
        "majority_answer": classes[0][0] if leads else None,
        "votes_total": first,
        "samples_drawn": max(drawn, first),
        "stop_reason": "fixed",
        "classes": rows,
        **columns,
    }


def judged(row: Row, *verdicts: str) -> list[Row]:
    return [
        {
            "answer_class": number,
            "reference_answer": row["extracted_answer"] or row["majority_answer"],
            "votes": each["votes"],
            "verdict": verdict,
            "decided_by": "judge",
            "judge_model": "j",
        }
        for number, (each, verdict) in enumerate(zip(row["classes"], verdicts, strict=True))
    ]


@pytest.mark.parametrize(
    ("row", "verdicts", "kept", "replaced"),
    [
        # answer, source, suspect, votes for it
        (votes(("7", 4), ("5", 2)), ["incorrect", "correct"], ("5", "extracted", False, 2), None),
        (
            votes(("7", 4), ("8", 2)),
            ["incorrect"] * 2,
            ("5", "extracted", True, 0),
            ("7", "replaced_by_majority", True, 4),
        ),
        (votes(("7", 4), ("8", 4)), ["incorrect"] * 2, ("5", "extracted", True, 0), None),
        (
            votes(("7", 2), ("8", 1), stop_reason="no_majority"),
            ["incorrect"] * 2,
            ("5", "extracted", True, 0),
            None,
        ),
        # One that may be the same answer is no reason to doubt it.
        (votes(("7", 4), ("8", 2)), ["undecided", "incorrect"], ("5", "extracted", False, 0), None),
        (votes(("7", 4), ("8", 2)), ["incorrect", "undecided"], ("5", "extracted", False, 0), None),
        (votes(drawn=8), [], ("5", "extracted", False, 0), None),
        (votes(("7", 4), ("8", 2), extracted=None), ["correct", "incorrect"], ("7", "majority", False, 4), None),
        (votes(("7", 4), ("8", 4), extracted=None), [], (None, "none", False, 0), None),
        (votes(("7", 2), extracted=None, stop_reason="no_majority"), [], (None, "none", False, 0), None),
        (votes(extracted=None, drawn=8), [], (None, "none", False, 0), None),
    ],
)
def test_the_answer_that_counts(
    row: Row, verdicts: list[str], kept: tuple[Any, ...], replaced: tuple[Any, ...] | None
) -> None:
    answers = judged(row, *verdicts) if verdicts else []
    for options, expected in ((KEEP, kept), (REPLACE, replaced or kept)):
        found = reference_answer(row, answers, options)
        assert (found["expected_answer"], found["answer_source"], found["suspect"], found["votes_for"]) == expected
        assert found["extracted_answer"] == row["extracted_answer"]
        assert found["agreement"] == (expected[3] / row["votes_total"] if row["votes_total"] else None)


def test_where_the_majority_replaces_an_answer_its_class_is_right_and_the_others_are_undecided() -> None:
    row = votes(("7", 4), ("8", 2))
    answers = judged(row, "incorrect", "incorrect")
    found = verdicts_of(answers, reference_answer(row, answers, REPLACE))
    assert [(each["verdict"], each["decided_by"], each["judge_model"]) for each in found.values()] == [
        ("correct", "majority", None),
        ("undecided", None, None),
    ]
    assert verdicts_of(answers, reference_answer(row, answers, KEEP)) == dict(enumerate(answers))


def hits(text: str) -> Row:
    """Votes of samples that are right (+), wrong (-), undecided (?), or cut (.)."""
    places = {sign: [index for index, each in enumerate(text) if each == sign] for sign in "+-?"}
    classes = [{"answer": sign, "votes": len(found), "samples": found} for sign, found in places.items() if found]
    return votes(drawn=len(text)) | {"classes": classes, "votes_total": len(text) - text.count(".")}


VERDICTS = {"+": "correct", "-": "incorrect", "?": "undecided"}


@pytest.mark.parametrize(
    ("drawn", "rule", "rate", "first8"),
    [
        ("+-+-.--+", StopRule(fixed=8), 3 / 8, 3 / 8),
        ("++++", StopRule(rounds=(4, 8), correct=4, give_up_after=8), 1, None),
        # The 2nd right one is the 4th sample: (2-1)/(4-1), whatever came after it in its round.
        ("-+.+", StopRule(rounds=(4, 8), correct=2, give_up_after=8), 1 / 3, None),
        ("-+.+++-+", StopRule(rounds=(4, 8), correct=2, give_up_after=8), 1 / 3, 5 / 8),
        # One right one of 8, where 2 were wanted: a share.
        ("-.---+--", StopRule(rounds=(4, 8), correct=2, give_up_after=8), 1 / 8, 1 / 8),
        # Given up after 4 without a right one; a path to (1 of 8) that was not given up has it in the first 4: 1 of 4.
        ("-+------", StopRule(rounds=(4, 8), correct=2, give_up_after=4), 1 / 4, 1 / 8),
        ("--------", StopRule(fixed=8), 0, 0),
        ("........", StopRule(fixed=8), 0, 0),
        ("-...", StopRule(rounds=(4, 8), correct=2, give_up_after=4), 0, None),
        ("????----", StopRule(fixed=8), None, None),
        ("+???----", StopRule(fixed=8), 1 / 8, 1 / 8),
    ],
)
def test_pass_rates_are_those_computed_by_hand(
    drawn: str, rule: StopRule, rate: float | None, first8: float | None
) -> None:
    row = hits(drawn)
    answers = judged(row, *(VERDICTS[each["answer"]] for each in row["classes"]))
    reference = reference_answer(row, answers, KEEP)
    found = pass_rates(row, verdicts_of(answers, reference), reference, rule)
    assert found == {"pass_rate": rate and pytest.approx(rate), "pass_rate_first8": first8}


def test_without_a_reference_answer_there_is_no_pass_rate() -> None:
    row = votes(("7", 2), ("8", 2), extracted=None)
    found = pass_rates(row, {}, reference_answer(row, [], KEEP), StopRule(fixed=4))
    assert found == {"pass_rate": None, "pass_rate_first8": None}


@pytest.mark.parametrize(
    ("no_vote", "verdict", "answer", "outcome", "reason"),
    [
        ("truncated", "undecided", None, "dropped", "truncated"),
        ("no_box", "undecided", "5", "dropped", "no_box"),
        ("looping", "undecided", "5", "dropped", "looping"),
        ("repetition", "undecided", "5", "dropped", "repetition"),
        ("timeout", "undecided", "5", "failed", "timeout"),
        ("content_filter", "undecided", "5", "failed", "content_filter"),
        (None, "undecided", None, "failed", "no_reference_answer"),
        (None, "incorrect", "5", "dropped", "incorrect"),
        (None, "undecided", "5", "failed", "undecided"),
    ],
)
def test_a_rejected_sample_was_decided_against_or_could_not_be_decided(
    no_vote: str | None, verdict: str, answer: str | None, outcome: str, reason: str
) -> None:
    found = why_rejected({"no_vote": no_vote}, verdict, {"expected_answer": answer})
    assert found == {"outcome": outcome, "reason": reason}


def settled(
    drawn: list[Row], problems: list[Row], verdicts: dict[str, str], options: SettlingOptions, rounds: int
) -> Cot:
    """All tables of given completions, with a verdict for the answer of each class."""
    cot = read_completions(problems, drawn, SamplingOptions(stop_rule=StopRule(fixed=rounds), max_failed_share=1))
    answers = [
        dict.fromkeys(ANSWERS.names)
        | {"answer_id": f"{row['problem_id']}-{number}", "answer_class": number, "verdict": verdicts[each["answer"]]}
        | {"votes": each["votes"], "decided_by": "judge", "judge_model": "j"}
        | {name: row[name] for name in ("problem_id", "thread_id", "problem")}
        for row in cot.tables["votes"].rows()
        for number, each in enumerate(row["classes"])
        if row["extracted_answer"] or row["majority_answer"]
    ]
    cot.settling = options
    cot.tables["answers"] = shards_of(answers, 1)
    return cot.settle()


replies = st.fixed_dictionaries(
    {
        "text": st.sampled_from(
            [
                *(boxed(answer) for answer in ("5", "5.0", "7", "8", "?", "")),
                boxed("5", "Let me look at that once more. " * 300),
                boxed("5") + "</think>",
                boxed("5") + "<tool_call>",
                "<think>\\boxed{5}",
                "So it is \\boxed{5}.",
                "So it is \\boxed{5",
                "It is 5.",
                " ",
            ]
        ),
        "reasoning": st.none() | st.sampled_from(["Let me see.", "It may be \\boxed{7}"]),
        "finish_reason": st.sampled_from(
            ["stop"] * 6 + ["length", "abort", "repetition", "content_filter", "tool_calls", "odd", "EOS", None]
        ),
        "error_kind": st.sampled_from([None] * 6 + ["timeout", "bad_request", "server_error"]),
    }
)


@settings(deadline=None, max_examples=60)
@given(
    given_=st.lists(
        st.tuples(st.sampled_from([None, "5", "7", "99"]), st.lists(replies, min_size=3, max_size=3)),
        min_size=1,
        max_size=4,
    ),
    verdicts=st.fixed_dictionaries(
        {answer: st.sampled_from(["correct", "incorrect", "undecided"]) for answer in ("5", "5.0", "7", "8")}
    ),
    options=st.sampled_from([KEEP, REPLACE]),
)
def test_each_sample_is_in_one_table_and_none_that_is_not_whole_is_a_solution(
    given_: list[tuple[str | None, list[Row]]], verdicts: dict[str, str], options: SettlingOptions
) -> None:
    problems = [problem(f"p{number}", answer) for number, (answer, _) in enumerate(given_)]
    drawn = [
        completion_row(f"p{number}", index, **reply)
        for number, (_, found) in enumerate(given_)
        for index, reply in enumerate(found)
    ]
    cot = settled(drawn, problems, verdicts, options, rounds=3)
    solutions, rejected = cot.rows("solutions"), cot.rows("rejected")

    unsolved = {row["row_id"] for row in cot.rows("unsolved")}
    placed = Counter((row["problem_id"], row["sample_index"]) for row in solutions + rejected)
    assert placed == Counter((row["row_id"], row["sample_index"]) for row in drawn if row["row_id"] not in unsolved)
    assert {row["problem_id"] for row in cot.rows("references")} == {row["problem_id"] for row in problems} - unsolved

    calls = {row["call_key"]: row for row in drawn}
    for row in solutions:
        call = calls[row["call_key"]]
        assert call["error_kind"] is None
        assert (call["finish_reason"] and call["finish_reason"].lower()) in WHOLE
        assert "\\boxed{" in row["solution"]
        assert "<" not in row["solution"]
        assert len(row["reasoning"] or "") < 1000, "no loop"
        assert row["verdict"] == "correct"
        assert row["predicted_answer"] in {"5", "5.0", "7", "8"}
        assert row["expected_answer"] is not None
    assert all(row["reason"] and row["outcome"] in ("dropped", "failed") for row in rejected)

    right = Counter(row["problem_id"] for row in solutions)
    for reference in cot.rows("references"):
        assert right[reference["problem_id"]] == (reference["votes_for"] if reference["expected_answer"] else 0)
        assert reference["samples_drawn"] == 3


def test_the_texts_of_a_rejected_sample_stand_as_they_came() -> None:
    cut = completion_row("p", 0, "<think>It may be", finish_reason="length")
    right = completion_row("p", 1, "So it is \\boxed{5}.", reasoning="Let me see.")
    cot = settled([cut, right], [problem("p", "5")], {"5": "correct"}, KEEP, rounds=2)
    (rejected,), (solution,) = cot.rows("rejected"), cot.rows("solutions")
    assert (rejected["reasoning"], rejected["solution"]) == (None, "<think>It may be")
    assert (rejected["answer_class"], rejected["verdict"], rejected["reason"]) == (None, "undecided", "truncated")
    assert (solution["reasoning"], solution["solution"]) == ("Let me see.", "So it is \\boxed{5}.")
    assert solution["sampling"] == '{"temperature":0.7,"top_p":0.95,"max_tokens":16384}'


def test_a_suspect_answer_is_kept_and_marked_or_replaced() -> None:
    drawn = [completion_row("p", index, boxed(answer)) for index, answer in enumerate(["7", "7", "8", "7"])]
    verdicts = {"7": "incorrect", "8": "incorrect"}
    kept = settled(drawn, [problem("p", "5")], verdicts, KEEP, rounds=4)
    assert kept.rows("solutions") == []
    assert {(row["suspect"], row["reason"]) for row in kept.rows("rejected")} == {(True, "incorrect")}
    replaced = settled(drawn, [problem("p", "5")], verdicts, REPLACE, rounds=4)
    assert [(row["sample_index"], row["expected_answer"]) for row in replaced.rows("solutions")] == [
        (0, "7"), (1, "7"), (3, "7"),
    ]  # fmt: skip
    assert {row["decided_by"] for row in replaced.rows("solutions")} == {"majority"}
    assert [(row["sample_index"], row["reason"]) for row in replaced.rows("rejected")] == [(2, "undecided")]
