from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from omr_kedro.answers import Workers
from omr_kedro.llm.engine import ChatModel, ModelEntry
from omr_kedro.resources import Resource, Shared


def test_many_threads_make_one_object_and_all_get_it() -> None:
    shared: Shared[object] = Shared()
    made: list[object] = []
    together = threading.Barrier(16)

    def make() -> object:
        made.append(object())
        return made[-1]

    def get() -> object:
        together.wait()
        return shared.get("key", make)

    with ThreadPoolExecutor(16) as threads:
        got = [future.result() for future in [threads.submit(get) for _ in range(16)]]
    assert len(made) == 1
    assert set(map(id, got)) == {id(made[0])}


def test_another_key_makes_another_object_and_forgets_the_one_before() -> None:
    shared: Shared[str] = Shared()
    made: list[str] = []

    def make(key: str) -> str:
        made.append(key)
        return key

    for key in ("a", "a", "b", "a"):
        shared.get(key, partial(make, key))
    assert made == ["a", "b", "a"]


def test_what_cannot_be_made_is_tried_again_by_the_next() -> None:
    shared: Shared[int] = Shared()

    def fail() -> int:
        raise ValueError("not yet")

    with pytest.raises(ValueError, match="not yet"):
        shared.get("key", fail)
    assert shared.get("key", lambda: 5) == 5


def test_a_closed_one_makes_its_object_anew() -> None:
    shared: Shared[list[int]] = Shared()
    first = shared.get("key", list)
    shared.close()
    assert shared.get("key", list) is not first


@pytest.mark.parametrize("resource", [Shared(), Workers(), ChatModel(ModelEntry("m", "http://127.0.0.1:9/v1"))])
def test_what_a_process_has_one_of_has_one_shape(resource: object) -> None:
    assert isinstance(resource, Resource)
    resource.close()
    resource.close()
