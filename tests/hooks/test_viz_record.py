"""What Kedro-Viz, as it is installed, reads of the record of a run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner
from kedro_viz.api.rest.responses.run_events import RunStatusAPIResponse, transform_events_to_structured_format
from kedro_viz.utils import _hash

from omr_kedro.hooks import VizRecord
from omr_kedro.shards import Recipe, Shards
from tests.support.tables import given

THREAD = {"thread_id": "t" * 20, "forum_post": "x", "forum_discussions": "", "source": "f:1"}


def make_threads(count: int) -> Recipe:
    return given([THREAD] * count)


def count(threads: Shards) -> pd.DataFrame:
    return pd.DataFrame({"rows": [threads.count]})


def fail(threads: Shards) -> pd.DataFrame:
    raise ValueError("no \x1b[2Jroom" + "x" * 9_000)


MAKE = Node(make_threads, "params:count", "threads", name="make")
COUNT = Node(count, "threads", "counted", name="count")


def run(folder: Path, *nodes: Node, env: str = "offline") -> None:
    """Run nodes as a session does, with the hooks of this record alone."""
    config: dict[str, Any] = {
        "threads": {
            "type": "omr_kedro.datasets.ShardsDataset",
            "filepath": str(folder / "threads"),
            "schema": "omr_kedro.tables.THREADS",
        },
        "counted": {"type": "pandas.CSVDataset", "filepath": str(folder / "counted.csv")},
    }
    catalog = DataCatalog.from_config(config)
    catalog["params:count"] = 7
    pipeline = Pipeline(nodes)
    hooks = _create_hook_manager()
    hooks.register(VizRecord())
    hooks.hook.before_pipeline_run(
        run_params={"project_path": str(folder), "env": env}, pipeline=pipeline, catalog=catalog
    )
    try:
        SequentialRunner().run(pipeline, catalog, hooks)
    except ValueError as error:
        hooks.hook.on_pipeline_error(error=error, run_params={}, pipeline=pipeline, catalog=catalog)
    else:
        hooks.hook.after_pipeline_run(run_params={}, pipeline=pipeline, catalog=catalog, run_result={})


def seen(folder: Path) -> RunStatusAPIResponse:
    """The status that Kedro-Viz makes of the events."""
    return transform_events_to_structured_format(json.loads((folder / ".viz/kedro_pipeline_events.json").read_text()))


def stats(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / ".viz/stats.json").read_text())
    return found


def status_of(folder: Path, *nodes: Node) -> list[str | None]:
    found = seen(folder).nodes
    return [found[_hash(str(node))].status.value if _hash(str(node)) in found else None for node in nodes]


def test_a_run_is_seen_with_the_status_of_its_nodes_and_the_sizes_of_its_tables(tmp_path: Path) -> None:
    run(tmp_path, MAKE, COUNT)
    assert status_of(tmp_path, MAKE, COUNT) == ["success", "success"]
    record = seen(tmp_path)
    assert record.pipeline.status.value == "success"
    assert record.pipeline.start_time
    assert record.pipeline.end_time
    size = sum(path.stat().st_size for path in (tmp_path / "threads").glob("shard-*"))
    assert record.datasets[_hash("threads")].size == size > 0
    assert stats(tmp_path)["threads"] == {"rows": 7, "columns": 6, "file_size": size}
    assert stats(tmp_path)["counted"] == {
        "rows": 1,
        "columns": 1,
        "file_size": (tmp_path / "counted.csv").stat().st_size,
    }


def test_the_time_of_a_node_holds_the_saving_of_its_tables(tmp_path: Path) -> None:
    run(tmp_path, MAKE, COUNT)
    # A node's function returns a recipe in no time; writing takes some.
    assert seen(tmp_path).nodes[_hash(str(MAKE))].duration > 0


def test_a_run_of_one_node_keeps_what_is_recorded_of_the_others(tmp_path: Path) -> None:
    run(tmp_path, MAKE, COUNT)
    run(tmp_path, COUNT)
    assert status_of(tmp_path, MAKE, COUNT) == ["success", "success"]
    assert "threads" in stats(tmp_path)


def test_a_run_of_another_environment_begins_a_record_of_its_own(tmp_path: Path) -> None:
    run(tmp_path, MAKE, COUNT)
    run(tmp_path, COUNT, env="demo")
    assert status_of(tmp_path, MAKE, COUNT) == [None, "success"]


def test_a_run_that_stopped_is_seen_with_its_node_and_its_cause(tmp_path: Path) -> None:
    failing = Node(fail, "threads", "counted", name="count")
    run(tmp_path, MAKE, failing)
    assert status_of(tmp_path, MAKE, failing) == ["success", "failed"]
    cause = seen(tmp_path).pipeline.error
    assert cause
    assert cause.message.startswith("no \\x1b[2Jroom")
    assert len(cause.message) < 3_000
    run(tmp_path, COUNT)
    assert seen(tmp_path).pipeline.error is None


def test_a_damaged_record_is_begun_anew(tmp_path: Path) -> None:
    run(tmp_path, MAKE)
    (tmp_path / ".viz/kedro_pipeline_events.json").write_text('[{"event": "bef')
    run(tmp_path, COUNT)
    assert status_of(tmp_path, MAKE, COUNT) == [None, "success"]


def test_without_kedro_viz_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kedro_viz.constants", None)
    run(tmp_path, MAKE, COUNT)
    assert not (tmp_path / ".viz").exists()
