"""Each extracted answer is assessed, and problems whose answer is at fault are dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Set
from functools import partial

import pandas as pd
from pydantic import BaseModel, ConfigDict

from omr_kedro.answers import Assessment, Case, Finding, Workers, assess, parse_answer, poses_several
from omr_kedro.llm.calls import Prompt
from omr_kedro.pipelines.llm_stage import Dropped, Kept, Outcome, settle
from omr_kedro.shards import MappedShards, Row, Shard, Shards, SiblingShards, map_shards
from omr_kedro.tables import ANSWER_QUALITY
from omr_kedro.text import normal_form

ASSESSED_TABLE = "all_problems"
"""The table whose answers are assessed: all problems that the stages before have left."""


class AssessmentOptions(BaseModel):
    """Which findings drop a problem."""

    model_config = ConfigDict(extra="forbid")

    drop: list[Finding] = [Finding.NON_ANSWER, Finding.FORM_CLASH, Finding.COPIED_EXAMPLE]
    """Only what is a fault whatever the problem means. The others are worth a look, and may be right all the same."""


def assess_answers(problems: Shards, threads: Shards, workers: Workers, prompt: Prompt) -> MappedShards:
    """Findings about the answer of each problem (`tables.ANSWER_QUALITY`).

    Args:
        problems: with or without an answer.
        threads: where the answers come from.
        workers: compare answers.
        prompt: asked for the answers; small models copy those of its worked examples.
    """
    shown = frozenset(
        normal_form(answer) for example in prompt.examples if isinstance(answer := parse_answer(example.reply), str)
    )

    def assessed(problems: Shard, threads: Shard) -> Iterator[Row]:
        rows = list(problems.rows())
        answered = [row for row in rows if row["expected_answer"] is not None]
        wanted = {row["thread_id"] for row in answered}
        posts = {row["thread_id"]: row for row in threads.rows() if row["thread_id"] in wanted}
        count = Counter(row["thread_id"] for row in rows)
        cases = [_case(row, posts[row["thread_id"]], count[row["thread_id"]], shown) for row in answered]
        found = dict(zip((row["problem_id"] for row in answered), assess(cases, workers), strict=True))
        for row in rows:
            yield _quality(row, found.get(row["problem_id"]))

    return map_shards(assessed, problems, threads, by=[workers.identity, sorted(shown)])


def drop_faulty(problems: Shards, quality: Shards, options: AssessmentOptions) -> tuple[SiblingShards, ...]:
    """Problems that go on (`tables.PROBLEMS`), and those whose answer is at fault."""
    judge = partial(judge_answer, drop=frozenset(options.drop))
    return settle(
        "assess_answers",
        judge,
        problems,
        quality,
        evidence_key="problem_id",
        of=dict,
        settings=sorted(frozenset(options.drop)),
    )


def judge_answer(problem: Row, quality: list[Row], drop: frozenset[Finding]) -> Outcome:
    """The outcome of one problem; without an answer there is nothing to hold against it."""
    findings = [Finding(name) for name in (quality[0]["findings"] or "").split()]
    faults = [finding for finding in findings if finding in drop]
    if not faults:
        return Kept([problem])
    found = quality[0]
    detail = f"answer: {found['expected_answer']} ({found['answer_form']} given, {found['asked_form']} asked)"
    return Dropped(faults[0], detail[:500])


def summarise_quality(quality: Shards) -> pd.DataFrame:
    """How often each finding is made, by type of problem.

    Returns:
        Columns `problem_type`, `finding` (also `answered`, `no_answer`, `clean`, and `agreed`: some post states the
        same), `problems`, `share` of the answered ones of that type.
    """
    counts: dict[str, Counter[str]] = {}
    for row in quality.rows():
        counts.setdefault(str(row["problem_type"]), Counter()).update(_labels(row))
    rows = [
        (kind, label, found[label], round(found[label] / found["answered"], 4) if found["answered"] else None)
        for kind, found in sorted(counts.items())
        for label in ("no_answer", "answered", "clean", "agreed", *Finding)
        if found[label]
    ]
    return pd.DataFrame(rows, columns=["problem_type", "finding", "problems", "share"])


def _labels(row: Row) -> list[str]:
    if row["expected_answer"] is None:
        return ["no_answer"]
    findings = row["findings"].split()
    return ["answered", *(findings or ["clean"]), *(["agreed"] if row["agreeing_posts"] else [])]


def _case(problem: Row, thread: Row, count: int, shown: Set[str]) -> Case:
    # The table may have lost the thread's other problems; their places and the post itself tell of them.
    sole = count == 1 and not problem["extracted_problem_idx"] and not poses_several(thread["forum_post"])
    answer = problem["expected_answer"]
    copied = (form := normal_form(answer)) in shown and not _holds(thread, form)
    return Case(problem["problem"], answer, thread["forum_discussions"], sole, copied)


def _holds(thread: Row, form: str) -> bool:
    """Whether the thread's text has these tokens in a row."""
    posts = normal_form(f"{thread['forum_post']}\n{thread['forum_discussions']}")
    return f" {form} " in f" {posts} "


def _quality(problem: Row, found: Assessment | None) -> Row:
    row = {name: problem.get(name) for name in ANSWER_QUALITY.names}
    if found is None:
        return row
    return {
        **row,
        "answer_parses": found.parses,
        "answer_form": str(found.given),
        "asked_form": str(found.asked),
        "form_clash": found.clashes,
        "undefined_symbols": " ".join(found.undefined),
        "agreeing_posts": found.agreeing_posts,
        "disagreeing_posts": found.disagreeing_posts,
        "undecided_posts": found.undecided_posts,
        "findings": " ".join(found.findings),
    }
