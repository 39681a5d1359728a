from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from omr_kedro import tables
from omr_kedro.pipelines.publish import create_pipeline
from omr_kedro.pipelines.publish.nodes import (
    PublishedCountsError,
    PublishOptions,
    check_published,
    count_published,
    publish_additional_problems,
    publish_cot,
    publish_problems,
    publish_rejected,
)
from omr_kedro.publishing.files import publish
from omr_kedro.publishing.publication import Publication, Published
from omr_kedro.shards import Shards
from tests.publishing.support import rejected, rows_of, solution, table
from tests.support.tables import shards_of

OPTIONS = PublishOptions()


class Dataset:
    """A small project's tables, published."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.solutions = table(folder / "s", [solution(n, f"p{n % 2}") for n in range(6)])
        self.rejected = table(folder / "r", [rejected(9), rejected(8, "truncated")], tables.REJECTED_SOLUTIONS)
        names = ("problem_id", "thread_id", "problem", "problem_type")
        posed = [{**{name: solution(0, f"p{n}")[name] for name in names}, "model": "model"} for n in range(3)]
        self.problems = table(folder / "p", posed, tables.PROBLEMS)
        references = table(folder / "a", [], tables.REFERENCE_ANSWERS)
        cot = self.published("cot", publish_cot(self.solutions, Shards([]), OPTIONS))
        given = (self.problems, references, OPTIONS, cot)
        self.configs = {
            "published_cot": cot,
            "published_problems": self.published("problems", publish_problems(*given)),
            "published_additional_problems": self.published("additional", publish_additional_problems(*given)),
            "published_rejected": self.published("rejected", publish_rejected(["cot"], OPTIONS, self.rejected)),
        }
        self.counts = count_published(**self.configs)

    def published(self, config: str, rows: Publication) -> Published:
        return publish(self.folder / "dataset", config, rows)

    def check(self, counts: pd.DataFrame | None = None, **changed: Any) -> None:
        funnel = pd.DataFrame(
            [
                {"stage": "split_problems", "rows_in": 3, "kept": 3, "dropped": 0, "failed": 0},
                {"stage": "settle_cot", "rows_in": 8, "kept": 6, "dropped": 1, "failed": 1},
            ]
        )
        given = {
            "selection": shards_of([]),
            "cot_solutions": self.solutions,
            "cot_rejected": self.rejected,
            "problems": self.problems,
        } | changed
        check_published(self.counts if counts is None else counts, changed.pop("funnel", funnel), **given)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path)


def test_the_rows_of_each_config_are_counted(dataset: Dataset) -> None:
    counts = dataset.counts.set_index("config")
    assert counts["rows"].to_dict() == {"cot": 6, "problems": 3, "additional": 1, "rejected": 2}
    assert set(counts["split"]) == {"train"}
    assert (counts["files"] == 1).all()
    assert rows_of(dataset.configs["published_additional_problems"])[0]["problem_id"] == "p2"


def test_counts_that_agree_pass(dataset: Dataset) -> None:
    dataset.check()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("cot", "config cot: 5 rows; cot_solutions: 6"),
        ("rejected", "config rejected: 1 rows; cot_rejected: 2"),
        ("problems", "config problems: 2 rows; problems: 3"),
    ],
)
def test_a_config_that_lacks_a_row_fails_the_run_with_both_numbers(dataset: Dataset, config: str, words: str) -> None:
    counts = dataset.counts.copy()
    counts.loc[counts["config"] == config, "rows"] -= 1
    with pytest.raises(PublishedCountsError, match=words):
        dataset.check(counts)


def test_tables_that_were_made_since_the_funnel_fail_the_run(dataset: Dataset) -> None:
    funnel = pd.DataFrame([{"stage": "settle_cot", "kept": 5, "dropped": 2, "failed": 2}])
    tables: dict[str, Any] = {"cot_solutions": dataset.solutions, "cot_rejected": dataset.rejected}
    with pytest.raises(PublishedCountsError) as told:
        check_published(dataset.counts, funnel, dataset.problems, shards_of([]), **tables)
    assert "funnel settle_cot, kept: 5 rows; cot_solutions: 6" in str(told.value)
    assert "funnel settle_cot, dropped and failed: 4 rows; cot_rejected: 2" in str(told.value)


def test_comparisons_are_counted_with_those_that_chose_right_and_their_funnel(dataset: Dataset) -> None:
    counts = pd.concat([dataset.counts, pd.DataFrame([{"config": "genselect", "rows": 2}])])
    right, funnel = (
        shards_of([{}, {}]),
        [{"stage": "group_candidates", "kept": 9}, {"stage": "select_solutions", "kept": 2}],
    )
    dataset.check(counts, right_selections=right, comparisons_funnel=pd.DataFrame(funnel))
    with pytest.raises(PublishedCountsError) as told:
        dataset.check(counts, right_selections=shards_of([{}]), comparisons_funnel=pd.DataFrame(funnel))
    assert "config genselect: 2 rows; right_selections: 1" in str(told.value)
    assert "funnel select_solutions, kept: 2 rows; right_selections: 1" in str(told.value)
    none = counts.assign(rows=counts["rows"].where(counts["config"] != "genselect", 0))
    dataset.check(none, right_selections=shards_of([]), comparisons_funnel=pd.DataFrame())


def test_a_view_that_lacks_a_row_of_the_selection_fails_the_run(dataset: Dataset) -> None:
    more = pd.DataFrame([{"config": "sft_messages", "rows": 1}, {"config": "nemo_rl", "rows": 0}])
    kept = shards_of([{"outcome": "kept"}, {"outcome": "kept"}, {"outcome": "dropped"}])
    with pytest.raises(PublishedCountsError) as told:
        dataset.check(pd.concat([dataset.counts, more]), selection=kept)
    assert "config sft_messages: 1 rows; kept by sft_selection: 2" in str(told.value)
    assert "nemo_rl" not in str(told.value)


def test_each_mode_has_its_config_and_its_tables() -> None:
    made = create_pipeline().all_outputs()
    assert {"published_cot", "published_tir", "published_genselect", "published_rejected"} <= made
    only = create_pipeline(["cot"])
    assert not {"tir_solutions", "selections"} & only.inputs()
    assert not {"published_tir", "published_genselect", "published_genselect_rl"} & only.all_outputs()
