from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given

from omr_kedro.offline_model.requests import read_chat
from omr_kedro.offline_model.rules_usefulness import NOVELTY, SIGNIFICANCE, novelty, significance
from omr_kedro.offline_model.stages import answer, load_prompts
from tests.offline_model.examples import PROMPTS
from tests.offline_model.texts import POSTS

VOTES = range(10)


def fragment(code: str, output: str, before: str = "I compute.") -> str:
    return f"{before}\n```python\n{code}\n```\n```output\n{output}\n```\nSo it is."


def novelties(shown: str, problem: str = "How many?") -> Counter[str]:
    return Counter(novelty(problem, shown, seed) for seed in VOTES)


def significances(code: str) -> Counter[str]:
    return Counter(significance("How many?", fragment(code, "5"), seed) for seed in VOTES)


@pytest.mark.parametrize(
    ("shown", "label"),
    [
        (fragment("print(x)", "411"), "novel"),
        (fragment("print(x)", "411", before="I found 411 by hand."), "verification"),
        (fragment("print(x)", "True"), "verification"),
        (fragment("x = 411", ""), "verification"),
        ("411, and no code", "verification"),
    ],
)
def test_an_output_with_a_number_that_is_new_is_novel_to_most_votes(shown: str, label: str) -> None:
    assert novelties(shown)[label] == 8


def test_a_number_that_the_problem_gives_is_not_new() -> None:
    assert novelties(fragment("print(x)", "411"), problem="Is 411 a prime?")["verification"] == 8


@pytest.mark.parametrize(
    ("code", "label"),
    [
        ("print(2 + 3)", "trivial"),
        ("print(solve(x**2 - 25))", "moderate"),
        ("print(sum(n for n in range(9)))", "moderate"),
        ("for a in range(9):\n    for b in range(9):\n        print(a * b)", "significant"),
    ],
)
def test_the_more_the_code_goes_through_the_more_significant_it_is_to_most_votes(code: str, label: str) -> None:
    assert significances(code)[label] == 8


def test_some_votes_dissent_and_always_the_same() -> None:
    shown = fragment("print(x)", "411")
    assert novelties(shown) == novelties(shown) == {"novel": 8, "verification": 2}
    assert len(significances("print(2 + 3)")) == 2


@pytest.mark.parametrize(("name", "label"), [("judge_novelty", "novel"), ("judge_significance", "trivial")])
def test_the_server_answers_the_prompts_of_the_stage_by_these_rules(name: str, label: str) -> None:
    prompts = load_prompts(PROMPTS)
    prompt = next(each for each in prompts if each.name == name)
    messages = prompt.messages(problem="How many?", fragment=fragment("print(400 + 11)", "411"))
    asked = read_chat({"model": "offline-rules", "messages": messages})
    assert Counter(answer(asked, prompts, seed).content for seed in VOTES)[label] == 8


@given(POSTS, POSTS)
def test_any_texts_have_a_vote(problem: str, shown: str) -> None:
    assert novelty(problem, shown, 0) in NOVELTY
    assert significance(problem, shown, 0) in SIGNIFICANCE
