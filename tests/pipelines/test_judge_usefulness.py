from __future__ import annotations

from collections import Counter
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from omr_kedro import tables
from omr_kedro.llm.calls import CallPlan, Completion, Prompt
from omr_kedro.llm.endpoint import Limits
from omr_kedro.llm.engine import ChatModel, ModelEntry
from omr_kedro.pipeline_registry import register_pipelines
from omr_kedro.pipelines.judge_usefulness.nodes import (
    FragmentOptions,
    UsefulnessOptions,
    ask_judge_usefulness,
    count_fragment_votes,
    extract_fragments,
    read_judge_usefulness,
)
from omr_kedro.pipelines.judge_usefulness.pipeline import create_pipeline
from omr_kedro.pipelines.solve_tir.conversation import Conversation, Run, Turn
from omr_kedro.pipelines.solve_tir.nodes import _turn_rows as turn_rows
from omr_kedro.pipelines.stages import stages_of
from omr_kedro.shards import Row, Shards
from omr_kedro.solutions.code_blocks import TAGS
from tests.support.call_plans import said, table
from tests.support.chat_server import ChatServer, completion
from tests.support.episodes import under_chance
from tests.support.tables import made, rows_made, shards_of

NOVELTY = Prompt("judge_novelty", user="Novel? {{problem}}\n{{fragment}}", choices=("novel", "verification"))
SIGNIFICANCE = Prompt(
    "judge_significance", user="How much? {{problem}}\n{{fragment}}", choices=("trivial", "moderate", "significant")
)
OPTIONS = UsefulnessOptions(max_failed_share=1.0)


def solution(name: str, answer: str = "5") -> Row:
    return {
        "solution_id": name,
        "problem_id": f"p-{name}",
        "thread_id": f"t-{name}",
        "problem": f"problem of {name}",
        "predicted_answer": answer,
    }


def turns(of: Row, *parts: str, status: str = "completed") -> list[Row]:
    """Text, code, output, text, …"""
    kinds = ("text", "code", "output")
    return [
        {
            **{name: of[name] for name in ("solution_id", "problem_id", "thread_id")},
            "turn": place // 3,
            "position": place,
            "kind": kinds[place % 3],
            "text": part,
            "status": status if place % 3 == 2 else None,
            "seconds": None,
        }
        for place, part in enumerate(parts)
    ]


def extracted(solutions: list[Row], rows: list[Row], **options: Any) -> tuple[Shards, dict[str, str]]:
    """Solutions with their fragments, and the reasons of those that have none."""
    kept, dropped = extract_fragments(shards_of(solutions), shards_of(rows), FragmentOptions(**options))
    return made(kept), {row["row_id"]: row["reason"] for row in rows_made(dropped)}


def fragments(*texts_of_code: list[str]) -> Shards:
    """Solutions a, b, …, each with a fragment for each piece of code."""
    solutions = [solution(name) for name, _ in zip("abcdef", texts_of_code, strict=False)]
    rows = [
        row
        for each, codes in zip(solutions, texts_of_code, strict=True)
        for row in turns(each, *(part for code in codes for part in (f"before {code}", code, "1\n")), "at last")
    ]
    return extracted(solutions, rows)[0]


def plan(base_url: str, given: Shards, options: UsefulnessOptions = OPTIONS) -> CallPlan:
    model = ChatModel(ModelEntry("judge", base_url, limits=Limits(max_in_flight=8)))
    return ask_judge_usefulness(given, NOVELTY, SIGNIFICANCE, model, options)


def judged(folder: Path, given: Shards, reply: Any) -> tuple[list[Row], dict[str, Row], dict[str, Row], list[str]]:
    """Votes by fragment, useful solutions and the others by their id, and what was asked."""
    with ChatServer(reply) as server:
        table(folder).save(plan(server.base_url, given))
    votes = made(count_fragment_votes(given, table(folder).shards(), OPTIONS))
    useful, dropped = read_judge_usefulness(given, votes, OPTIONS)
    return (
        list(votes.rows()),
        {row["solution_id"]: row for row in rows_made(useful)},
        {row["row_id"]: row for row in rows_made(dropped)},
        [said(call.body) for call in server.calls],
    )


def told(body: dict[str, Any]) -> str:
    """A judge who says what the code says."""
    code = code_in(said(body))
    if said(body).startswith("Novel?"):
        return "verification" if "verify" in code else "novel"
    return next(label for label in SIGNIFICANCE.choices if label in code)


def code_in(text: str) -> str:
    return text.partition("```python\n")[2].partition("\n```")[0]


def by_chance(body: dict[str, Any]) -> str | web.Response:
    """A judge of many minds; some of its replies cannot be read, or are cut."""
    number = blake2b(orjson.dumps(body, option=orjson.OPT_SORT_KEYS), digest_size=4).digest()[0]
    if number % 7 == 0:
        return completion("novel", "length")
    choices = NOVELTY.choices if said(body).startswith("Novel?") else SIGNIFICANCE.choices
    return [*choices, "I cannot tell."][number % (len(choices) + 1)]


def test_a_solution_is_kept_by_one_significant_fragment_or_by_more_than_half_moderate_ones(tmp_path: Path) -> None:
    given = fragments(
        ["significant", "verify 1", "verify 2"],
        ["moderate 1", "moderate 2", "verify"],
        ["moderate", "verify"],
        ["trivial"],
    )
    votes, useful, dropped, _ = judged(tmp_path, given, told)
    assert set(useful) == {"a", "b"}
    assert {name: (row["outcome"], row["reason"]) for name, row in dropped.items()} == {
        "c": ("dropped", "not_useful"),
        "d": ("dropped", "not_useful"),
    }
    counts = {name: useful["b"][name] for name in ("fragments", "novel", "novel_moderate", "novel_significant")}
    assert counts == {"fragments": 3, "novel": 2, "novel_moderate": 2, "novel_significant": 0}
    assert "2 fragments, 1 novel, 1 novel_moderate" in dropped["c"]["detail"]
    assert len(votes) == 9, "all fragments are evidence, whatever became of their solutions"
    assert {name for row in votes for name in row} == set(tables.TIR_FRAGMENT_VOTES.names)
    assert {name for row in useful.values() for name in row} == set(tables.TIR_USEFULNESS.names)


def test_significance_is_asked_of_novel_fragments_alone_and_no_vote_is_asked_in_vain(tmp_path: Path) -> None:
    _, _, _, asked = judged(tmp_path, fragments(["significant"], ["verify trivial"]), told)
    counts = Counter((text.partition(" ")[0], "verify" in code_in(text)) for text in asked)
    assert counts == {("Novel?", False): 5, ("How", False): 5, ("Novel?", True): 4}


@pytest.mark.parametrize("reply", ["Judgement: novel", "**Novel**", "Reasoning: it is new.\nJudgement: novel", "novel"])
def test_a_reply_that_ends_right_behind_its_label_is_a_vote(tmp_path: Path, reply: str) -> None:
    votes, *_ = judged(
        tmp_path, fragments(["significant"]), lambda body: reply if said(body).startswith("Novel?") else "moderate"
    )
    assert (votes[0]["novelty"], votes[0]["votes_novel"], votes[0]["novelty_unread"]) == ("novel", 5, [])


def test_replies_that_cannot_be_read_are_counted_with_their_reasons_and_veto_nothing(tmp_path: Path) -> None:
    def one_in_four(body: dict[str, Any]) -> str | web.Response:
        if body["seed"] % 4 == 0:
            return completion("verif", "length") if body["seed"] else "Let us see."
        return told(body)

    votes, useful, _, _ = judged(tmp_path, fragments(["significant"]), one_in_four)
    (row,) = votes
    assert (row["novelty"], row["significance"]) == ("novel", "significant")
    assert row["novelty_unread"] == ["unparsed", "cut"]
    assert useful["a"]["unread"] == 4


def test_where_nothing_can_be_read_the_solution_is_undecided_and_not_dropped(tmp_path: Path) -> None:
    votes, useful, dropped, asked = judged(tmp_path, fragments(["significant"]), lambda body: "Let us see.")
    assert not useful
    assert (dropped["a"]["outcome"], dropped["a"]["reason"]) == ("failed", "undecided")
    assert "5 unparsed" in dropped["a"]["detail"]
    assert votes[0]["novelty"] is None
    assert len(asked) == 5, "a quorum of four is out of reach of eight then"


def test_every_solution_has_an_outcome_and_the_last_one_too(tmp_path: Path) -> None:
    given = fragments(*([f"code {number}" for number in range(count)] for count in (1, 2, 3, 2, 1)))
    votes, useful, dropped, _ = judged(tmp_path, given, by_chance)
    assert sorted([*useful, *dropped]) == list("abcde")
    assert Counter(row["solution_id"] for row in votes) == {"a": 1, "b": 2, "c": 3, "d": 2, "e": 1}


def test_votes_find_their_fragment_by_its_id_in_whatever_order_they_stand(tmp_path: Path) -> None:
    given = fragments(["significant", "verify"], ["moderate"])
    votes, *_ = judged(tmp_path, given, told)
    turned = shards_of(list(reversed(list(table(tmp_path).shards().rows()))), 1)
    whole = shards_of(list(given.rows()), 1)
    assert rows_made(count_fragment_votes(whole, turned, OPTIONS)) == votes


@pytest.mark.parametrize(
    "kills", [pytest.param(4, id="4"), pytest.param(200, id="200", marks=[pytest.mark.kills, pytest.mark.slow])]
)
def test_killed_at_any_vote_none_that_was_journalled_is_asked_again(tmp_path: Path, kills: int) -> None:
    given = fragments(*([f"code {number}" for number in range(count)] for count in (1, 2, 3, 2)))
    found = under_chance(lambda url, folder: plan(url, given), by_chance, tmp_path, kills=kills)
    assert found.steps > 30
    assert found.different == 0
    assert found.again == []


def test_solutions_that_no_judge_is_needed_for_are_dropped_with_their_reasons() -> None:
    rows = {
        "early": turns(solution("early"), "The answer is \\boxed{5}. Let me check.", "print(5)", "5\n", "Yes."),
        "cases": turns(solution("cases"), "There are 5 cases.", "print(5)", "5\n", "It is \\boxed{5}."),
        "raised": turns(solution("raised"), "I compute.", "1 / 0", "ZeroDivisionError", "\\boxed{5}", status="error"),
        "prose": turns(solution("prose"), "It is \\boxed{5}."),
        "long": turns(solution("long"), *["a", "x = 1", "1\n"] * 3, "\\boxed{5}"),
        "void": [
            *turns(solution("void"), "I compute.", "print(5)", "5\n"),
            *({**row, "turn": 7, "position": 7} for row in turns(solution("void"), "Let me think again.")),
        ],
    }
    solutions = [solution(name) for name in rows]
    everything = [row for found in rows.values() for row in found]
    kept, dropped = extracted(solutions, everything)
    assert dropped == {"early": "answer_before_code", "raised": "no_fragment", "prose": "no_code"}
    assert {row["solution_id"]: row["code_blocks"] for row in kept.rows()} == {"cases": 1, "long": 3, "void": 1}
    assert {name for row in kept.rows() for name in row} == set(tables.TIR_FRAGMENTS.names)
    _, strict = extracted(solutions, everything, most_code_blocks=2, most_void_turns=0)
    assert strict == {**dropped, "long": "many_code_blocks", "void": "void_turns"}


def test_fragments_are_read_by_the_positions_of_turns() -> None:
    rows = turns(solution("a"), "one", "x = 1", "1\n", "two", "x = 2", "2\n", "three")
    forward, _ = extracted([solution("a")], rows)
    backward, _ = extracted([solution("a")], rows[::-1])
    assert list(forward.rows()) == list(backward.rows())


def test_votes_are_asked_anew_where_either_prompt_has_changed() -> None:
    given, model = fragments(["significant"]), ChatModel(ModelEntry("judge", "http://127.0.0.1:1/v1"))
    changed = replace(SIGNIFICANCE, system="Be strict.")
    plans = [
        ask_judge_usefulness(given, novelty, significance, model, OPTIONS).fingerprints
        for novelty, significance in ((NOVELTY, SIGNIFICANCE), (NOVELTY, changed), (changed, SIGNIFICANCE))
    ]
    assert all(len({found[shard] for found in plans}) == 3 for shard in plans[0])


@pytest.mark.parametrize("tags", TAGS)
def test_the_turns_of_a_conversation_by_text_are_those_that_fragments_are_cut_of(tags: str) -> None:
    def reply(text: str) -> Completion:
        return Completion("k", "m", text, reasoning="Let me think." if "one" in text else None)

    begin, end = TAGS[tags].begin, TAGS[tags].end
    talk = Conversation(
        [
            Turn(reply(f"one\n{begin}\nx = 1\n{end}\n"), [Run("x = 1", "", "completed")]),
            Turn(reply(f"two\n{begin}\nx / 0\n{end}\n"), [Run("x / 0", "ZeroDivisionError", "error")]),
            Turn(reply(f"three\n{begin}\nprint(x)\n{end}\n"), [Run("print(x)", "1\n", "completed")]),
            Turn(reply("It is \\boxed{5}."), []),
        ]
    )
    rows = [{"status": None, "seconds": None, **row} for row in turn_rows(solution("a"), talk)]
    [row] = extracted([solution("a")], rows)[0].rows()
    assert (row["code_blocks"], row["void_turns"]) == (3, 0)
    assert [(fragment["number"], fragment["text"]) for fragment in row["fragments"]] == [
        (0, "Let me think.\n\none\n```python\nx = 1\n```\n```output\n```\ntwo"),
        (2, "three\n```python\nprint(x)\n```\n```output\n1\n```\nIt is \\boxed{5}."),
    ]


def test_the_graph_tells_of_two_stages() -> None:
    first, second = stages_of([create_pipeline()])
    assert (first.name, first.kept, first.unit) == ("extract_fragments", ("tir_fragments",), "solution")
    assert (second.name, second.given, second.kept) == ("judge_usefulness", ("tir_fragments",), ("tir_usefulness",))


def test_fragments_are_cut_when_the_solutions_and_their_turns_are_there_and_judged_after_that() -> None:
    pipeline = register_pipelines()["solution_generation"]
    node = {each.short_name: each for each in pipeline.nodes}
    before = {name: {each.short_name for each in pipeline.node_dependencies[node[name]]} for name in node}
    assert before["extract_fragments"] == {"settle_tir", "list_tir_turns"}
    assert "extract_fragments" in before["ask_judge_usefulness"]
    assert {"extract_fragments", "count_fragment_votes"} <= before["read_judge_usefulness"]
