"""Filters of solutions for training: those of the original's SFT step, and those that no view does without.

Each is off unless it says otherwise. Published rows are looked at by column; only counts of tokens, arithmetic and the
search for loops take one text after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from omr_kedro.llm.calls.request import is_cut
from omr_kedro.publishing.arithmetic import is_arithmetic_wrong
from omr_kedro.publishing.ids import Ids
from omr_kedro.solutions import is_looping

Mask = npt.NDArray[np.bool_]


class Bounds(BaseModel):
    """The least and the most that is kept, both included; no bound where it is null."""

    model_config = ConfigDict(extra="forbid")

    min: float | None = None
    max: float | None = None

    def outside(self, values: npt.NDArray[np.float64]) -> Mask:
        """Whether values lie outside; one that is not known (NaN) does not."""
        below = np.zeros(len(values), bool) if self.min is None else values < self.min
        return below if self.max is None else below | (values > self.max)

    def __bool__(self) -> bool:
        return self.min is not None or self.max is not None


class Filters(BaseModel):
    """Which right solutions are left out of training; names as in the original's SFT step where it has them."""

    model_config = ConfigDict(extra="forbid")

    modes: list[Literal["cot", "tir"]] | None = None
    """Kinds of solutions; null for all."""
    only_useful: bool = True
    """Solutions of the mode `tir` whose code was of no use, or of which nobody found that out; none where no solution
    was judged at all. The paper (arXiv 2504.16891) keeps the useful ones."""
    remove_contaminated: Literal[True] = True
    """Problems that are not among the clean ones. It cannot be switched off."""
    drop_multi_boxed: bool = False
    r"""Solutions with more than one `\boxed{…}`."""
    remove_code_errors: bool = False
    """Solutions in which code raised an error, took too long, or had its output cut."""
    remove_matplotlib: bool = True
    """Solutions that import matplotlib, of which nobody sees the pictures."""
    remove_no_code: bool = False
    """Solutions of the mode `tir` that ran no code."""
    remove_no_think_tags: bool = False
    """Solutions without `</think>`."""
    remove_verification_code: bool = False
    """Solutions that turn to Python only to verify."""
    min_majority_votes: int = Field(default=0, ge=0)
    """Solutions whose answer has fewer votes; those without votes pass."""
    min_majority_fraction: float = Field(default=0.0, ge=0, le=1)
    """Solutions whose answer has a smaller share of the votes; those without votes pass."""
    drop_incorrect_arithmetic: bool = False
    """Solutions with a chain such as `2 + 3 * 4 = 15` that is off by more than one in ten thousand."""
    problem_tokens: Bounds = Bounds()
    """Tokens of the statement, by the tokenizer."""
    solution_tokens: Bounds = Bounds()
    """Tokens of the solution, by the tokenizer."""
    pass_rate: Bounds = Bounds()
    """Pass rates of problems; those without one pass."""
    code_text_filter: Literal["all", "majority_code", "majority_text", "any_code"] | None = None
    """Of each problem the solutions with code or those without: those of which there are more (of as many, those that
    the name says), or those with code if there is any; null and `all` keep both."""
    deduplicate: bool = True
    """Only the first of solutions of a problem whose text is the same."""
    shortest: int | None = Field(default=None, ge=1)
    """Only so many solutions of a problem, those with the fewest tokens."""
    most_per_problem: int | None = Field(default=None, ge=1)
    """Only so many solutions of a problem, drawn by `seed`."""
    num_output_samples: int | None = Field(default=None, ge=0)
    """Only so many solutions in all."""
    downsampling: Literal["random", "fair"] = "random"
    """How these are drawn: each with the same chance, or one of each problem in turn."""
    seed: int = 42
    """Of all that is drawn: the same rows each time, whatever else was added."""


class Evidence(NamedTuple):
    """Known about all rows before any is looked at."""

    clean: Ids
    """Problems that are clean."""
    rejected: Ids
    """Samples that are no solution."""
    count_tokens: Callable[[str], int]
    judged: bool = False
    """Whether the usefulness of solutions with code was judged at all."""


COLUMNS = [
    "problem", "generated_solution", "inference_mode", "problem_id", "solution_id", "verdict", "finish_reason",
    "votes_for", "votes_total", "pass_rate", "tool_calls", "tool_errors", "tool_timeouts", "completion_tokens",
    "useful",
]  # fmt: skip
"""Columns of published rows that are looked at."""


def left_out(batch: pa.RecordBatch, filters: Filters, evidence: Evidence) -> Iterator[tuple[str, Mask]]:
    """Reasons to leave rows out, the first of which counts, each with the rows that it holds for."""
    yield from unfit(batch, evidence)
    text = batch.column("generated_solution")
    code = _is(pc.equal(batch.column("inference_mode"), "tir"))
    if filters.modes is not None:
        yield "unwanted_mode", ~_is(pc.is_in(batch.column("inference_mode"), pa.array(filters.modes, pa.string())))
    if filters.only_useful and evidence.judged:
        useful = batch.column("useful")
        yield "not_useful", code & _is(pc.equal(useful, False))
        yield "usefulness_unknown", code & _is(useful.is_null())
    if filters.drop_multi_boxed:
        yield "multi_boxed", _is(pc.greater(pc.count_substring_regex(text, r"\\boxed\{[^}]*\}"), 1))
    if filters.remove_code_errors:
        failed = _numbers(batch, "tool_errors", "tool_timeouts") > 0
        yield "code_errors", failed | _is(pc.match_substring_regex(text, _CODE_ERROR))
    if filters.remove_matplotlib:
        yield "matplotlib", _is(pc.match_substring_regex(text, "import matplotlib|from matplotlib"))
    if filters.remove_no_code:
        yield "no_code", code & ~(_numbers(batch, "tool_calls") > 0)
    if filters.remove_no_think_tags:
        yield "no_think_tags", ~_is(pc.match_substring(text, "</think>"))
    if filters.remove_verification_code:
        yield "verification_code", _is(pc.match_substring_regex(text, _VERIFICATION, ignore_case=True))
    votes, total = _numbers(batch, "votes_for"), _numbers(batch, "votes_total")
    yield "few_votes", (votes < filters.min_majority_votes) | (votes < filters.min_majority_fraction * total)
    yield "pass_rate", filters.pass_rate.outside(_numbers(batch, "pass_rate"))
    if filters.problem_tokens:
        yield "problem_tokens", filters.problem_tokens.outside(_mapped(batch.column("problem"), evidence.count_tokens))
    if filters.solution_tokens:
        yield "solution_tokens", filters.solution_tokens.outside(_mapped(text, evidence.count_tokens))
    if filters.drop_incorrect_arithmetic:
        yield "incorrect_arithmetic", _mapped(text, is_arithmetic_wrong) > 0


def unfit(batch: pa.RecordBatch, evidence: Evidence) -> Iterator[tuple[str, Mask]]:
    """Reasons for which a row is in no view, whatever the filters say."""
    yield "contaminated", ~evidence.clean.hold(batch.column("problem_id"))
    yield "undecided", ~are(batch.column("verdict"), "correct")
    yield "cut", are_cut(batch.column("finish_reason"))
    yield "rejected", evidence.rejected.hold(batch.column("solution_id"))
    yield "looping", are_looping(batch.column("generated_solution"))


def first_reasons(reasons: Iterator[tuple[str, Mask]], rows: int) -> npt.NDArray[np.object_]:
    """The first reason of each row; None where there is none."""
    found = np.full(rows, None, dtype=object)
    for name, holds in reasons:
        found[holds & (found == None)] = name  # noqa: E711 (by element)
    return found


_CODE_ERROR = r"Traceback \(most recent call last\)|<output cut>|Timed out|SyntaxError"
_VERIFICATION = (
    r"let's (now |also )?(verify|check|confirm|double-check)[^.\n]{0,80}\b(using|with|in|by|through) "
    r"(python|sympy|code|a (python )?(script|program))"
)


def _is(column: pa.Array) -> Mask:
    mask: Mask = column.fill_null(False).to_numpy(zero_copy_only=False)
    return mask


def _numbers(batch: pa.RecordBatch, *names: str) -> npt.NDArray[np.float64]:
    """The sum of columns of numbers, in which what is not known is NaN."""
    columns = [batch.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False) for name in names]
    total: npt.NDArray[np.float64] = np.sum(columns, axis=0)
    return total


def _mapped(texts: pa.Array, function: Callable[[str], float]) -> npt.NDArray[np.float64]:
    return np.array([0 if text is None else function(text) for text in texts.to_pylist()], np.float64)


def are(column: pa.Array, value: str) -> Mask:
    """Whether each value is this one."""
    return _is(pc.equal(column, value))


def are_cut(reasons: pa.Array) -> Mask:
    """Whether finish reasons are of replies that are not whole."""
    encoded = reasons.dictionary_encode()
    cut = np.array([is_cut(reason) for reason in encoded.dictionary.to_pylist()] + [False])
    places: npt.NDArray[np.int32] = encoded.indices.fill_null(len(cut) - 1).to_numpy(zero_copy_only=False)
    return cut[places]


_STRETCH = 4096
"""Bytes; about the window of `solutions.loops`."""
_COMPRESSED = 0.2
"""Share of a stretch that LZ4 leaves at most where it may be a loop; of prose and formulas it leaves 0.6. Loops of up
to 1,200 characters are found so."""


def are_looping(texts: pa.Array) -> Mask:
    """Whether texts are loops; only those of which a stretch compresses very well are looked at word by word."""
    return np.array([text is not None and _may_loop(text) and is_looping(text) for text in texts.to_pylist()], bool)


def _may_loop(text: str) -> bool:
    content = text.encode()
    stretches = (content[begin : begin + _STRETCH] for begin in range(0, max(1, len(content)), _STRETCH // 2))
    return any(
        len(pa.compress(part, codec="lz4_raw", asbytes=True)) < _COMPRESSED * len(part) + 64
        for part in stretches
        if part
    )
