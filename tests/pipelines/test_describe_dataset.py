from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from omr_kedro.pipeline_registry import register_pipelines
from omr_kedro.pipelines.describe_dataset.nodes import describe_dataset, origins
from omr_kedro.publishing.facts import CountsError, DescriptionOptions, Funnel, Origin
from omr_kedro.publishing.front_matter import stated_splits
from omr_kedro.publishing.manifest import Manifest
from tests.publishing.facts import SETTLED, published

CALLS = pd.DataFrame(columns=["stage", "model", "prompt_hash", "calls", "failed", "prompt_tokens", "completion_tokens"])


class Config:
    """A config in memory."""

    def __init__(self, manifest: Manifest, rows: Sequence[dict[str, Any]] = ()) -> None:
        self.manifest = manifest
        self._rows = list(rows)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        for row in self._rows:
            yield pa.RecordBatch.from_pylist([{name: row[name] for name in columns}])


def described(folder: Path, stage: dict[str, Any], earlier: str | None = None) -> tuple[str, dict[str, Any]]:
    problems: list[dict[str, Any]] = [
        {"problem_source": "forum", "license": "mit"},
        {"problem_source": None, "license": "mit"},
    ]
    configs = {
        "view": Config(published(folder, "view", [1])),
        "problems": Config(published(folder, "problems", [2]), problems),
        "cot": Config(published(folder, "cot", [5])),
    }
    funnel = [Funnel("solutions", [stage], [])]
    return describe_dataset(DescriptionOptions(), configs, funnel, CALLS, CALLS.head(0), [], None, earlier)


def test_solutions_come_first_and_views_last(tmp_path: Path) -> None:
    card, metadata = described(tmp_path, SETTLED)
    assert [split.config for split in stated_splits(card)] == ["cot", "problems", "view"]
    assert [records["name"] for records in metadata["recordSet"]] == ["cot", "problems", "view"]


def test_nothing_is_described_that_does_not_agree_with_the_funnel(tmp_path: Path) -> None:
    with pytest.raises(CountsError, match="cot: 5 rows in its files, 4 in the funnel"):
        described(tmp_path, {**SETTLED, "rows_out": 4})


def test_the_card_of_the_same_rows_stays_as_it_is(tmp_path: Path) -> None:
    first, _ = described(tmp_path, SETTLED)
    assert described(tmp_path, SETTLED, first)[0] == first


def test_sources_are_counted_with_their_licences(tmp_path: Path) -> None:
    rows = [("forum", "mit"), (None, "mit"), ("forum", "mit"), ("forum", "cc0-1.0")]
    config = Config(
        published(tmp_path, "problems", [4]), [{"problem_source": one, "license": other} for one, other in rows]
    )
    assert origins(config) == [Origin("forum", "mit", 2), Origin("", "mit", 1), Origin("forum", "cc0-1.0", 1)]


def test_every_config_that_is_published_is_described() -> None:
    pipelines = register_pipelines()
    made = {name for name in pipelines["publish"].all_outputs() if name.startswith("published_")} - {"published_counts"}
    assert made <= pipelines["describe_dataset"].inputs()
    assert len(made) >= 4
