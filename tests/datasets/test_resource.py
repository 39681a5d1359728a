from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from kedro.io import DatasetError

from omr_kedro.datasets import (
    ChatModelDataset,
    GradingWorkersDataset,
    PythonSandboxDataset,
    ResourceDataset,
    SharedDataset,
)
from tests.support.waiting import alive


def resources() -> list[ResourceDataset[Any]]:
    return [
        SharedDataset(),
        GradingWorkersDataset(),
        PythonSandboxDataset(),
        ChatModelDataset(model="m", base_url="http://127.0.0.1:9/v1"),
    ]


@pytest.mark.parametrize("dataset", resources(), ids=lambda dataset: type(dataset).__name__)
def test_all_threads_load_one_object_which_outlives_its_release(dataset: ResourceDataset[Any]) -> None:
    dataset.release()
    together = threading.Barrier(16)

    def load(_: int) -> int:
        together.wait()
        return id(dataset.load())

    with ThreadPoolExecutor(16) as threads:
        (one,) = set(threads.map(load, range(16)))
    dataset.release()
    assert id(dataset.load()) == one


@pytest.mark.parametrize("dataset", resources(), ids=lambda dataset: type(dataset).__name__)
def test_a_resource_is_never_written(dataset: ResourceDataset[Any]) -> None:
    with pytest.raises(DatasetError, match="never written"):
        dataset.save("anything")  # type: ignore[arg-type]


def test_two_entries_have_two_objects() -> None:
    assert SharedDataset().load() is not SharedDataset().load()


def test_workers_start_with_the_first_answer_and_end_with_the_release() -> None:
    dataset = GradingWorkersDataset(workers=1, cpu_seconds=20)
    workers = dataset.load()
    assert workers.idle == []
    assert workers.run([("read", "1")] * 3) == ["yes"] * 3
    (worker,) = workers.idle
    dataset.release()
    assert not alive(worker.pid)
    assert workers.run([("read", "1")]) == ["yes"], "whoever comes late starts them again"
    dataset.release()


@pytest.mark.parametrize("settings", [{"workers": 0}, {"cpu_seconds": 0}, {"memory_mb": 64}])
def test_limits_that_no_worker_could_live_within_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(DatasetError, match="memory_mb 128 at least"):
        GradingWorkersDataset(**settings)
