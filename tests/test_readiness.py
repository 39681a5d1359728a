"""`kedro check`: each thing that a run needs, on a line of its own, and no key."""

from __future__ import annotations

from typing import Any

import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline

from omr_kedro.datasets import ChatModelDataset
from omr_kedro.readiness import Finding, check
from tests.support.chat_server import ChatServer, completion

SECRET = "sk-" + "a1B2c3" * 6
CREDENTIALS = {"endpoints": {"other": {"api_key": SECRET, "variable": "OMR_API_KEY", "optional": True}, "bad": "x"}}


def look(*, served_here: bool = True, **models: Any) -> dict[str, Finding]:
    nodes = [Node(lambda model: model, name, f"{name}_out", name=name) for name in models]
    catalog = DataCatalog({name: ChatModelDataset(**entry) for name, entry in models.items()})
    found = check(Pipeline(nodes), catalog, CREDENTIALS, served_here=served_here)
    return {finding.subject: finding for finding in found}


def test_remote_models_are_asked_for_one_token_each_at_the_same_time() -> None:
    with ChatServer(lambda body: completion("1", model=f"{body['model']}-2024")) as server:
        found = look(
            one={"model": "one", "base_url": server.base_url}, two={"model": "two", "base_url": server.base_url}
        )
    assert len(server.probes) == 2
    for name in ("one", "two"):
        assert found[name].good
        assert found[name].told.startswith(f"{name} at {server.base_url} answered a call of one token in ")
        assert found[name].told.endswith(f", as {name}-2024")


def test_what_is_wrong_with_one_is_told_beside_the_others(unused_tcp_port: int) -> None:
    with ChatServer(lambda _: completion("1")) as server:
        found = look(
            good={"model": "m", "base_url": server.base_url},
            absent={"model": "m", "base_url": f"http://127.0.0.1:{unused_tcp_port}/v1"},
            typo={"model": "m", "base_url": "127.0.0.1:9000/v1"},
        )
    assert [found[name].good for name in ("good", "absent", "typo")] == [True, False, False]
    assert "Did you mean http://127.0.0.1:9000/v1?" in found["typo"].told


@pytest.mark.parametrize(
    ("command", "served_here", "good", "words"),
    [
        ("python", True, True, "a run starts its server here; `python` is installed"),
        ("no-such-server", True, False, "`no-such-server` is not installed"),
        ("no-such-server", False, True, "in jobs of Slurm; `no-such-server` is not installed on this machine"),
    ],
)
def test_a_server_of_our_own_is_not_started(command: str, served_here: bool, good: bool, words: str) -> None:
    found = look(served_here=served_here, mine={"model": "m", "server": {"command": [command]}})
    assert (found["mine"].good, words in found["mine"].told) == (good, True)


def test_this_machine_is_described_and_keys_are_named_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMR_API_KEY", SECRET)
    found = look()
    assert {"Slurm", "vLLM", "GPU", "OMR_API_KEY"} == set(found)
    assert (found["OMR_API_KEY"].told, found["OMR_API_KEY"].good) == ("set", None)
    assert SECRET not in str(found)
    monkeypatch.delenv("OMR_API_KEY")
    assert look()["OMR_API_KEY"].told == "not set"
