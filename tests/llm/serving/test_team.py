"""Processes of several nodes, here all on this one, that serve a model together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from omr_kedro.llm.serving import ServerSpec
from omr_kedro.llm.serving.team import Team
from tests.support.waiting import PATIENCE_S, wait_until

WRITES_ITS_WORDS = (
    "python", "-c", "import sys, time; open(sys.argv[1], 'a').write(' '.join(sys.argv[2:]) + '\\n'); time.sleep(600)",
)  # fmt: skip


def team(folder: Path) -> Team:
    return Team(nodes=2, address="first", board=folder / "board.json")


def spec(folder: Path, *command: str) -> ServerSpec:
    return ServerSpec(command or (*WRITES_ITS_WORDS, str(folder / "words")), log=folder / "server.log", folder=folder)


@contextmanager
def following(folder: Path, server: ServerSpec) -> Iterator[threading.Thread]:
    second = threading.Thread(target=team(folder).follow, args=(1, server))
    second.start()
    try:
        yield second
    finally:
        team(folder).dismiss()
        second.join()


def written(folder: Path) -> list[str]:
    path = folder / "words"
    return path.read_text().splitlines() if path.exists() else []


def has_written(folder: Path, count: int) -> bool:
    return len(written(folder)) == count


def test_all_nodes_start_the_same_command_with_their_rank(tmp_path: Path) -> None:
    server = spec(tmp_path)
    with following(tmp_path, server):
        _, first = team(tmp_path).announce(server.words("model", 80))
        wait_until(lambda: written(tmp_path))
    assert first[-8:-3] == ["--nnodes", "2", "--master-addr", "first", "--master-port"]
    assert first[-2:] == ["--node-rank", "0"]
    port = first[-3]
    assert written(tmp_path) == [f"--nnodes 2 --master-addr first --master-port {port} --node-rank 1 --headless"]


def test_another_start_of_the_first_node_is_one_of_all(tmp_path: Path) -> None:
    server = spec(tmp_path)
    with following(tmp_path, server):
        for count in (1, 2):
            team(tmp_path).announce(server.words("model", 80))
            wait_until(partial(has_written, tmp_path, count))


def test_a_node_whose_part_dies_is_heard_of_with_its_log(tmp_path: Path) -> None:
    server = spec(tmp_path, "python", "-c", "raise SystemExit('RuntimeError: no memory')")
    with following(tmp_path, server):
        start, _ = team(tmp_path).announce(server.words("model", 80))
        wait_until(lambda: team(tmp_path).loss(start))
        assert "RuntimeError: no memory" in str(team(tmp_path).loss(start))
        assert team(tmp_path).loss("another start") is None


@pytest.mark.parametrize("begun", [True, False])
def test_nodes_go_home_when_it_is_over(tmp_path: Path, begun: bool) -> None:
    server = spec(tmp_path)
    with following(tmp_path, server) as second:
        if begun:
            team(tmp_path).announce(server.words("model", 80))
            wait_until(lambda: written(tmp_path))
        team(tmp_path).dismiss()
        second.join(PATIENCE_S)
        assert not second.is_alive()
