"""A real model solves easy problems, and its samples go all the way: drawn in rounds, read, counted, judged, settled.

Half of the problems come to the pipeline with their answer, half without; this test knows all. Replies are kept beside
the model (`solutions`), as a run keeps them: a changed reader is tried on them without asking again, and whoever wants
new ones deletes that folder. It prints what came of it; the model is small, so figures of another one differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from omr_kedro import tables
from omr_kedro.answers import Workers
from omr_kedro.llm.endpoint import Limits
from omr_kedro.llm.engine import ChatModel
from omr_kedro.pipelines.controls import JudgeOptions
from omr_kedro.pipelines.judge_answers.nodes import grade_answers, judge_answers, read_judge_answers
from omr_kedro.pipelines.sampling import SamplingOptions
from omr_kedro.pipelines.settle_solutions.nodes import SettlingOptions, decide_reference_answers, settle_cot
from omr_kedro.pipelines.solve_cot.nodes import ask_solve_cot, count_cot_votes, read_solve_cot
from omr_kedro.shards import Shards
from omr_kedro.shards.printable import printable_line
from omr_kedro.solutions.judging import DIFFERENT, ORDERS, SAME
from tests.support.tables import as_shards, shards_of
from tests.vllm.easy_problems import ANSWERS, CONF, counted, ids, is_right, problem_rows, prompt, saved, show
from tests.vllm.real_server import REAL, chat_model, installed

pytestmark = pytest.mark.skipif(
    not installed(REAL), reason="needs a vLLM and a real model: make test-real-model installs them (6 GB)"
)

KEPT = REAL / "solutions"
ROUNDS = (4, 8)
MAX_TOKENS = 512


def solving(**rule: Any) -> SamplingOptions:
    """The settings of the base environment, smaller."""
    settings = yaml.safe_load((CONF / "parameters.yml").read_text("utf-8"))["solve_cot"]
    settings["stop_rule"] |= {"rounds": ROUNDS, "give_up_after": ROUNDS[-1], **rule}
    return SamplingOptions.model_validate({**settings, "max_tokens": MAX_TOKENS})


@dataclass(frozen=True)
class Drawn:
    """The samples of all problems under one rule."""

    completions: Shards
    samples: Shards
    unsolved: Shards
    votes: Shards

    @property
    def tokens(self) -> int:
        """Of all replies, as the server counts."""
        return sum(row["completion_tokens"] for row in self.completions.rows())


def in_memory(table: Shards) -> Shards:
    """A table whose file another rule may write anew."""
    return as_shards({name: list(shard.rows()) for name, shard in table.items()})


def draw(folder: Path, problems: Shards, model: ChatModel, options: SamplingOptions) -> Drawn:
    """Draw samples, keep them, read them and count their votes; samples that another rule has drawn are not asked."""
    asked = ask_solve_cot(problems, prompt("solve_cot"), model, options)
    completions = in_memory(saved(KEPT / "solve_cot_completions", tables.COMPLETIONS, asked))
    read, left = read_solve_cot(problems, completions, options)
    samples = saved(folder / "samples", tables.SAMPLES, read)
    unsolved = saved(folder / "unsolved", tables.DROPPED, left)
    votes = saved(folder / "votes", tables.VOTES, count_cot_votes(problems, samples, options))
    return Drawn(completions, samples, unsolved, votes)


@dataclass(frozen=True)
class Settled:
    """All that became of those samples."""

    answers: Shards
    unjudged: Shards
    references: Shards
    solutions: Shards
    rejected: Shards


def settle(folder: Path, problems: Shards, drawn: Drawn, model: ChatModel, options: SamplingOptions) -> Settled:
    """Judge the answers and settle the samples; the model that solves judges, too."""
    with Workers() as workers:
        graded = saved(folder / "graded", tables.ANSWERS, grade_answers(drawn.votes, workers))
    judging, settling = JudgeOptions(max_tokens=64), SettlingOptions()
    asked = judge_answers(graded, prompt("judge_answer"), model, judging, "judge_cot")
    opinions = saved(KEPT / "judge_cot_completions", tables.COMPLETIONS, asked)
    read, left = read_judge_answers(graded, opinions, Shards([]), judging, stage="judge_cot")
    answers, unjudged = saved(folder / "answers", tables.ANSWERS, read), saved(folder / "left", tables.DROPPED, left)
    decided = decide_reference_answers(drawn.votes, answers, settling, options)
    references = saved(folder / "references", tables.REFERENCE_ANSWERS, decided)
    evidence = (drawn.samples, drawn.votes, answers, references, problems, drawn.completions)
    right, others = settle_cot(*evidence, settling, options)
    solutions = saved(folder / "solutions", tables.SOLUTIONS, right)
    return Settled(
        answers, unjudged, references, solutions, saved(folder / "rejected", tables.REJECTED_SOLUTIONS, others)
    )


def test_every_sample_of_a_real_model_is_read_and_accounted_for(tmp_path: Path) -> None:
    KEPT.mkdir(exist_ok=True)
    small: dict[str, Any] = {"max-model-len": 4096, "max-num-batched-tokens": 4096}
    model = chat_model(KEPT, str(REAL), Limits(max_in_flight=24, timeout_s=3600), **small)
    problems = shards_of(problem_rows(), 1)
    by_rule, fixed = solving(), solving(fixed=ROUNDS[-1])
    try:
        drawn = draw(tmp_path / "rule", problems, model, by_rule)
        show(
            f"Qwen2.5-Coder-1.5B-Instruct, {MAX_TOKENS} tokens a reply at most, drawn by the rule",
            figures(drawn).items(),
        )
        settled = settle(tmp_path / "rule", problems, drawn, model, by_rule)
        show("settled", outcomes(settled).items())
        full = draw(tmp_path / "fixed", problems, model, fixed)
        show(f"{ROUNDS[-1]} of each problem, those of the rule and the others", figures(full).items())
        show("odd", oddities(full))
    finally:
        model.close()

    for each in (drawn, full):
        assert not [row for row in each.samples.rows() if row["no_vote"] == "unparsed_reply"]
        assert_all_accounted_for(problems, each)
    ends = [*settled.solutions.rows(), *settled.rejected.rows()]
    assert ids(ends, "solution_id") == ids(drawn.samples.rows(), "solution_id")
    assert all(row["reason"] for row in settled.rejected.rows())
    asked = [row for row in settled.answers.rows() if row["decided_by"] == "judge"]
    assert {row[order] for row in asked for order in ORDERS} <= {SAME, DIFFERENT}
    assert not settled.unjudged.count
    right = sum(is_right(row["problem"], row["majority_answer"]) for row in drawn.votes.rows())
    assert right > problems.count / 2, "the model knows more: a reader loses it, or the votes do"


def assert_all_accounted_for(problems: Shards, drawn: Drawn) -> None:
    """Each reply is a sample, and each problem has votes that count all of its samples."""
    replies = [row for row in drawn.completions.rows() if row["kind"] == "model"]
    assert ids(replies, "call_key") == ids(drawn.samples.rows(), "call_key")
    assert not drawn.unsolved.count
    assert ids(drawn.votes.rows(), "problem_id") == ids(problems.rows(), "problem_id")
    assert sum(row["samples_drawn"] for row in drawn.votes.rows()) == len(replies)


def figures(drawn: Drawn) -> dict[str, str]:
    """The figures of a draw, by their names."""
    samples, votes = [*drawn.samples.rows()], [*drawn.votes.rows()]
    problem = {row["problem_id"]: row["problem"] for row in votes}
    right = sum(is_right(problem[row["problem_id"]], row["predicted_answer"]) for row in samples)
    known = sum(row["extracted_answer"] is not None for row in votes)
    majorities = sum(is_right(row["problem"], row["majority_answer"]) for row in votes)
    return {
        "server": counted(row["system_fingerprint"] for row in drawn.completions.rows()),
        "problems": f"{len(votes)}, {known} with their answer",
        "samples": str(len(samples)),
        "votes": str(sum(row["votes_total"] for row in votes)),
        "right samples": f"{right} ({right / len(samples):.0%})",
        "right majorities": f"{majorities} ({majorities / len(votes):.0%})",
        "tokens": f"{drawn.tokens:,}",
        "stopped as": counted(row["stop_reason"] for row in votes),
        "replies ended by": counted(row["finish_reason"] for row in samples),
        "without a vote": counted(row["no_vote"] for row in samples if row["no_vote"]),
    }


def outcomes(settled: Settled) -> dict[str, str]:
    """References, verdicts, and ends of the samples."""
    solutions, answers = [*settled.solutions.rows()], [*settled.answers.rows()]
    right = sum(is_right(row["problem"], row["predicted_answer"]) for row in solutions)
    return {
        "references": counted(row["answer_source"] for row in settled.references.rows()),
        "answers": counted(f"{row['verdict']} by {row['decided_by']}" for row in answers),
        "judge's words": counted(row[order] for row in answers for order in ORDERS if row[order]),
        "solutions": f"{len(solutions)}, {right} of them right",
        "rejected": counted(row["reason"] for row in settled.rejected.rows()),
    }


def oddities(drawn: Drawn) -> Iterator[tuple[str, str]]:
    """Problems with answers that are not theirs, and their votes; and the ends of whole replies that do not vote."""
    for row in drawn.votes.rows():
        others = (each for each in row["classes"] if not is_right(row["problem"], each["answer"]))
        if wrong := "; ".join(f"{each['answer']} ({each['votes']})" for each in others):
            yield f"not {ANSWERS[row['problem']]}", printable_line(wrong, 100)
    texts = {row["call_key"]: row["text"] for row in drawn.completions.rows()}
    for row in drawn.samples.rows():
        if row["no_vote"] and row["finish_reason"] == "stop":
            yield row["no_vote"], printable_line(f"…{texts[row['call_key']][-100:]}", 100)
