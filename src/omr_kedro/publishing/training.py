"""Rows that views are made of, and the check of every row of a view before it is written.

Rows are fit by construction: views get what the selection kept. The check knows nothing of how they were made. It
compares their ids with the problems that are clean and the samples that were rejected (wrong, undecided, cut, in a
loop), looks at each row's own verdict, finish reason and replies, and holds SFT and RL apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from operator import itemgetter

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from omr_kedro.publishing.columns import UnmatchedRowsError
from omr_kedro.publishing.filters import Bounds, Evidence, are, are_cut, are_looping, unfit
from omr_kedro.publishing.ids import Ids
from omr_kedro.publishing.publication import Published
from omr_kedro.publishing.selection import held_out
from omr_kedro.publishing.views import SOURCE_COLUMNS, Pair
from omr_kedro.shards import OmrError
from omr_kedro.shards.arrow import arrow_batches
from omr_kedro.shards.printable import printable_name
from omr_kedro.shards.recipes import Row, Shards

WRONG = "incorrect"
"""Reason of rejected samples whose answer is known to be wrong, and that are whole."""


class UnfitRowError(OmrError):
    """A row that must be in no view for training."""


@dataclass(frozen=True)
class Guard:
    """Knows the problems and samples that views may be made of, once it is first asked about them."""

    problems: Published
    rejected: Published
    rl_share: float

    @cached_property
    def clean(self) -> Ids:
        """Problems that are clean."""
        return Ids(batch.column(0) for batch in self.problems.batches(["problem_id"]))

    @cached_property
    def unsolved(self) -> Ids:
        """Samples that are no solution."""
        return Ids(batch.column(0) for batch in self.rejected.batches(["solution_id"]))

    @cached_property
    def wrong(self) -> Ids:
        """Samples that are whole, with a wrong answer."""
        batches = self.rejected.batches(["solution_id", "reason"])
        return Ids(batch.filter(pc.equal(batch.column("reason"), WRONG)).column("solution_id") for batch in batches)

    def evidence(self, count_tokens: Callable[[str], int], *, judged: bool = False) -> Evidence:
        """The same for filters."""
        return Evidence(self.clean, self.unsolved, count_tokens, judged)

    def check_sft(self, batch: pa.RecordBatch) -> None:
        """See that rows are of clean problems that are not held out, and of right solutions that are whole and no loop.

        Raises:
            UnfitRowError: names the first row that is not.
        """
        ids = batch.column("problem_id")
        _refuse(batch, ~self.clean.hold(ids), "its problem is not among the clean ones")
        _refuse(batch, held_out(ids, self.rl_share), "its problem is held out for RL")
        _refuse(batch, self.unsolved.hold(batch.column("solution_id")), "it is among the rejected samples")
        _refuse(batch, ~are(batch.column("verdict"), "correct"), "its answer is not known to be right")
        _refuse(batch, are_cut(batch.column("finish_reason")), "its reply is cut")
        _refuse(batch, _has_loop(batch), "a reply is in a loop")

    def check_preferences(self, batch: pa.RecordBatch) -> None:
        """As `check_sft`, and that the rejected reply is a whole one with a wrong answer."""
        self.check_sft(batch)
        wrong = self.wrong.hold(batch.column("rejected_solution_id")) & are(batch.column("rejected_verdict"), WRONG)
        whole = ~are_cut(batch.column("rejected_finish_reason"))
        _refuse(batch, ~(wrong & whole), "its rejected reply is no whole sample with a wrong answer")

    def check_rl(self, batch: pa.RecordBatch) -> None:
        """See that rows are of clean problems that are held out and have an answer."""
        ids = batch.column("problem_id")
        _refuse(batch, ~self.clean.hold(ids), "it is not among the clean problems")
        _refuse(batch, ~held_out(ids, self.rl_share), "it is not held out from SFT")
        nameless = batch.column("expected_answer").is_null().to_numpy(zero_copy_only=False)
        _refuse(batch, nameless, "nobody knows its answer")

    def check_comparisons(self, batch: pa.RecordBatch) -> None:
        """As `check_rl`, and that each candidate is a right solution, or a whole sample with a wrong answer."""
        self.check_rl(batch)
        candidates = batch.column("candidates").flatten()
        ids, correct = candidates.field("solution_id"), candidates.field("correct").to_numpy(zero_copy_only=False)
        fit = np.where(correct.astype(bool), ~self.unsolved.hold(ids), self.wrong.hold(ids))
        fit &= ~are_looping(candidates.field("text"))
        parents = pc.list_parent_indices(batch.column("candidates")).to_numpy()
        of_row = np.zeros(len(batch), bool)
        of_row[parents[~fit]] = True
        _refuse(batch, of_row, "a candidate is undecided, cut or in a loop")


_CHATS = ("messages", "completion", "chosen", "rejected")
"""Columns of views that hold replies as messages; `output` holds one as a text."""


def _has_loop(batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    """Whether a reply of each row is in a loop."""
    names = batch.schema.names
    found = are_looping(batch.column("output")) if "output" in names else np.zeros(len(batch), bool)
    for name in _CHATS:
        if name in names:
            said = pc.list_flatten(batch.column(name))
            replies = pc.indices_nonzero(pc.equal(said.field("role"), "assistant"))
            rows = pc.list_parent_indices(batch.column(name)).take(replies).to_numpy()
            found[rows[are_looping(said.field("content").take(replies))]] = True
    return found


def _refuse(batch: pa.RecordBatch, rows: npt.NDArray[np.bool_], why: str) -> None:
    places = np.flatnonzero(rows)
    if len(places):
        row = batch.slice(int(places[0]), 1).to_pylist()[0]
        named = next(row[name] for name in ("solution_id", "group_id", "problem_id") if row.get(name))
        raise UnfitRowError(
            f"{printable_name(named)} must be in no view: {why}. This is a defect of omr_kedro; report it."
        )


# ---- solutions


def kept(published: Sequence[Published], selection: Shards, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Rows of configs that the selection has kept.

    Args:
        published: the configs that it is about, in its order.
        selection: `tables.SFT_SELECTION`.
        columns: those that are wanted.

    Raises:
        UnmatchedRowsError: the selection is of other rows.
    """
    outcomes = pa.schema([("outcome", pa.string())])
    masks = [
        pc.equal(batch.column(0), "kept") for shard in selection.values() for batch in arrow_batches(shard, outcomes)
    ]
    mask = pa.concat_arrays(masks) if masks else pa.array([], pa.bool_())
    if len(mask) != sum(config.manifest.rows for config in published):
        raise UnmatchedRowsError("the selection for training is of other rows than those that are published")
    begin = 0
    for config in published:
        for batch in config.batches(columns):
            yield batch.filter(mask.slice(begin, len(batch)))
            begin += len(batch)


def pairs(
    published: Sequence[Published], rejected: Published, selection: Shards, guard: Guard, most: int
) -> Iterator[Pair]:
    """Right and wrong samples of one problem in one mode, the first of each with the first, up to `most` of a problem.

    Samples of both kinds stand in the order of their problems, so that memory holds those of one problem.

    Raises:
        UnmatchedRowsError: they do not.
    """
    columns = [*SOURCE_COLUMNS, "predicted_answer"]
    for mode in ("cot", "tir"):
        right = _Samples(lambda mode=mode: _of_mode(kept(published, selection, columns), mode))  # type: ignore[misc]
        wrong = _Samples(lambda mode=mode: _of_mode(_wrong(rejected, columns, guard), mode))  # type: ignore[misc]
        groups = zip(right.by_problem(wrong.problems), wrong.by_problem(right.problems), strict=True)
        for (problem, good), (other, bad) in groups:
            if problem != other:
                raise UnmatchedRowsError(f"solutions and rejected samples of {problem} stand in different orders")
            for pair, _ in zip(zip(good, bad, strict=False), range(most), strict=False):
                yield Pair(*pair)


def _of_mode(batches: Iterable[pa.RecordBatch], mode: str) -> Iterator[pa.RecordBatch]:
    return (batch.filter(pc.equal(batch.column("inference_mode"), mode)) for batch in batches)


def _wrong(rejected: Published, columns: list[str], guard: Guard) -> Iterator[pa.RecordBatch]:
    more = ["reason"]
    evidence = guard.evidence(len)
    for batch in rejected.batches([*columns, *more]):
        unusable = np.zeros(len(batch), bool)
        for reason, rows in unfit(batch, evidence):
            if reason in {"contaminated", "cut", "looping"}:
                unusable |= rows
        wrong = pc.equal(batch.column("reason"), WRONG)
        yield batch.filter(pc.and_(wrong, pa.array(~unusable))).select(columns)


@dataclass(frozen=True)
class _Samples:
    """Samples of one mode, in the order of their problems."""

    batches: Callable[[], Iterable[pa.RecordBatch]]

    @cached_property
    def problems(self) -> Ids:
        return Ids(batch.column("problem_id") for batch in self.batches())

    def by_problem(self, wanted: Ids) -> Iterator[tuple[str, Iterator[Row]]]:
        """The samples of each problem that is wanted."""
        rows = (
            row
            for batch in self.batches()
            for row in batch.filter(pa.array(wanted.hold(batch.column("problem_id")))).to_pylist()
        )
        return groupby(rows, itemgetter("problem_id"))


# ---- problems


def rl_problems(
    problems: Published, rl_share: float, pass_rate: Bounds, answer_types: Sequence[str] | None
) -> Iterator[pa.RecordBatch]:
    """Published problems that are held out and have an answer that nothing speaks against.

    Args:
        problems: all clean problems.
        rl_share: see `held_out`.
        pass_rate: of the problems; those without one are out where it has bounds.
        answer_types: types of answers that a verifier can compare; None for all.
    """
    for batch in problems.batches():
        rates = batch.column("pass_rate").to_numpy(zero_copy_only=False)
        fit = held_out(batch.column("problem_id"), rl_share)
        fit &= batch.column("expected_answer").is_valid().to_numpy(zero_copy_only=False)
        fit &= ~pc.fill_null(batch.column("suspect"), False).to_numpy(zero_copy_only=False)
        if pass_rate:
            fit &= ~np.isnan(rates.astype(float)) & ~pass_rate.outside(rates.astype(float))
        if answer_types is not None:
            wanted = pc.is_in(batch.column("answer_type"), pa.array(answer_types, pa.string()))
            fit &= wanted.to_numpy(zero_copy_only=False)
        yield batch.filter(pa.array(fit))
