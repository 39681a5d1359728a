from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omr_kedro.answers import Limits, Workers, grade
from omr_kedro.llm.calls import Completion
from omr_kedro.publishing.verifier import JUDGING
from omr_kedro.solutions import judging
from omr_kedro.solutions.judging import (
    MAX_CHARS,
    ORDERS,
    Correctness,
    Judgement,
    Rung,
    judge_by_opinions,
    judge_without_model,
    opinion,
    questions,
)
from tests.solutions.key import Entry, read_key

KEY = read_key()
ENDLESS = "9^{9^{9^{9}}}"
Judge = Callable[[dict[str, str]], str]


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2, Limits(cpu_seconds=10)) as pool:
        yield pool


@pytest.fixture(scope="module")
def by_rules(workers: Workers) -> list[Judgement | None]:
    return judge_without_model([(entry.reference, entry.answer) for entry in KEY], workers)


def reply(text: str, finish_reason: str = "stop", error_kind: str | None = None) -> Completion:
    return Completion("key", "judge", text, finish_reason=finish_reason, error_kind=error_kind)


def judged(entry: Entry, judgement: Judgement | None, judge: Judge) -> Judgement:
    """The judgement after all rungs."""
    if judgement:
        return judgement
    asked = questions(entry.problem, entry.reference, entry.answer)
    return judge_by_opinions({order: opinion(reply(judge(asked[order]))) for order in ORDERS})


def perfect(values: dict[str, str]) -> str:
    """The right label, whichever answer comes first."""
    pair = {values["answer_a"], values["answer_b"]}
    [same] = {e.same for e in KEY if e.problem == values["problem"] and {e.reference, e.answer} == pair}
    return "same" if same else "different"


def described(entry: Entry, judgement: Judgement) -> str:
    return f"{entry.kind}: {entry.reference} | {entry.answer} is {judgement}, {entry.why}"


def test_the_key_is_large_balanced_and_names_each_pair_once() -> None:
    assert len(KEY) >= 200
    assert len({(entry.problem, entry.answer) for entry in KEY}) == len(KEY)
    assert 0.4 < sum(entry.same for entry in KEY) / len(KEY) < 0.6
    assert len({entry.kind for entry in KEY}) >= 20
    assert all(entry.why for entry in KEY)


def test_with_a_perfect_judge_no_answer_of_the_key_is_judged_wrongly(
    by_rules: list[Judgement | None], capsys: pytest.CaptureFixture[str]
) -> None:
    judgements = [judged(entry, found, perfect) for entry, found in zip(KEY, by_rules, strict=True)]
    counts = Counter((str(judgement.decided_by), str(judgement.verdict)) for judgement in judgements)
    with capsys.disabled():
        print(
            f"\n{len(KEY)} hand-checked answers:", ", ".join(f"{n} {way} {said}" for (way, said), n in counts.items())
        )
    wrong = [
        described(entry, judgement)
        for entry, judgement in zip(KEY, judgements, strict=True)
        if judgement.verdict != ("correct" if entry.same else "incorrect")
    ]
    assert wrong == []
    assert {way for way, _ in counts} == {str(way) for way in Rung}


def test_a_card_states_the_errors_of_the_rules_on_the_key_as_they_are(by_rules: list[Judgement | None]) -> None:
    said = Counter((entry.same, str(found and found.verdict)) for entry, found in zip(KEY, by_rules, strict=True))
    assert JUDGING[2:] == (
        len(KEY),
        sum(entry.same for entry in KEY),
        said[True, "correct"],
        said[False, "correct"],
        said[True, "incorrect"],
        said[True, "None"] + said[False, "None"],
    )


def test_a_judge_that_says_yes_to_everything_is_never_shown_an_answer_that_is_none(
    by_rules: list[Judgement | None],
) -> None:
    empty = [
        judged(entry, found, lambda _: "same").verdict
        for entry, found in zip(KEY, by_rules, strict=True)
        if entry.kind == "empty" and not entry.answer.isalnum() and entry.answer != "N/A"
    ]
    assert len(empty) >= 10
    assert set(empty) == {Correctness.INCORRECT}


def test_a_judge_that_prefers_the_first_answer_decides_nothing(by_rules: list[Judgement | None]) -> None:
    def by_place(values: dict[str, str]) -> str:
        return "same" if values["answer_a"] in references else "different"

    references = {entry.reference for entry in KEY}
    asked = [(entry, found) for entry, found in zip(KEY, by_rules, strict=True) if not found]
    asked = [(entry, found) for entry, found in asked if entry.answer not in references]
    assert {judged(entry, found, by_place).verdict for entry, found in asked} == {Correctness.UNDECIDED}


@pytest.mark.parametrize(
    ("forward", "backward", "verdict"),
    [
        ("same", "same", "correct"),
        ("different", "different", "incorrect"),
        ("same", "different", "undecided"),
        ("different", "same", "undecided"),
        ("same", "unparsed", "undecided"),
        ("cut", "different", "undecided"),
        ("unparsed", "unparsed", "undecided"),
        ("timeout", "timeout", "undecided"),
    ],
)
def test_a_judge_decides_only_where_both_orders_agree(forward: str, backward: str, verdict: str) -> None:
    judgement = judge_by_opinions({"forward": forward, "backward": backward})
    assert judgement == Judgement(Correctness(verdict), Rung.JUDGE)


def test_one_order_alone_decides_nothing() -> None:
    assert judge_by_opinions({"forward": "same"}).verdict == "undecided"
    assert judge_by_opinions({}).verdict == "undecided"


@pytest.mark.parametrize(
    ("completion", "found"),
    [
        (reply("same"), "same"),
        (reply("Different."), "different"),
        (reply('{"label": "different"}'), "different"),
        (reply("<think>They look the same.</think>different"), "different"),
        (reply("not the same"), "unparsed"),
        (reply("same or different"), "unparsed"),
        (reply(""), "empty_reply"),
        (reply("same", finish_reason="length"), "cut"),
        (reply("", error_kind="timeout"), "timeout"),
        (None, "not_asked"),
    ],
)
def test_an_opinion_is_a_label_or_the_reason_why_there_is_none(completion: Completion | None, found: str) -> None:
    assert opinion(completion) == found


def test_the_two_questions_differ_in_the_order_alone() -> None:
    asked = questions("How many?", "5", "five")
    assert list(asked) == ["forward", "backward"]
    assert asked["forward"] == {"problem": "How many?", "answer_a": "5", "answer_b": "five"}
    assert asked["backward"] == {"problem": "How many?", "answer_a": "five", "answer_b": "5"}


@pytest.mark.parametrize(
    ("reference", "answer", "verdict", "way"),
    [
        ("5", "$5$", "correct", "equal_text"),
        ("\\{\\}", "\\{ \\}", "correct", "equal_text"),
        ("5", " ", "incorrect", "equal_text"),
        ("<", ">", "incorrect", "equal_text"),
        ("0.5", "\\frac12", "correct", "symbolic"),
        ("5", "7", "incorrect", "symbolic"),
        ("5", "x" * (MAX_CHARS + 1), "undecided", "symbolic"),
        ("x" * 9999, "5", "undecided", "symbolic"),
        ("?", "5", "undecided", "symbolic"),
    ],
)
def test_rules_settle_what_needs_no_model(
    reference: str, answer: str, verdict: str, way: str, workers: Workers
) -> None:
    assert judge_without_model([(reference, answer)], workers) == [Judgement(Correctness(verdict), Rung(way))]


@pytest.mark.parametrize(
    ("reference", "answer"),
    [("3, 5", "5, 3"), ("5 km", "5000 m"), ("\\frac13", "0.33"), ("2:3", "\\frac23"), ("101_2", "5"), ("n+1", "k+1")],
)
def test_a_judge_is_asked_where_the_problem_decides(reference: str, answer: str, workers: Workers) -> None:
    assert judge_without_model([(reference, answer), (answer, reference)], workers) == [None, None]


@pytest.mark.parametrize(
    ("answer", "limits", "verdict"),
    [(ENDLESS, Limits(cpu_seconds=0.5), "timeout"), ("\\int_0^1 5x dx", Limits(memory_mb=70), "crashed")],
)
def test_a_worker_that_runs_out_of_time_or_memory_settles_nothing(answer: str, limits: Limits, verdict: str) -> None:
    with Workers(2, limits) as workers:
        assert grade([("2.5", answer)], workers) == [verdict]
        assert judge_without_model([("2.5", answer)], workers) == [None]


def test_a_pair_on_which_a_reader_crashes_is_undecided_and_harms_no_other(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*texts: str) -> bool:
        raise RecursionError(texts)

    monkeypatch.setattr(judging, "surely_differ", crash)
    found = judge_without_model([("5", "7"), ("0.5", "\\frac12")], workers)
    assert [judgement and judgement.verdict for judgement in found] == ["undecided", "correct"]


def test_judgements_stand_in_the_order_of_the_pairs(workers: Workers) -> None:
    pairs = [("5", ""), ("3, 5", "5, 3"), ("5", "5"), ("5", "7"), ("\\sqrt4", "2")]
    found = judge_without_model(pairs, workers)
    assert [judgement and judgement.verdict for judgement in found] == [
        "incorrect", None, "correct", "incorrect", "correct",
    ]  # fmt: skip
    assert judge_without_model([], workers) == []


@settings(max_examples=60, deadline=None)
@given(answer=st.text(st.sampled_from("0159.,/+-*^_(){}[]|\\ $%=<>xyen:?!'\"ab\n"), max_size=25) | st.text(max_size=12))
def test_any_text_is_judged_or_asked_about(answer: str, workers: Workers) -> None:
    [found] = judge_without_model([("\\frac{3}{7}", answer)], workers)
    assert found is None or found.verdict in {*Correctness}
