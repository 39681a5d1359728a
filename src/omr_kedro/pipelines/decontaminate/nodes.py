"""Problems that a benchmark asks as well are found, judged, and taken out before anything is built on them.

Similar benchmark problems are retrieved, and the model judges each pair in both orders. Fail-closed: a problem stays
only when every verdict is a clear no.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache, partial

from pydantic import BaseModel, ConfigDict, Field

from omr_kedro.llm import Asking, ChatModel, Completion, Prompt, Request
from omr_kedro.pipelines.llm_stage import (
    CallOptions,
    Dropped,
    Failed,
    Kept,
    Outcome,
    ask,
    read_sole,
    request,
    settle,
)
from omr_kedro.shards import BadInputError, Derived, Row, Shard, Shards, Source, derive
from omr_kedro.text import LexicalRetriever, Retriever, normal_form, parse_label

_ORDERS = ("forward", "backward")
_SAME, _DIFFERENT = "True", "False"
_BENCHMARK_FIELDS = ("benchmark", "benchmark_id", "problem")


class RetrievalOptions(BaseModel):
    """How far to look."""

    model_config = ConfigDict(extra="forbid")

    top_k: int = Field(default=3, ge=1)
    """Benchmark problems that each of ours is judged against."""


def retrieve_similar(problems: Shards, benchmarks: Source, options: RetrievalOptions) -> Derived:
    """The most similar benchmark problems of each problem (`tables.SIMILAR`)."""
    digest = benchmarks.digest()

    def similar(problems: Shard) -> Iterator[Row]:
        rows = list(problems.rows())
        known, retriever = _index(benchmarks, digest)
        for row, hits in zip(rows, retriever.search([row["problem"] for row in rows], options.top_k), strict=True):
            for rank, hit in enumerate(hits, start=1):
                yield _pair(row, known[hit.index], rank, hit.score)

    return derive(similar, problems, by=[digest, options.model_dump()])


def ask_decontaminate(
    similar: Shards, problems: Shards, prompt: Prompt, model: ChatModel, options: CallOptions
) -> Asking:
    """Ask of each pair, in both orders, whether it is one problem; equal statements need no judge."""

    def requests(similar: Shard, problems: Shard) -> Iterator[Request]:
        statements = {row["problem_id"]: row["problem"] for row in problems.rows()}
        for pair in similar.rows():
            if not pair["exact"]:
                texts = (statements[pair["problem_id"]], pair["benchmark_problem"])
                for order, (first, second) in zip(_ORDERS, (texts, texts[::-1]), strict=True):
                    values = {"problem": first, "benchmark_problem": second}
                    yield request(pair["problem_id"], prompt, options, values, part=_part(pair, order))

    return ask("decontaminate", requests, [similar, problems], prompt, model, options, calls_per_row=len(_ORDERS))


def read_judgements(similar: Shards, problems: Shards, completions: Shards, prompt: Prompt) -> Derived:
    """Every pair with its verdict (`tables.CONTAMINATION`)."""

    def judged(similar: Shard, problems: Shard, completions: Shard) -> Iterator[Row]:
        statements = {row["problem_id"]: row["problem"] for row in problems.rows()}
        replies: dict[tuple[str, str], list[Completion]] = defaultdict(list)
        for row in completions.rows():
            replies[row["row_id"], row["part"]].append(Completion.from_row(row))
        for pair in similar.rows():
            said = {
                order: None if pair["exact"] else _verdict(replies[pair["problem_id"], _part(pair, order)], prompt)
                for order in _ORDERS
            }
            verdict = "contaminated" if pair["exact"] else judge_pair(*said.values())
            yield {**pair, **said, "verdict": verdict, "problem": statements[pair["problem_id"]]}

    return derive(judged, similar, problems, completions)


def remove_contaminated(problems: Shards, contamination: Shards, options: CallOptions) -> tuple[Derived, ...]:
    """Clean problems (`tables.PROBLEMS`), and those with a benchmark's twin or without a clear verdict."""
    limit = options.max_failed_share
    return settle(
        "decontaminate", judge_problem, problems, contamination, by="problem_id", of=dict, max_failed_share=limit
    )


def judge_pair(forward: str | None, backward: str | None) -> str:
    """One yes is enough; a no needs both."""
    if _SAME in (forward, backward):
        return "contaminated"
    return "clean" if forward == backward == _DIFFERENT else "unclear"


def judge_problem(problem: Row, pairs: list[Row]) -> Outcome:
    """The outcome of one problem, given the verdicts of its pairs."""
    for verdict, outcome in (("contaminated", Dropped), ("unclear", Failed)):
        for pair in pairs:
            if pair["verdict"] == verdict:
                twin = f"{pair['benchmark']}/{pair['benchmark_id']}: {pair['benchmark_problem']}"
                return outcome(f"{verdict}_judgement" if verdict == "unclear" else verdict, twin)
    return Kept([problem])


def _verdict(completions: list[Completion], prompt: Prompt) -> str:
    label = read_sole(completions, partial(parse_label, choices=prompt.choices))
    return label.reason if isinstance(label, Failed) else label


def _pair(problem: Row, known: Row, rank: int, score: float) -> Row:
    return {
        "problem_id": problem["problem_id"],
        "thread_id": problem["thread_id"],
        "rank": rank,
        "score": score,
        "exact": normal_form(problem["problem"]) == normal_form(known["problem"]),
        "benchmark": known["benchmark"],
        "benchmark_id": known["benchmark_id"],
        "benchmark_problem": known["problem"],
    }


def _part(pair: Row, order: str) -> str:
    return f"{pair['benchmark']}/{pair['benchmark_id']} {order}"


@lru_cache(maxsize=1)
def _index(benchmarks: Source, digest: str) -> tuple[list[Row], Retriever]:
    # Kept between shards, which may each be asked for by itself; the digest tells files that were changed meanwhile.
    del digest
    known = []
    for record in benchmarks.records():
        fields = record.fields or {}
        wrong = record.problem or next(
            (f"the field '{n}' is missing" for n in _BENCHMARK_FIELDS if fields.get(n) in (None, "")), ""
        )
        if wrong:
            raise BadInputError(
                f"{benchmarks.path}, {record.where}: {wrong}; benchmarks must be complete, or data leaks."
            )
        known.append({name: str(fields[name]) for name in _BENCHMARK_FIELDS})
    return known, LexicalRetriever([row["problem"] for row in known])
