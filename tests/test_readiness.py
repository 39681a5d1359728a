"""`kedro check`: each thing that a run needs, on a line of its own, and no key."""

from __future__ import annotations

from typing import Any

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline

from omr_kedro.datasets import ChatModelDataset, PythonSandboxDataset
from omr_kedro.pipelines.solve_tir.nodes import ToolOptions
from omr_kedro.readiness import Finding, check
from omr_kedro.sandbox import Report, SandboxError
from tests.support.chat_server import ChatServer, completion

SECRET = "sk-" + "a1B2c3" * 6
CREDENTIALS = {"endpoints": {"other": {"api_key": SECRET, "variable": "OMR_API_KEY", "optional": True}, "bad": "x"}}


def look(*, served_here: bool = True, **models: Any) -> dict[str, Finding]:
    return look_at({name: ChatModelDataset(**entry) for name, entry in models.items()}, served_here=served_here)


def look_at(datasets: dict[str, Any], *, served_here: bool = True) -> dict[str, Finding]:
    nodes = [Node(lambda given: given, name, f"{name}_out", name=name) for name in datasets]
    found = check(Pipeline(nodes), DataCatalog(datasets), CREDENTIALS, served_here=served_here)
    return {finding.subject: finding for finding in found}


def sandbox_finding(*isolations: str, served_here: bool = True) -> Finding:
    """What is told of the sandbox to pipelines with so many of them."""
    datasets = {f"sandbox_{number}": PythonSandboxDataset(isolation=one) for number, one in enumerate(isolations)}  # type: ignore[arg-type]
    return look_at(datasets, served_here=served_here)["Sandbox"]


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


def test_models_that_are_asked_alike_are_checked_once_and_each_is_named() -> None:
    with ChatServer(lambda _: completion("1")) as server:
        same = {"model": "m", "base_url": server.base_url}
        found = look(judge=same, problem=same, other={**same, "model": {"name": "m", "extra_body": {"top_k": 1}}})
    assert len(server.probes) == 2
    assert found["judge"].told.startswith("m at ")
    assert found["problem"] == Finding("problem", "the same model as judge", good=True)
    assert found["other"].told.startswith("m at ")


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
    assert {"Sandbox", "Slurm", "vLLM", "GPU", "OMR_API_KEY"} == set(found)
    assert (found["OMR_API_KEY"].told, found["OMR_API_KEY"].good) == ("set", None)
    assert SECRET not in str(found)
    monkeypatch.delenv("OMR_API_KEY")
    assert look()["OMR_API_KEY"].told == "not set"


REFUSED = {"namespaces": "unshare: Operation not permitted", "landlock": "landlock: Function not implemented"}
WORDS = "namespaces: unshare: Operation not permitted; landlock: landlock: Function not implemented"


@pytest.mark.parametrize(
    ("refusals", "told"),
    [
        (REFUSED | {"namespaces": ""}, "isolation by namespaces (landlock: landlock: Function not implemented)"),
        (REFUSED | {"landlock": ""}, "isolation by landlock (namespaces: unshare: Operation not permitted)"),
        (
            REFUSED,
            f"refused: {WORDS}. docs/sandbox.md says what to ask an administrator for; "
            "--params=solve_tir.enabled=false leaves solutions with code out",
        ),
    ],
)
def test_the_isolation_that_this_machine_gives_is_told_on_one_line_and_decides_nothing_where_no_code_is_run(
    monkeypatch: pytest.MonkeyPatch, refusals: dict[str, str], told: str
) -> None:
    monkeypatch.setattr("omr_kedro.readiness.probe", lambda: Report(refusals))
    assert sandbox_finding() == Finding("Sandbox", told)


@pytest.mark.parametrize(
    ("refusals", "isolations", "good", "words"),
    [
        (REFUSED | {"landlock": ""}, ["auto"], True, "isolation by landlock"),
        (REFUSED, ["auto"], False, WORDS),
        (REFUSED | {"landlock": ""}, ["auto", "namespaces"], False, "refused: namespaces: unshare"),
        (REFUSED, ["none"], True, "no isolation"),
    ],
)
def test_a_pipeline_that_has_code_run_needs_the_isolation_that_its_sandboxes_ask_for(
    monkeypatch: pytest.MonkeyPatch, refusals: dict[str, str], isolations: list[str], good: bool, words: str
) -> None:
    monkeypatch.setattr("omr_kedro.readiness.probe", lambda: Report(refusals))
    found = sandbox_finding(*isolations)
    assert (found.good, words in found.told) == (good, True)
    elsewhere = sandbox_finding(*isolations, served_here=False)
    assert elsewhere.good is None, "a node of the cluster may give what this machine does not"
    assert "in a job of Slurm" in elsewhere.told


def test_a_stage_that_is_switched_off_needs_no_isolation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omr_kedro.readiness.probe", lambda: Report(REFUSED))
    datasets = {"sandbox": PythonSandboxDataset(), "params:solve_tir": MemoryDataset(ToolOptions(enabled=False))}
    asking = Pipeline([Node(lambda sandbox, options: sandbox, [*datasets], "done", name="ask")])
    found = check(asking, DataCatalog(datasets), {}, served_here=True)
    assert next(each for each in found if each.subject == "Sandbox").good is None


def test_a_machine_without_linux_is_told_that_code_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    assert sandbox_finding().good is None
    assert sandbox_finding().told.startswith("TIR (solutions with code) needs Linux, and this is macOS")
    assert sandbox_finding("auto").good is False
    assert sandbox_finding("none").good is False, "what it is made of is Linux, with isolation and without"


def test_isolation_that_cannot_be_tried_is_told_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Report:
        raise SandboxError("isolation could not be tried (exit status 1):\nTraceback\n" + "x" * 5000)

    monkeypatch.setattr("omr_kedro.readiness.probe", broken)
    assert (sandbox_finding().good, sandbox_finding("auto").good) == (None, False)
    assert sandbox_finding().told.startswith("isolation could not be tried (exit status 1): Traceback xxx")
    assert len(sandbox_finding().told) < 400
