from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.text import Unreadable, parse_label

PROOF = ("proof", "not proof")
JUDGE = ("True", "False")
ALL_CHOICES = [PROOF, ("mcq", "not mcq"), ("binary", "not binary"), ("invalid", "not invalid"), JUDGE]


@pytest.mark.parametrize(
    "dress",
    [
        "{}",
        " {}\n",
        "{}.",
        "**{}**",
        "**{}.**",
        "`{}`",
        '"{}"',
        "“{}”",
        "- {}",
        "# {}",
        "Answer: {}",
        "**Answer:** {}",
        "Classification: **{}**",
        "Final answer: {}.",
        "The final answer is {}.",
        "Label: {} (the task says so)",
        "Verdict: {}, since it asks for it",
        '{{"label": "{}"}}',
        '```json\n{{\n  "reason": "it asks",\n  "label": "{}"\n}}\n```',
        "{{'label': '{}'}}",
        "The problem asks for something.\n\n{}",
        "The problem asks for something.\n\n**{}**",
        "{}\n\nThe problem asks for something.",
        "{}. The problem asks for something.",
        "{}, because of the wording.",
        "{} (because of the wording)",
        "Therefore, the classification is **{}**.",
        'I would classify this problem as "{}".',
        "This should be labelled as {}",
        "\\boxed{{{}}}",
        "\\boxed{{\\text{{{}}}}}",
        "<think>proof? not proof? True? False?</think>{}",
        "Options:\n- proof\n- not proof\n\nAnswer: {}",
    ],
)
@pytest.mark.parametrize("label", ["proof", "not proof"])
def test_a_label_is_read_in_every_dress(dress: str, label: str) -> None:
    assert parse_label(dress.format(label), PROOF) == label
    assert parse_label(dress.format(label.title()).replace("\n", "\r\n"), PROOF) == label


@pytest.mark.parametrize("reply", ["Not a proof", "not a proof.", "NOT PROOF", "not_proof", "Not-Proof", "not  proof"])
def test_the_spelled_out_negation_is_the_negative_label(reply: str) -> None:
    assert parse_label(reply, PROOF) == "not proof"


@pytest.mark.parametrize(
    ("reply", "label"),
    [("true", "True"), ("FALSE.", "False"), ('{"label": true}', "True"), ("**True**\nSame.", "True")],
)
def test_the_label_is_spelled_as_in_the_choices(reply: str, label: str) -> None:
    assert parse_label(reply, JUDGE) == label


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "empty_reply"),
        ("<think>proof", "empty_reply"),
        ("I can't help with that.", "refusal"),
        ("proof\nnot proof", "unparsed"),
        ("Proof. On second thought: wait. Not proof.", "unparsed"),
        ("Answer: proof\nAnswer: not proof", "unparsed"),
        ("Answer: proof or not proof", "unparsed"),
        ('{"label": "proof"} {"label": "not proof"}', "unparsed"),
        ('{"label": "maybe"}', "unparsed"),
        ("This needs no proof", "unparsed"),
        ("It is neither a proof nor anything else", "unparsed"),
        ("Proof: no", "unparsed"),
        ("non-proof", "unparsed"),
        ("proofs", "unparsed"),
        ("disproof", "unparsed"),
        ("not", "unparsed"),
        ("yes", "unparsed"),
        ("Proof by induction on n works well here", "unparsed"),
    ],
)
def test_what_is_not_clearly_one_label_has_a_reason(reply: str, reason: str) -> None:
    result = parse_label(reply, PROOF)
    assert isinstance(result, Unreadable)
    assert result.reason == reason


def test_the_key_in_json_outranks_the_words_around_it() -> None:
    assert parse_label('proof\n{"label": "not proof"}', PROOF) == "not proof"


def test_a_stated_answer_outranks_a_line_of_its_own() -> None:
    assert parse_label("proof\n\nAnswer: not proof", PROOF) == "not proof"


def test_valid_is_not_read_as_invalid() -> None:
    assert isinstance(parse_label("valid", ("invalid", "not invalid")), Unreadable)


def test_without_choices_nothing_is_a_label() -> None:
    assert isinstance(parse_label("proof", ()), Unreadable)


@given(
    st.sampled_from(ALL_CHOICES),
    st.integers(0, 1),
    st.sampled_from(["{}", "**{}**", "Answer: {}", "<think>x</think>{}."]),
)
def test_every_label_of_every_stage_is_read_back(choices: tuple[str, str], index: int, dress: str) -> None:
    assert parse_label(dress.format(choices[index]), choices) == choices[index]
    assert parse_label(dress.format(choices[index].upper()), list(reversed(choices))) == choices[index]


@given(st.text() | st.text("notprf Answer:*\"'{}label\n.,"), st.sampled_from(ALL_CHOICES))
def test_any_text_is_read_without_an_exception(reply: str, choices: tuple[str, ...]) -> None:
    result = parse_label(reply, choices)
    assert isinstance(result, Unreadable) or result in choices


@pytest.mark.parametrize(
    "unit",
    ["*", " ", "proof ", "proof,", "not ", "answer:", "answer ", "classify a ", '"label":', "_", "\n", "classif"],
)
def test_a_megabyte_of_hostile_text_is_read_in_one_go(unit: str) -> None:
    assert parse_label(unit * (1_000_000 // len(unit)), PROOF) != "not proof"
