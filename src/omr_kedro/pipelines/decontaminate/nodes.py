"""Problems that a benchmark asks as well are found, judged, and taken out before anything is built on them.

Similar benchmark problems are retrieved, and the model judges each pair in both orders. Fail-closed: a problem stays
only when every verdict is a clear no.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from omr_kedro.exam import Marked
from omr_kedro.exam.gold import PairGold
from omr_kedro.exam.marks import mark_label, unparsed
from omr_kedro.exam.views import as_pair, as_problem, gold_of, shown
from omr_kedro.llm.calls import CallPlan, Completion, Model, Prompt, Request
from omr_kedro.pipelines.controls import JudgeOptions, with_controls
from omr_kedro.pipelines.llm_stage import (
    Dropped,
    Failed,
    Kept,
    Outcome,
    ask,
    crashed,
    read_sole,
    request,
    settle,
)
from omr_kedro.resources import Shared
from omr_kedro.shards import (
    READING_CRASHED,
    BadInputError,
    MappedShards,
    Record,
    Row,
    Shard,
    Shards,
    SiblingShards,
    Source,
    checked_text,
    identifier,
    map_shards,
    printable_name,
    unless_crashed,
)
from omr_kedro.text import (
    EmbeddingRetriever,
    Encoder,
    LexicalRetriever,
    Retriever,
    Twin,
    TwinFinder,
    check_installed,
    parse_label,
)

_ORDERS = ("forward", "backward")
_SAME, _DIFFERENT = "True", "False"
_BENCHMARK_FIELDS = ("benchmark", "benchmark_id", "problem")
# Of a field of a benchmark; the longest problems that are known have some 10,000.
_MAX_CHARS = 100_000
_DECIDES = {
    "lexical": {"kind", "top_k", "ngrams"},
    "embedding": {"kind", "model", "revision", "top_k", "ngrams"},
}

BenchmarkIndex = tuple[list[Row], TwinFinder]
"""The benchmark problems, and what finds those that are like a text, by their places."""


def _long_then_short(lengths: tuple[int, int]) -> tuple[int, int]:
    if lengths[0] <= lengths[1] or lengths[1] < 1:
        raise ValueError("give the longer n-gram first, as in [13, 8]")
    return lengths


class RetrievalOptions(BaseModel):
    """How twins are looked for."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["lexical", "embedding"] = "lexical"
    """`lexical` needs nothing; `embedding` finds paraphrases, and needs the extra `embeddings`."""
    model: str = "sentence-transformers/multi-qa-MiniLM-L6-cos-v1"
    """Of embeddings: a sentence-transformers model on the hub, or a folder."""
    revision: str | None = None
    """Commit of the model's repository; for a folder, anything that changes when its content does."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Of embeddings; `auto` is a GPU where there is one."""
    top_k: int = Field(default=3, ge=1)
    """Benchmark problems that each of ours is judged against: so many by likeness, and as many by shared n-grams."""
    ngrams: Annotated[tuple[int, int], AfterValidator(_long_then_short)] = (13, 8)
    """Lengths in tokens. A shared long one makes a pair, whatever else is around it; both are reported."""

    @property
    def identity(self) -> dict[str, object]:
        """All that decides what is found."""
        return self.model_dump(include=_DECIDES[self.kind])

    @property
    def costly(self) -> bool:
        """Whether finding takes a model of its own, so that an estimate goes by rates."""
        return self.kind == "embedding"

    def check(self) -> None:
        """Say before any work that embeddings are not installed.

        Raises:
            MissingExtraError: says what to install.
        """
        if self.kind == "embedding":
            check_installed()

    def retriever(self, texts: Sequence[str]) -> Retriever:
        """An index of the texts."""
        if self.kind == "lexical":
            return LexicalRetriever(texts)
        return EmbeddingRetriever(texts, Encoder(self.model, self.revision, self.device))


def retrieve_similar(
    problems: Shards, benchmarks: Source, index: Shared[BenchmarkIndex], options: RetrievalOptions
) -> MappedShards:
    """The benchmark problems that each problem is to be compared with (`tables.SIMILAR`)."""
    digest = benchmarks.digest()

    def similar(problems: Shard) -> Iterator[Row]:
        rows = list(problems.rows())
        known, finder = index.get((digest, options), partial(_make_index, benchmarks, options))
        texts = [row["problem"] for row in rows]
        for row, matches in zip(rows, _find(finder, texts, options.top_k), strict=True):
            if isinstance(matches, str):
                yield _unfound(row, matches)
            else:
                yield from (_pair(row, known[match.index], match) for match in matches)

    return map_shards(similar, problems, by=[digest, options.identity])


def ask_decontaminate(
    similar: Shards, problems: Shards, control_rows: Shards, prompt: Prompt, model: Model, options: JudgeOptions
) -> CallPlan:
    """Ask of each pair, in both orders, whether it is one problem; and of controls likewise."""
    pairs, statements = shown(control_rows, as_pair), shown(control_rows, as_problem)
    return with_controls(
        judge_pairs(similar, problems, prompt, model, options), judge_pairs(pairs, statements, prompt, model, options)
    )


def needs_judge(pair: Row) -> bool:
    """Whether the judge is asked about a pair: equal statements need none."""
    return not pair["exact"] and pair["found_by"] != READING_CRASHED


def judge_pairs(similar: Shards, problems: Shards, prompt: Prompt, model: Model, options: JudgeOptions) -> CallPlan:
    """The calls about pairs; those whose benchmark statements are equal are asked about once."""

    def requests(similar: Shard, problems: Shard) -> Iterator[Request]:
        statements = {row["problem_id"]: row["problem"] for row in problems.rows()}
        for pair, asked in _by_statement(similar.rows()):
            if pair is asked and needs_judge(pair):
                texts = (statements[pair["problem_id"]], pair["benchmark_problem"])
                for order, (first, second) in zip(_ORDERS, (texts, texts[::-1]), strict=True):
                    values = {"problem": first, "benchmark_problem": second}
                    yield request(pair["problem_id"], prompt, options, values, part=_part(pair, order))

    return ask("decontaminate", requests, [similar, problems], prompt, model, options, calls_per_row=len(_ORDERS))


def read_judgements(
    similar: Shards, problems: Shards, completions: Shards, controls: Shards, prompt: Prompt
) -> tuple[MappedShards, ...]:
    """Every pair with its verdict, once the controls tell that the judge is fit.

    Returns:
        All pairs, those that are one problem (both `tables.CONTAMINATION`), and those without a clear verdict, with
        the replies, for a person to look at (`tables.CONTAMINATION_REVIEW`).
    """
    del controls  # Their table is there only if the judge has passed.

    def judged(similar: Shard, problems: Shard, completions: Shard) -> Iterator[tuple[Row, Row]]:
        statements = {row["problem_id"]: row["problem"] for row in problems.rows()}
        calls: dict[tuple[str, str], list[Completion]] = defaultdict(list)
        for row in completions.rows():
            calls[row["row_id"], row["part"]].append(Completion.from_row(row))
        for pair, asked in _by_statement(similar.rows()):
            called = {order: calls[pair["problem_id"], _part(asked, order)] for order in _ORDERS}
            said = {order: None if pair["exact"] else _verdict(called[order], prompt.choices) for order in _ORDERS}
            verdict = "contaminated" if pair["exact"] else judge_pair(*said.values())
            replies = {f"{order}_reply": _reply(called[order]) for order in _ORDERS}
            yield {**pair, **said, "verdict": verdict, "problem": statements[pair["problem_id"]]}, replies

    def pairs(*shards: Shard) -> Iterator[Row]:
        return (pair for pair, _ in judged(*shards))

    def contaminated(*shards: Shard) -> Iterator[Row]:
        return (pair for pair in pairs(*shards) if pair["verdict"] == "contaminated")

    def unclear(*shards: Shard) -> Iterator[Row]:
        return ({**pair, **replies} for pair, replies in judged(*shards) if pair["verdict"] == "unclear")

    tables = (similar, problems, completions)
    return tuple(map_shards(make, *tables, by=[prompt.hash, make.__name__]) for make in (pairs, contaminated, unclear))


def remove_contaminated(problems: Shards, contamination: Shards, options: JudgeOptions) -> tuple[SiblingShards, ...]:
    """Clean problems (`tables.PROBLEMS`), and those with a benchmark's twin or without a clear verdict."""
    limit = options.max_failed_share
    return settle(
        "decontaminate",
        judge_problem,
        problems,
        contamination,
        evidence_key="problem_id",
        of=dict,
        max_failed_share=limit,
    )


def judge_pair(forward: str | None, backward: str | None) -> str:
    """One yes is enough; a no needs both."""
    if _SAME in (forward, backward):
        return "contaminated"
    return "clean" if forward == backward == _DIFFERENT else "unclear"


def mark_pair(row: Row, calls: list[Row]) -> Marked:
    """The mark of the verdict on a gold pair."""
    choices = (_SAME, _DIFFERENT)
    called = {call["part"]: [Completion.from_row(call)] for call in calls}
    said = [_verdict(called.get(_part(as_pair(row), order), []), choices) for order in _ORDERS]
    gold = "contaminated" if gold_of(row, PairGold).same else "clean"
    verdict = judge_pair(*said)
    if verdict == "unclear":
        return unparsed(gold, gold, next(each for each in said if each not in choices), said)
    return mark_label(gold, verdict, said)


def judge_problem(problem: Row, pairs: list[Row]) -> Outcome:
    """The outcome of one problem, given the verdicts of its pairs."""
    for verdict, outcome in (("contaminated", Dropped), ("unclear", Failed)):
        for pair in pairs:
            if pair["verdict"] == verdict:
                if pair["found_by"] == READING_CRASHED:
                    return crashed(pair["benchmark_problem"])
                twin = f"{pair['benchmark']}/{pair['benchmark_id']}: {pair['benchmark_problem']}"
                return outcome(f"{verdict}_judgement" if verdict == "unclear" else verdict, twin)
    return Kept([problem])


def known_problems(benchmarks: Source) -> list[Row]:
    """The benchmark problems: `benchmark`, `benchmark_id`, `problem`.

    Raises:
        BadInputError: a field is missing or no text, or two problems of a benchmark have one id; names file and line.
    """
    known: list[Row] = []
    places: dict[tuple[str, str], str] = {}
    for record in benchmarks.records(_BENCHMARK_FIELDS):
        row, wrong = _benchmark_row(record)
        key = (row["benchmark"], row["benchmark_id"])
        if not wrong and (first := places.setdefault(key, record.where)) != record.where:
            named = printable_name(" ".join(key))
            wrong = f"{named} stands at {first} already; each id must be there once"
        if wrong:
            place = f"{printable_name(benchmarks.path)}, {record.where}"
            raise BadInputError(f"{place}: {wrong}; benchmarks must be complete, or data leaks.")
        known.append(row)
    return known


def _benchmark_row(record: Record) -> tuple[Row, str]:
    """The fields of a benchmark problem, and what is wrong with them (nothing: an empty string)."""
    fields = record.fields or {}
    # Ids may be numbers; other fields that are none of texts are a sign of another file.
    given = {**fields, "benchmark_id": identifier(fields.get("benchmark_id")) or fields.get("benchmark_id")}
    checked = {name: checked_text(given, name, required=True, max_chars=_MAX_CHARS) for name in _BENCHMARK_FIELDS}
    wrong = record.problem or next((fault for _, fault in checked.values() if fault), "")
    return {name: text for name, (text, _) in checked.items()}, wrong


def _verdict(completions: list[Completion], choices: Sequence[str]) -> str:
    label = unless_crashed(crashed, read_sole, completions, partial(parse_label, choices=choices))
    return label.reason if isinstance(label, Failed) else label


def _reply(completions: list[Completion]) -> str | None:
    return "\n".join(completion.text or completion.error or "" for completion in completions) or None


def _pair(problem: Row, known: Row, match: Twin) -> Row:
    return {
        "problem_id": problem["problem_id"],
        "thread_id": problem["thread_id"],
        "rank": match.rank,
        "found_by": match.found_by,
        "score": match.score,
        "ngram_long": match.containment[0],
        "ngram_short": match.containment[1],
        "exact": match.exact,
        "benchmark": known["benchmark"],
        "benchmark_id": known["benchmark_id"],
        "benchmark_problem": known["problem"],
    }


def _find(finder: TwinFinder, texts: list[str], top_k: int) -> list[list[Twin] | str]:
    """The twins of each text, or what was wrong where looking for them crashed.

    All at once, which is fast, and one by one where that crashes.
    """

    def one_by_one(_: str) -> list[list[Twin] | str]:
        return [unless_crashed(str, lambda text: finder.find([text], top_k)[0], text) for text in texts]

    return unless_crashed(one_by_one, lambda: [*finder.find(texts, top_k)])


def _unfound(problem: Row, error: str) -> Row:
    """The pair, without a clear verdict, of a problem whose twins cannot be looked for."""
    nothing = {"rank": 1, "score": None, "ngram_long": 0.0, "ngram_short": 0.0, "exact": False}
    place = {"found_by": READING_CRASHED, "benchmark": "(none)", "benchmark_id": "(none)", "benchmark_problem": error}
    return {"problem_id": problem["problem_id"], "thread_id": problem["thread_id"], **nothing, **place}


def _by_statement(pairs: Iterable[Row]) -> Iterator[tuple[Row, Row]]:
    """Each pair, with the pair that is judged for it: the first of those with an equal benchmark statement."""
    for _, group in groupby(pairs, key=lambda pair: (pair["problem_id"], pair["rank"])):
        equal = list(group)
        yield from ((pair, equal[0]) for pair in equal)


def _part(pair: Row, order: str) -> str:
    return f"{pair['benchmark']}/{pair['benchmark_id']} {order}"


def _make_index(benchmarks: Source, options: RetrievalOptions) -> BenchmarkIndex:
    known = known_problems(benchmarks)
    return known, TwinFinder([row["problem"] for row in known], options.kind, options.retriever, options.ngrams)
