"""Gold answers of the exam: the pipeline's own readers and comparison take them as they stand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from omr_kedro.answers import Case, Limits, Verdict, Workers, assess, grade, parse_answer
from omr_kedro.answers.forms import Form
from omr_kedro.text import parse_conversion
from omr_kedro.text.discussions import split_posts

FOLDER = Path(__file__).parents[2] / "data" / "01_raw" / "exam"
STAGES = ("extract_answers", "convert_proofs")
Row = dict[str, Any]


def rows(stage: str) -> list[Row]:
    return [json.loads(line) for line in (FOLDER / f"{stage}.jsonl").read_text("utf-8").splitlines()]


def answered(*stages: str) -> list[Row]:
    return [row for stage in stages for row in rows(stage) if row["answer"] is not None]


def named_in(why: str) -> set[str]:
    """The texts between backticks: those that a row accepts although they do not compare as equal."""
    return set(re.findall(r"`([^`]+)`", why))


def unlike(row: Row, verdicts: Iterable[Verdict]) -> set[str]:
    return {text for text, verdict in zip(row["accept"], verdicts, strict=True) if verdict is not Verdict.EQUAL}


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(1, Limits(cpu_seconds=10)) as pool:
        yield pool


@pytest.fixture(scope="module")
def accepted(workers: Workers) -> list[tuple[Row, set[str]]]:
    """Every row with an answer, and which of the texts that it accepts do not compare as equal to it, either way."""
    given = answered(*STAGES)
    pairs = [(row["answer"], text) for row in given for text in row["accept"]]
    there, back = grade(pairs, workers), grade([(text, answer) for answer, text in pairs], workers)
    verdicts = iter(one if one is not Verdict.EQUAL else other for one, other in zip(there, back, strict=True))
    return [(row, unlike(row, [next(verdicts) for _ in row["accept"]])) for row in given]


def test_a_text_is_accepted_because_it_compares_as_equal_or_because_the_row_says_why(
    accepted: list[tuple[Row, set[str]]],
) -> None:
    assert {row["id"]: apart for row, apart in accepted if apart != named_in(row["why"])} == {}


def test_texts_of_both_kinds_are_accepted(accepted: list[tuple[Row, set[str]]]) -> None:
    texts = [(text, text in apart) for row, apart in accepted for text in row["accept"]]
    assert min([apart for _, apart in texts].count(kind) for kind in (True, False)) >= 10
    assert all(row["answer"] not in row["accept"] for row, _ in accepted)


@pytest.mark.parametrize("dressed", ["Answer: {}", "Post 2 settles it.\nAnswer: ${}$", "**Answer:** \\boxed{{{}}}"])
def test_answers_come_back_from_a_reply(dressed: str) -> None:
    plain = [row["answer"] for row in answered("extract_answers")]
    assert [parse_answer(dressed.format(answer)) for answer in plain] == plain


def test_the_pipeline_has_no_doubts_about_the_answers_of_threads(workers: Workers) -> None:
    given = answered("extract_answers")
    cases = [Case(row["problem"], row["answer"], "", sole=True) for row in given]
    assessed = assess(cases, workers)
    assert {row["id"]: found.findings for row, found in zip(given, assessed, strict=True) if found.findings} == {}
    assert Form.PARTS in {found.given for found in assessed}


def test_the_answers_of_conversions_can_be_compared(workers: Workers) -> None:
    given = answered("convert_proofs")
    assessed = assess([Case("", row["answer"], "", sole=True) for row in given], workers)
    assert [row["id"] for row, found in zip(given, assessed, strict=True) if found.parses != "yes"] == []


def test_just_convertible_proofs_have_an_answer() -> None:
    assert [row["id"] for row in rows("convert_proofs") if row["convertible"] is (row["answer"] is None)] == []
    assert [row["id"] for stage in STAGES for row in rows(stage) if row["answer"] is None and row["accept"]] == []


def test_no_statement_is_taken_apart_as_a_reply() -> None:
    """The copy of a proof in a reply is read as it stands, orders to the reader of the reply included."""
    proofs = [row["problem"] for row in rows("convert_proofs")]
    assert [parse_conversion(f"Problem: {proof}") for proof in proofs] == proofs


def test_discussions_hold_their_posts_in_order_and_some_are_very_long() -> None:
    lengths = []
    for row in [row for stage in STAGES for row in rows(stage)]:
        posts = split_posts(row["forum_discussions"])
        assert [post.number for post in posts] == list(range(1, len(posts) + 1)), row["id"]
        assert all(post.text for post in posts), row["id"]
        lengths.append(len(posts))
    assert sum(length >= 30 for length in lengths) >= 5


def test_answers_of_very_long_discussions_stand_in_the_middle() -> None:
    long = [row for row in answered("extract_answers") if row["trap"] == "long-discussion"]
    for row in long:
        posts = split_posts(row["forum_discussions"])
        told = [post.number for post in posts if re.search(rf"(?<!\d){re.escape(row['answer'])}(?!\d)", post.text)]
        if len(row["answer"]) > 1:
            assert max(told) <= len(posts) - 5, row["id"]
    assert len(long) >= 5
