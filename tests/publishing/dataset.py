"""A small dataset with its views, made by the nodes of the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from omr_kedro import tables
from omr_kedro.pipelines.publish.nodes import (
    PublishOptions,
    publish_cot,
    publish_problems,
    publish_rejected,
    publish_tir,
)
from omr_kedro.pipelines.publish.views import (
    View,
    ViewOptions,
    publish_genselect_rl,
    publish_preferences,
    publish_rl_view,
    publish_sft_view,
    select_for_sft,
)
from omr_kedro.publishing.chat_template import ChatTemplate
from omr_kedro.publishing.files import publish
from omr_kedro.publishing.publication import Publication, Published
from omr_kedro.publishing.selection import held_out
from omr_kedro.publishing.training import Guard
from omr_kedro.publishing.views import RL
from omr_kedro.shards import Row, Shards
from omr_kedro.text import TokenCounter
from tests.publishing.support import rows_of, solution, table
from tests.support.tables import made, shards_of

CHATML = ChatTemplate(
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "chatml",
)
OPTIONS = PublishOptions()
BYTES = TokenCounter(None, "bytes")


def posed(name: str, answer: str | None = "7", source: str = "extracted", **more: Any) -> Row:
    """A clean problem with its reference answer."""
    return {"problem_id": name, "answer": answer, "source": source, **more}


def names(count: int, share: float, *, held: bool) -> list[str]:
    """Ids of problems that are held out for RL, or are not."""
    ids = [f"problem {n}" for n in range(2000)]
    mask = held_out(pa.array(ids), share)
    return [name for name, out in zip(ids, mask, strict=True) if bool(out) is held][:count]


def _statement(row: Row) -> Row:
    like = solution(0, row["problem_id"])
    fields = {name: like[name] for name in ("problem_id", "thread_id", "problem", "problem_type")}
    return {**fields, "expected_answer": row["answer"], "model": "m"}


def _reference(row: Row) -> Row:
    return {
        "problem_id": row["problem_id"],
        "thread_id": "t",
        "expected_answer": row["answer"],
        "answer_source": row["source"],
        "suspect": row.get("suspect", False),
        "stop_reason": "settled",
        "pass_rate": row.get("pass_rate", 0.5),
    }


class Dataset:
    """Tables with these rows, published."""

    def __init__(
        self,
        folder: Path,
        solutions: Sequence[Row],
        problems: Sequence[Row],
        rejected: Sequence[Row] = (),
        tir: Sequence[Row] = (),
        tir_rejected: Sequence[Row] = (),
        usefulness: tuple[Shards, Shards, Shards] = (Shards([]), Shards([]), Shards([])),
        **options: Any,
    ) -> None:
        self.folder = folder
        self.not_useful = usefulness[2]
        self.options = ViewOptions.model_validate(options)
        statements = [_statement(row) for row in problems]
        references = [_reference(row) for row in problems]
        posed_table = table(folder / "p", statements, tables.PROBLEMS)
        answers = table(folder / "a", references, tables.REFERENCE_ANSWERS)
        cot = publish_cot(table(folder / "s", solutions, shards=1), Shards([]), OPTIONS)
        self.solutions = [self._published("cot", cot)]
        code = table(folder / "ts", tir, tables.TIR_SOLUTIONS, shards=1)
        self.solutions.append(self._published("tir", publish_tir(code, *usefulness, OPTIONS)))
        wrong = table(folder / "r", rejected, tables.REJECTED_SOLUTIONS, shards=1)
        wrong_code = table(folder / "tr", tir_rejected, tables.TIR_REJECTED_SOLUTIONS, shards=1)
        self.rejected = self._published("rejected", publish_rejected(["cot", "tir"], OPTIONS, wrong, wrong_code))
        self.problems = self._published("problems", publish_problems(posed_table, answers, OPTIONS, *self.solutions))

    def _published(self, config: str, rows: Publication) -> Published:
        return publish(self.folder / "dataset", config, rows)

    @cached_property
    def selection(self) -> Shards:
        return made(select_for_sft(self.not_useful, self.problems, self.rejected, BYTES, self.options, *self.solutions))

    @property
    def reasons(self) -> dict[str, str | None]:
        """The reason of each solution; None for one that is trained on."""
        return {row["solution_id"]: row["reason"] for row in self.selection.rows()}

    @property
    def kept(self) -> list[str]:
        return [row["solution_id"] for row in self.selection.rows() if row["outcome"] == "kept"]

    @property
    def guard(self) -> Guard:
        return Guard(self.problems, self.rejected, self.options.rl.share)

    def publication(self, view: View, template: ChatTemplate | None = CHATML) -> Publication:
        known = (self.problems, self.rejected)
        if view == "preferences":
            return publish_preferences(self.selection, *known, self.options, *self.solutions)
        if view in RL:
            return publish_rl_view(view, *known, self.options)
        return publish_sft_view(view, self.selection, *known, template, self.options, *self.solutions)

    def comparisons(self, groups: Sequence[Row]) -> Publication:
        return publish_genselect_rl(shards_of(groups, 1), self.problems, self.rejected, self.options, OPTIONS)

    def view(self, view: View) -> list[Row]:
        """The rows of a view, written and read."""
        return rows_of(self._published(view, self.publication(view)))
