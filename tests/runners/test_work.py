"""The share of a group's work that its parent does itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node

from omr_kedro.datasets import ChatModelDataset, ShardsDataset
from omr_kedro.llm.calls import CallPlan, Completion, Model, Prompt, Request
from omr_kedro.pipelines.llm_stage import CallOptions, Kept, Outcome, ask, request, settle
from omr_kedro.runners.work import GroupWork
from omr_kedro.shards import Recipe, Row, Shard, Shards
from tests.support.chat_server import ChatServer
from tests.support.tables import given

SHARDS = [f"shard-0000{number}-of-00003" for number in range(3)]
PROBLEMS = [
    {"problem_id": f"p{number}", "thread_id": f"t{number}", "problem": f"problem {number}", "model": "m"}
    for number in range(6)
]


class Stage:
    """Two nodes, with what their prompt says and the rows that were rendered."""

    def __init__(self, folder: Path, server: ChatServer) -> None:
        self.rendered: list[str] = []
        tables = {"problems": "PROBLEMS", "completions": "COMPLETIONS", "kept": "PROBLEMS", "dropped": "DROPPED"}
        self.catalog = DataCatalog(
            {
                **{
                    name: ShardsDataset(filepath=str(folder / name), schema=f"omr_kedro.tables.{schema}")
                    for name, schema in tables.items()
                },
                "model": ChatModelDataset(model="m", base_url=server.base_url),
                "prompt": MemoryDataset(Prompt("stage", "{{problem}}")),
            }
        )
        self.catalog.save("problems", given(PROBLEMS))
        self.asking = Node(self.ask, ["problems", "prompt", "model"], "completions", name="ask")
        self.reading = Node(self.read, ["problems", "completions"], ["kept", "dropped"], name="read")

    def ask(self, problems: Shards, prompt: Prompt, model: Model) -> CallPlan:
        def requests(problems: Shard) -> Iterator[Request]:
            for row in problems.rows():
                self.rendered.append(row["problem_id"])
                yield request(row["problem_id"], prompt, CallOptions(), {"problem": row["problem"]})

        return ask("stage", requests, [problems], prompt, model, CallOptions())

    def read(self, problems: Shards, completions: Shards) -> tuple[Recipe, ...]:
        return settle("stage", read, problems, completions)

    def work(self, *nodes: Node) -> GroupWork:
        """The group, opened anew as by another run."""
        self.rendered.clear()
        return GroupWork(nodes or (self.asking, self.reading), self.catalog)

    def set_prompt(self, text: str) -> None:
        self.catalog["prompt"] = MemoryDataset(Prompt("stage", text))

    def forget(self, table: str, shard: str, *, rows: bool = False) -> None:
        """The shard's mark is lost, so that it is made anew; or its rows as well."""
        dataset = self.catalog[table]
        assert isinstance(dataset, ShardsDataset)
        folder = dataset.store.folder
        (folder / f".made/{shard}.json").unlink()
        if rows:
            (folder / f"{shard}.jsonl").unlink()


def read(problem: Row, completions: list[Completion]) -> Outcome:
    return Kept([problem])


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer() as server:
        yield server


@pytest.fixture
def stage(tmp_path: Path, server: ChatServer) -> Stage:
    """A stage all of whose tables were made once."""
    stage = Stage(tmp_path, server)
    for shard in SHARDS:
        list(stage.work().take_through(shard, 0))
    return stage


def test_for_shards_that_were_never_asked_about_nothing_is_rendered(tmp_path: Path, server: ChatServer) -> None:
    stage = Stage(tmp_path, server)
    work = stage.work()
    assert [work.take_paid(shard) for shard in SHARDS] == [False] * 3
    assert all(work.needs_job(shard) for shard in SHARDS)
    assert stage.rendered == []


def test_shards_that_are_paid_for_are_made_without_a_call(stage: Stage, server: ChatServer) -> None:
    calls = len(server.calls)
    for table in ("completions", "kept"):
        stage.forget(table, SHARDS[1])
    work = stage.work()
    assert not work.needs_job(SHARDS[1])
    assert work.pending(SHARDS) == [SHARDS[1]], "so far nothing is made"
    assert work.take_paid(SHARDS[1])
    assert work.pending(SHARDS) == []
    assert len(server.calls) == calls


def test_a_shard_is_taken_as_far_as_it_is_paid_for(stage: Stage, server: ChatServer) -> None:
    calls = len(server.calls)
    stage.set_prompt("Look at {{problem}}")
    work = stage.work()
    assert work.needs_job(SHARDS[0])
    assert not work.take_paid(SHARDS[0])
    assert stage.rendered == ["p0", "p0"], "one unpaid call is enough"
    assert len(server.calls) == calls


def test_what_is_read_of_tables_that_are_still_to_be_made_is_not_certain(stage: Stage) -> None:
    stage.forget("kept", SHARDS[0])
    assert not stage.work().needs_job(SHARDS[0])
    stage.forget("completions", SHARDS[0], rows=True)
    assert stage.work().needs_job(SHARDS[0]), "its replies are gone"


def test_groups_without_a_model_leave_all_to_their_jobs(stage: Stage) -> None:
    stage.forget("kept", SHARDS[0])
    work = stage.work(stage.reading)
    assert work.needs_job(SHARDS[0])
    assert not work.take_paid(SHARDS[0])


def test_the_settings_of_a_job_hold_the_code_of_its_nodes(stage: Stage) -> None:
    both, one = stage.work().settings, stage.work(stage.reading).settings
    assert both["code"] != one["code"]
    assert stage.work().settings == both
