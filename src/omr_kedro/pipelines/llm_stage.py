"""The idiom of every stage that asks a model: two nodes, `ask_<stage>` and `read_<stage>`.

CallPlan turns rows into completions and costs money; reading turns rows and completions into what is kept and what is
not, and costs nothing, so that a better parser never costs a GPU hour. A stage says only what it asks about a row
(`ask`'s `asks`) and what it makes of the replies (`settle`'s `read`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from omr_kedro.llm.calls import (
    Ask,
    CallPlan,
    Completion,
    EpisodeOptions,
    Model,
    Prompt,
    Request,
    Sampling,
    TooManyFailuresError,
)
from omr_kedro.shards import (
    READING_CRASHED,
    Row,
    Scratch,
    Shard,
    Shards,
    SiblingShards,
    fingerprints_of,
    join,
    map_siblings,
    unless_crashed,
)
from omr_kedro.text import Unreadable

_DETAIL_CHARS = 500
_REPLY_CHARS = 20_000
"""Of the replies about a row that was not kept: a person looks at them here, and finds them whole among the
completions. All samples of a problem may be a hundred times as long."""
_NOT_KEPT = "not kept"

Evidence = TypeVar("Evidence")
Result = TypeVar("Result")


class CallOptions(BaseModel):
    """How a stage samples its model, and how many calls may fail."""

    model_config = ConfigDict(extra="forbid")

    temperature: float = Field(default=0.0, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int = Field(default=4096, gt=0)
    """Tokens of a reply at most, reasoning included."""
    seed: int | None = None
    extra_body: dict[str, Any] = {}
    """More fields of each request, such as `repetition_detection` of vLLM. One that is null is not sent: an environment
    takes a field of conf/base away by it, since sections are merged."""
    max_failed_share: float = Field(default=0.05, ge=0, le=1)
    """Share of a stage's calls, and of its rows, that may fail before the run stops."""

    @field_validator("extra_body")
    @classmethod
    def _of_values(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in given.items() if value is not None}

    @property
    def sampling(self) -> Sampling:
        """Sampling as the endpoint is told."""
        return Sampling(self.temperature, self.top_p, self.max_tokens, self.seed)


@dataclass(frozen=True, slots=True)
class Kept:
    """The row goes on, as one or more rows of the table named `to`."""

    rows: Sequence[Row]
    to: str = "kept"


@dataclass(frozen=True, slots=True)
class Dropped:
    """The row was decided against."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """No decision could be reached."""

    reason: str
    detail: str = ""


Outcome = Kept | Dropped | Failed


def ask(
    stage: str,
    asks: Callable[..., Iterable[Ask]],
    tables: Sequence[Shards],
    prompt: Prompt,
    model: Model,
    options: CallOptions,
    calls_per_row: float = 1,
    episodes: EpisodeOptions | None = None,
    more_prompts: Sequence[Prompt] = (),
) -> CallPlan:
    """The calls of a stage.

    Args:
        stage: name in progress and errors.
        asks: takes one `Shard` of each table, yields requests or episodes in the order of the first table's rows.
        tables: tables with the same shard ids; the first one's rows are asked about.
        prompt: rendered by `asks`; here for its hash.
        model: who is asked.
        options: sampling and the share of failures.
        calls_per_row: for progress.
        episodes: means and bounds of episodes.
        more_prompts: others that are rendered by `asks`.
    """
    episodes = episodes or EpisodeOptions()
    # Of fields that were added later only those that are used, so that tables of before them stay made.
    used = {"extra_body"} if not options.extra_body else set()
    undecided = {"max_failed_share", "controls", *used}
    how = [prompt.hash, model.identity, options.model_dump(mode="json", exclude=undecided)]
    if episodes.sandbox:
        how.append(episodes.sandbox.identity)
    how += [each.hash for each in more_prompts]
    return CallPlan(
        name=stage,
        model=model,
        asks=lambda shard_id: asks(*(table[shard_id] for table in tables)),
        expected={shard.id: round(shard.count * calls_per_row) for shard in tables[0].values()},
        fingerprints=fingerprints_of(tables[0], [asks], tables, how),
        episodes=episodes,
        max_failed_share=options.max_failed_share,
        tolerated_failures=_tolerated_failures(tables[0]),
    )


def request(row_id: str, prompt: Prompt, options: CallOptions, values: Mapping[str, str], part: str = "") -> Request:
    """One call about a row, with the prompt's fields filled by `values`."""
    return Request(
        row_id,
        prompt.messages(**values),
        options.sampling,
        prompt.hash,
        prompt.choices,
        part,
        extra_body=options.extra_body,
    )


def settle(
    stage: str,
    read: Callable[[Row, list[Evidence]], Outcome],
    rows: Shards,
    evidence: Shards,
    *,
    key: str = "problem_id",
    evidence_key: str = "row_id",
    of: Callable[[Row], Evidence] = Completion.from_row,  # type: ignore[assignment]
    tables: Sequence[str] = ("kept",),
    max_failed_share: float = 0.0,
    settings: object = None,
) -> tuple[SiblingShards, ...]:
    """Give every row its outcome, in one pass for all tables; memory holds a row and what was found out about it.

    A row on which `read` crashes has failed, as `reading_crashed`.

    Args:
        stage: stands in the table of rows that are not kept.
        read: the outcome of one row, from the row and what was found out about it (nothing when nothing was asked).
        rows: the rows that the stage was given.
        evidence: what was found out: completions, or what was made of them.
        key: column of `rows` that evidence refers to.
        evidence_key: column of `evidence` that refers to it.
        of: makes a piece of evidence of its row.
        tables: names of the tables that rows may be kept in.
        max_failed_share: share of the rows that may fail; beyond it the last table does not count as finished.
        settings: what else decides the outcomes, as JSON can hold it.

    Returns:
        One table for each name of `tables`, then the table of rows that were dropped or failed; to be saved in this
        order.
    """

    def settled(scratch: Scratch, rows: Shard, evidence: Shard) -> Iterator[tuple[str, Row]]:
        for row, found in join(rows, key, evidence, evidence_key, scratch):
            pieces = [of(piece) for piece in found]
            outcome = unless_crashed(crashed, read, row, pieces)
            if not isinstance(outcome, Kept):
                completions = [piece for piece in pieces if isinstance(piece, Completion)]
                yield _NOT_KEPT, not_kept_row(stage, row[key], row, outcome, completions)
            elif outcome.to in tables:
                yield from ((outcome.to, kept) for kept in outcome.rows)
            else:
                raise ValueError(f"{stage}: a row is kept in '{outcome.to}', which is none of {list(tables)}")

    *made, rest = map_siblings(settled, [*tables, _NOT_KEPT], rows, evidence, by=[stage, settings])
    check = partial(_check_failures, stage, rows.count, max_failed_share, _tolerated_failures(rows))
    return (*made, replace(rest, check=check))


def _tolerated_failures(table: Shards) -> float:
    """Failures that say nothing about a share: one, in a small table; some shards of a table say less of the whole."""
    return 1 if table.whole else 20


def _check_failures(stage: str, rows: int, limit: float, few: float, not_kept: Iterator[Row]) -> None:
    reasons = Counter(row["reason"] for row in not_kept if row["outcome"] == "failed")
    if reasons.total() > max(few, limit * rows):
        counts = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
        raise TooManyFailuresError(
            f"{stage}: {reasons.total():,} of {rows:,} rows failed ({counts}), "
            f"more than `max_failed_share` ({limit:g}) allows. Look at the replies in the stage's completions; "
            "then change the prompt, the model or max_tokens, or raise the limit. "
            "Every reply is kept: the same command goes on from here."
        )


def crashed(error: str) -> Failed:
    """The outcome of a row whose reading crashed; a share of them stops the run, as of all rows that fail."""
    return Failed(READING_CRASHED, error)


def sole_reply(completions: list[Completion]) -> str | Failed:
    """The reply of a row that has one call, if it is whole: a cut reply is never read as a full one."""
    if not completions:
        return Failed("not_asked", "the completions table holds no call for this row")
    completion = completions[0]
    return not_whole(completion) or completion.text


def not_whole(completion: Completion) -> Failed | None:
    """Why a call has no whole reply; None where it has one."""
    if completion.error_kind:
        return Failed(completion.error_kind, (completion.error or "")[:_DETAIL_CHARS])
    return _cut(completion) if completion.cut else None


_CUT = {
    "length": "truncated", "max_tokens": "truncated", "content_filter": "content_filter", "abort": "aborted",
    "repetition": "repetition",
}  # fmt: skip
"""Reasons of rows whose reply is not whole, by the finish reasons that servers give."""


def _cut(completion: Completion) -> Failed:
    finish_reason = completion.finish_reason or ""
    reason = _CUT.get(finish_reason.lower(), "unknown_finish_reason")
    advice = "; raise max_tokens" if reason == "truncated" else ""
    ended = f"the reply was cut after {completion.completion_tokens} tokens ({finish_reason!r}){advice}"
    return Failed(reason, ended[:_DETAIL_CHARS])


def read_sole(completions: list[Completion], parse: Callable[[str], Result | Unreadable]) -> Result | Failed:
    """The reading of a parser, of the reply of a row that has one call."""
    reply = sole_reply(completions)
    if isinstance(reply, Failed):
        return reply
    reading = parse(reply)
    return Failed(reading.reason, reading.detail[:_DETAIL_CHARS]) if isinstance(reading, Unreadable) else reading


def not_kept_row(
    stage: str, row_id: str, row: Row, outcome: Dropped | Failed, completions: Sequence[Completion] = ()
) -> Row:
    """A row of `tables.DROPPED`."""
    # A record that was refused may hold anything in these fields.
    text = str(row.get("problem") or row.get("forum_post") or "")
    return {
        "stage": stage,
        "row_id": row_id,
        "thread_id": row.get("thread_id"),
        "outcome": "dropped" if isinstance(outcome, Dropped) else "failed",
        "reason": outcome.reason,
        "detail": outcome.detail,
        "text": text[:_DETAIL_CHARS],
        "reply": _beginning(completion.text for completion in completions) or None,
        "model": completions[0].model if completions else None,
    }


def _beginning(texts: Iterable[str]) -> str:
    """As many of the texts as a person looks at, joined without joining all."""
    shown: list[str] = []
    left = _REPLY_CHARS
    for text in texts:
        if left <= 0:
            break
        shown.append(text[:left])
        left -= len(text) + 1
    return "\n".join(shown)
