"""The record of a run that Kedro-Viz draws: its workflow view, and the statistics of tables.

Kedro-Viz has hooks of its own for both. They know a run of all nodes by `SequentialRunner` alone and warn about every
other one; they time a node's function, which here only returns a recipe; and they count the rows of DataFrames.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import pandas as pd
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline

from omr_kedro.datasets import ShardsDataset
from omr_kedro.shards.files import whole_file
from omr_kedro.shards.printable import printable

_LONGEST_ERROR = 2_000

Event = dict[str, Any]


class VizRecord:
    """Writes `.viz/kedro_pipeline_events.json` and `.viz/stats.json` as nodes end, in the form of Kedro-Viz 12.

    What earlier runs of the same environment have recorded of other nodes is kept: a run of one stage changes that
    stage. Nothing is written where Kedro-Viz is not installed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        """Nodes that wait for jobs end in threads of their own."""
        self._started: dict[str, float] = {}
        self._unsaved: dict[str, set[str]] = {}
        self._record: _Record | None = None

    @hook_impl
    def before_pipeline_run(self, run_params: Mapping[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Take up what is recorded of this environment."""
        self._unsaved = {node.name: set(node.outputs) for node in pipeline.nodes}
        with suppress(ImportError):  # not installed
            self._record = _Record(Path(run_params["project_path"]), run_params.get("env") or "", catalog)
            self._record.begin(pipeline)

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Note when a node began."""
        self._started[node.name] = monotonic()

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Record what a run is given; what it makes is recorded when it is saved."""
        if self._record and not dataset_name.startswith("params:"):
            with self._lock:
                self._record.loaded(dataset_name, data)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any, node: Node) -> None:
        """Record a table, and its node with its last one: nodes return recipes, so the work is done in saving."""
        if self._record is None:
            return
        with self._lock:
            self._record.saved(dataset_name, data)
            unsaved = self._unsaved.get(node.name, set())
            unsaved.discard(dataset_name)
            if not unsaved:
                self._record.ended(node, monotonic() - self._started.get(node.name, monotonic()))
                self._record.write()

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Record a node that makes no table."""
        if self._record and not node.outputs:
            with self._lock:
                self._record.ended(node, monotonic() - self._started[node.name])
                self._record.write()

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Record that the run went through."""
        if self._record:
            with self._lock:
                self._record.close({"event": "after_pipeline_run"})

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Record why the run stopped, and at which nodes."""
        if self._record:
            with self._lock:
                self._record.stopped(error, [name for name in self._started if self._unsaved.get(name)])


class _Record:
    """The two files; needs Kedro-Viz, which names nodes and datasets by hashes of its own."""

    def __init__(self, project: Path, env: str, catalog: DataCatalog) -> None:
        from kedro_viz.constants import PIPELINE_EVENT_FULL_PATH  # noqa: PLC0415 (an extra)
        from kedro_viz.integrations.kedro.hooks_utils import hash_node  # noqa: PLC0415

        self._hash = hash_node
        self._events_file = project / PIPELINE_EVENT_FULL_PATH
        self._stats_file = self._events_file.with_name("stats.json")
        self._env = env
        self._catalog = catalog
        self._nodes: dict[str, Node] = {}
        self._begun: Event = {}
        self._ends: list[Event] = []
        self._of_datasets: dict[str, Event] = {}
        self._of_nodes: dict[str, Event] = {}
        self._stats: dict[str, Event] = {}

    def begin(self, pipeline: Pipeline) -> None:
        """Forget what is recorded of the nodes that run now, and of other environments."""
        self._nodes = {node.name: node for node in pipeline.nodes}
        self._begun = {"event": "before_pipeline_run", "timestamp": _now(), "env": self._env}
        events = _read(self._events_file, list)
        if not events or events[0].get("env") != self._env:
            return
        self._stats = _read(self._stats_file, dict)
        again = {*self._nodes, *pipeline.all_outputs()}
        for event in events:
            name = event.get("node") or event.get("dataset")
            if name and name not in again and event.get("status"):
                (self._of_nodes if "node" in event else self._of_datasets)[name] = event

    def loaded(self, name: str, data: Any) -> None:
        """Note a dataset of which nothing is noted yet."""
        if name not in self._of_datasets:
            self._note("after_dataset_loaded", name, data)

    def saved(self, name: str, data: Any) -> None:
        """Note a dataset that was written."""
        self._note("after_dataset_saved", name, data)

    def _note(self, event: str, name: str, data: Any) -> None:
        stats = self._stats_of(name, data)
        if stats:
            self._stats[name] = stats
        self._of_datasets[name] = {
            "event": event,
            "dataset": name,
            "node_id": self._hash(name),
            "status": "Available",
            "size": stats.get("file_size", 0),
        }

    def ended(self, node: Node, seconds: float) -> None:
        """Note a node that went through."""
        self._of_nodes[node.name] = {
            "event": "after_node_run",
            "node": node.name,
            "node_id": self._hash(node),
            "duration": seconds,
            "status": "success",
        }

    def stopped(self, error: Exception, at: list[str]) -> None:
        """Note why the run stopped, and the nodes that were at work."""
        why = {"error": printable(str(error)[:_LONGEST_ERROR]), "traceback": "", "timestamp": _now()}
        for name in at:
            node_id = self._hash(self._nodes[name])
            self._ends.append({"event": "on_node_error", "node": name, "node_id": node_id, **why})
        self._ends.append({"event": "on_pipeline_error", **why})
        self.write()

    def close(self, event: Event) -> None:
        """Note the end of the run."""
        self._ends.append({**event, "timestamp": _now()})
        self.write()

    def write(self) -> None:
        """Replace both files."""
        events = [self._begun, *self._of_datasets.values(), *self._of_nodes.values(), *self._ends]
        for path, content in ((self._events_file, events), (self._stats_file, self._stats)):
            with whole_file(path, "w", durable=False) as file:
                json.dump(content, file)

    def _stats_of(self, name: str, data: Any) -> Event:
        dataset = self._catalog.get(name)
        if isinstance(dataset, ShardsDataset):
            return dataset.sizes()
        stats: Event = {}
        if isinstance(data, pd.DataFrame):
            stats = {"rows": len(data), "columns": len(data.columns)}
        path = Path(str(dataset._describe().get("filepath"))) if dataset else Path()
        return {**stats, "file_size": path.stat().st_size} if path.is_file() else stats


def _read(path: Path, kind: type[Any]) -> Any:
    """The content of a file of ours; empty for one that is not there, or is somebody else's."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return kind()
    return content if isinstance(content, kind) else kind()


def _now() -> str:
    return datetime.now(UTC).isoformat()
