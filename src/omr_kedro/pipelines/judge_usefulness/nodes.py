"""Usefulness of solutions that compute: what their code found, by the votes of a judge on each piece of it.

Two steps: `extract_fragments` needs no model, and sets aside the solutions that none is to be paid for;
`judge_usefulness` asks about each fragment whether it is novel, and about the novel ones how significant they are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial

from pydantic import BaseModel, ConfigDict, Field

from omr_kedro.llm.calls import CallPlan, Completion, Episode, Model, Prompt, Request, StepFailedError, Steps
from omr_kedro.pipelines.llm_stage import CallOptions, Dropped, Failed, Kept, Outcome, ask, request, settle
from omr_kedro.shards import Row, Scratch, Shard, Shards, SiblingShards, join, map_joined
from omr_kedro.solutions.fragments import (
    answer_before_code,
    computations,
    fragments_of,
    pieces_of,
    void_turns,
)
from omr_kedro.solutions.judging import opinion
from omr_kedro.solutions.usefulness import (
    MODERATE,
    NOVEL,
    QUESTIONS,
    SIGNIFICANT,
    FragmentVerdict,
    Tally,
    UsefulnessRule,
    VotingRule,
    is_useful,
    next_votes,
    verdict,
)

_IDS = ("solution_id", "problem_id", "thread_id")


class FragmentOptions(BaseModel):
    """Which solutions are judged at all, and how much of them a judge is shown."""

    model_config = ConfigDict(extra="forbid")

    window: int = Field(default=1500, ge=0)
    """Characters of text on each side of a piece of code at most."""
    most_code_blocks: int | None = Field(default=None, ge=1)
    """Solutions with more pieces of code are left out; null leaves none out. The paper's first round had 2."""
    most_void_turns: int | None = Field(default=None, ge=0)
    """Solutions with more replies that hold neither code nor an answer are left out; null leaves none out."""


class UsefulnessOptions(CallOptions):
    """How a judge votes on fragments, and by which votes a solution is kept."""

    temperature: float = Field(default=0.7, ge=0, le=2)
    top_p: float | None = Field(default=0.95, gt=0, le=1)
    max_tokens: int = Field(default=1024, gt=0)
    seed: int | None = 0
    """Vote i is drawn with seed + i. Without seeds a server may give the same vote twice."""
    voting: VotingRule = VotingRule()
    rule: UsefulnessRule = UsefulnessRule()


def extract_fragments(solutions: Shards, turns: Shards, options: FragmentOptions) -> tuple[SiblingShards, ...]:
    """Solutions with their fragments (`tables.TIR_FRAGMENTS`), and those without any or against a rule."""
    return settle(
        "extract_fragments",
        partial(read_fragments, options=options),
        solutions,
        turns,
        key="solution_id",
        evidence_key="solution_id",
        of=dict,
        settings=options.model_dump(),
    )


def read_fragments(solution: Row, turns: list[Row], options: FragmentOptions) -> Outcome:
    """The fragments of one solution."""
    pieces = pieces_of(turns)
    made, void = computations(pieces), void_turns(pieces)
    if not made:
        return Dropped("no_code")
    if answer_before_code(made, solution["predicted_answer"]):
        return Dropped("answer_before_code", "its final answer stands before its first code")
    if options.most_code_blocks is not None and len(made) > options.most_code_blocks:
        return Dropped("many_code_blocks", f"{len(made)} pieces of code")
    if options.most_void_turns is not None and void > options.most_void_turns:
        return Dropped("void_turns", f"{void} replies with neither code nor answer")
    fragments = fragments_of(solution["solution_id"], made, options.window)
    if not fragments:
        return Dropped("no_fragment", _counted(Counter(each.status or "not_run" for each in made)))
    named = {name: solution[name] for name in (*_IDS, "problem")}
    found = [asdict(fragment) for fragment in fragments]
    return Kept([{**named, "code_blocks": len(made), "void_turns": void, "fragments": found}])


def ask_judge_usefulness(
    fragments: Shards, prompt: Prompt, significance_prompt: Prompt, model: Model, options: UsefulnessOptions
) -> CallPlan:
    """Have the judge vote on each fragment: on its novelty, and on its significance if it is novel."""

    def episodes(fragments: Shard) -> Iterator[Episode]:
        for row in fragments.rows():
            play = partial(vote, row=row, prompt=prompt, significance_prompt=significance_prompt, options=options)
            yield Episode(row["solution_id"], play, prompt.hash)

    return ask(
        "judge_usefulness",
        episodes,
        [fragments],
        prompt,
        model,
        options,
        calls_per_row=2 * options.voting.votes,
        more_prompts=[significance_prompt],
    )


async def vote(steps: Steps, row: Row, prompt: Prompt, significance_prompt: Prompt, options: UsefulnessOptions) -> None:
    """Vote on the fragments of one solution, each by itself."""

    async def verdict_on(fragment: Row, question: str, asked_by: Prompt) -> str | None:
        values = {"problem": row["problem"], "fragment": fragment["text"]}
        asked = request(row["solution_id"], asked_by, options, values, part=_part(fragment, question))
        return verdict(await _votes(steps, asked, QUESTIONS[question], options.voting), options.voting)

    async def judge(fragment: Row) -> None:
        if await verdict_on(fragment, "novelty", prompt) == NOVEL:
            await verdict_on(fragment, "significance", significance_prompt)

    await steps.together(judge(fragment) for fragment in row["fragments"])


async def _votes(steps: Steps, asked: Request, labels: tuple[str, ...], rule: VotingRule) -> Tally:
    """The votes on one question, drawn until they decide it."""
    tally = Tally.of(labels)
    while count := next_votes(tally, rule):
        upcoming = range(tally.replies, tally.replies + count)
        tally = tally.plus(await steps.together(_opinion(steps, asked.sample(index), labels) for index in upcoming))
    return tally


async def _opinion(steps: Steps, asked: Request, labels: tuple[str, ...]) -> str:
    try:
        return opinion(await steps.ask(asked), labels)
    except StepFailedError as failed:
        return opinion(failed.completion, labels)


def count_fragment_votes(fragments: Shards, completions: Shards, options: UsefulnessOptions) -> SiblingShards:
    """The votes on each fragment, and the verdicts that they give (`tables.TIR_FRAGMENT_VOTES`)."""

    def counted(scratch: Scratch, fragments: Shard, completions: Shard) -> Iterator[Row]:
        for row, calls in join(fragments, "solution_id", completions, "row_id", scratch):
            yield from count_votes(row, calls, options.voting)

    return map_joined(counted, fragments, completions, by=options.voting.model_dump())


def count_votes(solution: Row, calls: list[Row], rule: VotingRule) -> Iterator[Row]:
    """The votes on each fragment of one solution, from its rows of the completions table."""
    replies = defaultdict[str, list[Completion]](list)
    for call in calls:
        replies[call["part"]].append(Completion.from_row(call))
    for fragment in solution["fragments"]:
        found = {question: replies[_part(fragment, question)] for question in QUESTIONS}
        tallies = {
            question: Tally.of(labels, [opinion(reply, labels) for reply in found[question]])
            for question, labels in QUESTIONS.items()
        }
        yield {
            **{name: solution[name] for name in _IDS},
            "fragment_id": fragment["fragment_id"],
            "number": fragment["number"],
            **{question: verdict(tally, rule) for question, tally in tallies.items()},
            **{f"votes_{label}": votes for tally in tallies.values() for label, votes in tally.named()},
            **{f"{question}_unread": list(tally.unread) for question, tally in tallies.items()},
            "tied": any(tally.is_tied(rule) for tally in tallies.values()),
            "judge_model": next((reply.model for reply in found["novelty"]), None),
        }


def read_judge_usefulness(fragments: Shards, votes: Shards, options: UsefulnessOptions) -> tuple[SiblingShards, ...]:
    """Useful solutions with the counts of their fragments (`tables.TIR_USEFULNESS`), and the others."""
    return settle(
        "judge_usefulness",
        partial(decide_usefulness, rule=options.rule),
        fragments,
        votes,
        key="solution_id",
        evidence_key="solution_id",
        of=dict,
        max_failed_share=options.max_failed_share,
        settings=options.rule.model_dump(),
    )


def decide_usefulness(solution: Row, votes: list[Row], rule: UsefulnessRule) -> Outcome:
    """The outcome of one solution, by the votes on its fragments."""
    verdicts = [FragmentVerdict(row["novelty"], row["significance"]) for row in votes]
    counts = {
        "fragments": len(verdicts),
        "novel": sum(each.novelty == NOVEL for each in verdicts),
        "novel_moderate": sum(each.counts_as(MODERATE, SIGNIFICANT) for each in verdicts),
        "novel_significant": sum(each.counts_as(SIGNIFICANT) for each in verdicts),
        "undecided": sum(each.undecided for each in verdicts),
        "tied": sum(row["tied"] for row in votes),
        "unread": sum(len(row["novelty_unread"]) + len(row["significance_unread"]) for row in votes),
    }
    useful = is_useful(verdicts, rule)
    if useful is None:
        unread = Counter(reason for row in votes for reason in (*row["novelty_unread"], *row["significance_unread"]))
        return Failed("undecided", _counted({**counts, **unread}))
    if not useful:
        return Dropped("not_useful", _counted(counts))
    return Kept([{**{name: solution[name] for name in _IDS}, **counts}])


def _part(fragment: Row, question: str) -> str:
    """Which of the calls about a solution a vote is."""
    return f"{fragment['fragment_id']}/{question}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
