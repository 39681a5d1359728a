"""Resources are released after their last consumer, whatever becomes of the run."""

from __future__ import annotations

from typing import Any

import pytest
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner

from omr_kedro.datasets import ResourceDataset
from omr_kedro.hooks import Resources
from omr_kedro.resources import Shared


class Noting(ResourceDataset[Shared[Any]]):
    """A resource that notes when it is released."""

    def __init__(self, events: list[str]) -> None:
        self.events = events

    def _make(self) -> Shared[Any]:
        return Shared()

    def _release(self) -> None:
        self.events.append("released")

    def _describe(self) -> dict[str, Any]:
        return {}


class Saved(MemoryDataset):
    """A table that notes when it is saved."""

    def __init__(self, name: str, events: list[str]) -> None:
        super().__init__()
        self._name, self._events = name, events

    def save(self, data: Any) -> None:
        self._events.append(self._name)
        super().save(data)


def run_with_hooks(pipeline: Pipeline, catalog: DataCatalog) -> None:
    """Run as a session does, with the hook on resources alone."""
    manager = _create_hook_manager()
    manager.register(Resources())
    manager.hook.before_pipeline_run(run_params={}, pipeline=pipeline, catalog=catalog)
    try:
        SequentialRunner().run(pipeline, catalog, manager)
    except Exception as error:
        manager.hook.on_pipeline_error(error=error, run_params={}, pipeline=pipeline, catalog=catalog)
        raise
    manager.hook.after_pipeline_run(run_params={}, run_result={}, pipeline=pipeline, catalog=catalog)


def chain(*functions: Any) -> Pipeline:
    """Nodes one after the other; each makes two tables, and all but the last take the resource."""
    return Pipeline(
        [
            Node(
                function,
                inputs=[f"a{number}", *(["resource"] if number < len(functions) - 1 else [])],
                outputs=[f"a{number + 1}", f"b{number + 1}"],
                name=f"node{number}",
            )
            for number, function in enumerate(functions)
        ]
    )


def pair(value: Any, *_: Any) -> tuple[Any, Any]:
    return value, value


def fail(*_: Any) -> tuple[Any, Any]:
    raise ValueError("no luck")


def catalog_of(events: list[str], nodes: int) -> DataCatalog:
    tables = {f"{kind}{number}": Saved(f"{kind}{number}", events) for kind in "ab" for number in range(1, nodes + 1)}
    return DataCatalog({"a0": MemoryDataset(1), "resource": Noting(events), **tables})


def test_a_resource_is_released_once_the_last_table_of_its_last_consumer_is_saved() -> None:
    events: list[str] = []
    run_with_hooks(chain(pair, pair, pair), catalog_of(events, 3))
    assert events == ["a1", "b1", "a2", "b2", "released", "a3", "b3", "released"]


def test_a_run_that_fails_releases_its_resources() -> None:
    events: list[str] = []
    with pytest.raises(ValueError, match="no luck"):
        run_with_hooks(chain(pair, fail, pair), catalog_of(events, 3))
    assert events == ["a1", "b1", "released"]
