"""Labels for prompts that no rule knows."""

from __future__ import annotations

from omr_kedro.llm.calls import Prompt
from omr_kedro.offline_model.nearest_example import nearest_reply
from omr_kedro.offline_model.requests import read_chat
from omr_kedro.offline_model.stages import answer

TOPICS = Prompt.from_mapping(
    "label_topics",
    {
        "user": "{{problem}}",
        "choices": ["combinatorics", "number theory"],
        "examples": [
            {"problem": "In how many ways can four rooks stand on a board?", "reply": "combinatorics"},
            {"problem": "Find all integers $n$ that divide $n^2 + 3$.", "reply": "number theory"},
        ],
    },
)


def test_a_row_gets_the_label_of_the_example_that_shares_most_of_its_words() -> None:
    assert nearest_reply(TOPICS, {"problem": "Find the integers that divide $12$."}) == "number theory"
    assert nearest_reply(TOPICS, {"problem": "In how many ways can 3 people stand in a row?"}) == "combinatorics"


def test_rows_that_are_like_none_get_the_label_of_the_first() -> None:
    for text in ("", "⊕", "\x00"):
        assert nearest_reply(TOPICS, {"problem": text}) == "combinatorics"


def test_a_prompt_without_a_rule_is_answered_so_where_it_asks_for_a_label_and_refused_where_it_asks_for_text() -> None:
    asked = read_chat({"messages": TOPICS.messages(problem="Find all integers.")})
    assert answer(asked, [TOPICS], 0).content == "number theory"
    free = Prompt.from_mapping("solve", {"user": "{{problem}}", "examples": [{"problem": "1+1", "reply": "2"}]})
    asked = read_chat({"messages": free.messages(problem="1+2")})
    assert "have none for the prompt 'solve'" in answer(asked, [free], 0).content
