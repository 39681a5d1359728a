from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from omr_kedro import tables
from omr_kedro.llm.calls import Ask, CallError, CallPlan, ModelServerError, Request, Sampling
from omr_kedro.llm.endpoint import Limits
from omr_kedro.llm.endpoint.client import ChatClient
from omr_kedro.llm.engine import ChatModel, ModelEntry
from omr_kedro.llm.serving import ServerSpec
from omr_kedro.llm.serving import server as server_module
from omr_kedro.llm.serving.process import ServerProcess, free_port
from omr_kedro.llm.serving.server import LocalServer
from omr_kedro.shards import TableStore
from tests.support.chat_server import ChatServer
from tests.support.project import ROOT
from tests.support.waiting import PATIENCE_S, alive, wait_until

CHAT_SERVER = ("python", "-m", "tests.support.chat_server", "--port", "{port}")


def spec(folder: Path, *command: str, **options: Any) -> ServerSpec:
    settings: dict[str, Any] = {"log": folder / "server.log", "folder": ROOT, "start_timeout_s": PATIENCE_S}
    return ServerSpec(command or CHAT_SERVER, **settings | options)


def python(script: str) -> tuple[str, ...]:
    return ("python", "-c", f"import os; print('process', os.getpid(), flush=True); {script}")


def processes(folder: Path) -> list[int]:
    """Ids of the servers that were started, as they wrote them to their log."""
    log = folder / "server.log"
    return [int(number) for number in re.findall(r"process (\d+)", log.read_text())] if log.exists() else []


def call_plan(model: ChatModel, count: int) -> CallPlan:
    def requests(name: str) -> Iterator[Request]:
        for number in range(count):
            yield Request(str(number), [{"role": "user", "content": f"{name} {number}"}], Sampling(), "prompt")

    return CallPlan("test", model, requests, {"a": count, "b": count}, {"a": "as it is", "b": "as it is"})


def table(folder: Path, name: str = "table") -> TableStore:
    return TableStore(folder / name, "jsonl", tables.COMPLETIONS)


def test_a_command_line_is_made_of_the_catalogs_words() -> None:
    words = ServerSpec(
        ("python", "-m", "vllm", "{model}", "--port={port}"),
        {"max-model-len": 1024, "enforce-eager": True, "seed": None, "async-scheduling": False, "dtype": "a b"},
    ).words("org/model", 8000)
    assert words == [
        sys.executable, "-m", "vllm", "org/model", "--port=8000",
        "--max-model-len", "1024", "--enforce-eager", "--dtype", "a b",
    ]  # fmt: skip


async def test_a_server_answers_when_it_is_started_and_is_gone_when_it_is_stopped(tmp_path: Path) -> None:
    server = LocalServer(spec(tmp_path, args={"reply": "from a process"}), "m")
    await server.start()
    (process,) = processes(tmp_path)
    async with ChatClient(server.base_url, "m", None) as client:
        done = await client.complete(Request("r", [{"role": "user", "content": "?"}], Sampling(), "p"), "k")
    assert done.text == "from a process"
    assert server.alive
    assert alive(process)
    server.stop()
    assert not server.alive
    assert not alive(process)


async def test_a_server_that_ends_at_once_is_explained_by_the_end_of_its_log(tmp_path: Path) -> None:
    server = LocalServer(spec(tmp_path, *python("print('CUDA out of memory'); raise SystemExit(3)")), "m")
    with pytest.raises(ModelServerError, match=r"ended before it answered[\s\S]*status: 3[\s\S]*CUDA out of memory"):
        await server.start()


async def test_a_server_that_stays_silent_is_stopped_and_the_error_names_the_limit(tmp_path: Path) -> None:
    server = LocalServer(spec(tmp_path, *python("import time; time.sleep(600)"), start_timeout_s=3), "m")
    with pytest.raises(ModelServerError, match=r"did not answer within 3 s[\s\S]*server\.start_timeout_s"):
        await server.start()
    assert processes(tmp_path)
    assert not any(alive(process) for process in processes(tmp_path))


async def test_a_server_that_refuses_its_first_request_for_good_is_not_waited_for(tmp_path: Path) -> None:
    server = LocalServer(spec(tmp_path, args={"status": 404}), "m")
    with pytest.raises(ModelServerError, match=r"refuses a request for one token: HTTP 404: no such model"):
        await server.start()
    assert not any(alive(process) for process in processes(tmp_path))


def test_all_users_of_a_model_share_one_server_and_a_run_without_calls_starts_none(tmp_path: Path) -> None:
    model = ChatModel(ModelEntry("m", server=spec(tmp_path)))
    try:
        table(tmp_path, "one").save(call_plan(model, 3))
        table(tmp_path, "two").save(call_plan(model, 3))
        assert len(processes(tmp_path)) == 1
    finally:
        model.session.stop_server()
    assert not any(alive(process) for process in processes(tmp_path))
    table(tmp_path, "one").save(call_plan(ChatModel(ModelEntry("m", server=spec(tmp_path))), 3))
    assert len(processes(tmp_path)) == 1


def test_a_run_whose_server_is_killed_ends_with_its_log_and_the_next_run_resumes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    model = ChatModel(ModelEntry("m", server=spec(tmp_path, args={"latency": 0.02}), limits=Limits(max_in_flight=4)))
    calls = call_plan(model, 60)
    store = table(tmp_path)
    try:
        with pytest.raises(ModelServerError, match=r"server died[\s\S]*listens at"):
            store.save(_killing_after(calls, lambda: processes(tmp_path)[0]))
        paid = len((tmp_path / "table/a.jsonl").read_bytes().splitlines())
        paid += sum(len(path.read_bytes().splitlines()) for path in (tmp_path / "table/.open").glob("*"))
        store.save(calls)
    finally:
        model.session.stop_server()
    assert store.shards().count == 120
    assert len(processes(tmp_path)) == 2
    asked, taken = re.findall(r"(\d+) calls to m .* (\d+) taken from earlier runs", caplog.text)[-1]
    assert 60 <= paid < 120
    assert int(asked) == 120 - paid
    assert int(taken) == paid - 60, "of the shard that was open; the finished one is not looked at"


async def test_a_death_is_told_also_when_somebody_else_has_started_the_next_server(tmp_path: Path) -> None:
    session = ChatModel(ModelEntry("m", server=spec(tmp_path))).session
    session._starting, session._checking = asyncio.Lock(), asyncio.Lock()  # those of this loop
    try:
        await session.client()
        mine = session.server_number
        assert session.death_report(mine) is None
        os.kill(processes(tmp_path)[0], signal.SIGKILL)
        wait_until(lambda: session.death_report(mine) is not None)
        await session.client()
        assert len(processes(tmp_path)) == 2
        assert session.death_report(session.server_number) is None
        assert "listens at" in (session.death_report(mine) or "")
    finally:
        session.stop_server()


def test_a_run_that_is_killed_leaves_no_server_behind(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys, time; from pathlib import Path; from tests.llm.serving.test_server import spec\n"
        "from omr_kedro.llm.serving.server import LocalServer\n"
        "asyncio.run(LocalServer(spec(Path(sys.argv[1])), 'm').start()); print('started', flush=True); time.sleep(600)"
    )
    run = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    assert run.stdout.readline() == "started\n"
    (process,) = processes(tmp_path)
    assert alive(process)
    run.kill()
    run.wait()
    wait_until(lambda: not alive(process))
    run.stdout.close()


def test_a_server_is_asked_to_stop_before_it_is_killed() -> None:
    server = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
    supervisor = subprocess.Popen(
        [sys.executable, "-m", "omr_kedro.llm.serving.supervisor", *server],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert supervisor.stdout is not None
    assert supervisor.stdout.readline() == b"up\n"
    supervisor.communicate()
    assert supervisor.returncode == 256 - signal.SIGTERM, "the server heard the signal; SIGKILL was not needed"


def _killing_after(calls: CallPlan, process: Callable[[], int]) -> CallPlan:
    """The same calls; when those of shard `b` are made, half of them go to a server that is no more."""

    def requests(name: str) -> Iterator[Ask]:
        for number, request in enumerate(calls.asks(name)):
            if (name, number) == ("b", 30):
                os.kill(process(), signal.SIGKILL)
            yield request

    return CallPlan(calls.name, calls.model, requests, calls.expected, calls.fingerprints)


def test_a_server_ends_with_its_supervisor_also_when_that_is_killed(tmp_path: Path) -> None:
    process = ServerProcess(spec(tmp_path), tmp_path / "server.log")
    process.start([sys.executable, *python("import time; time.sleep(600)")[1:]])
    wait_until(lambda: len(processes(tmp_path)) == 1)
    assert process._process is not None
    os.kill(process._process.pid, signal.SIGKILL)
    wait_until(lambda: not alive(processes(tmp_path)[0]))


def test_what_a_server_has_started_ends_with_it_whoever_was_killed(tmp_path: Path) -> None:
    worker = "import time, os; print('process', os.getpid(), flush=True); time.sleep(600)"
    start = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {worker!r}], start_new_session=True)"
    process = ServerProcess(spec(tmp_path), tmp_path / "server.log")
    process.start([sys.executable, "-c", f"{start}; {worker}"])
    wait_until(lambda: len(processes(tmp_path)) == 2)
    assert process._process is not None
    os.kill(process._process.pid, signal.SIGKILL)
    process.stop()
    wait_until(lambda: not any(alive(pid) for pid in processes(tmp_path)))


async def test_who_listens_on_the_port_first_gets_no_prompt_and_is_not_taken_for_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ChatServer() as impostor:
        taken = int(impostor.base_url.rpartition(":")[2].removesuffix("/v1"))
        ports = iter([taken, free_port()])
        monkeypatch.setattr(server_module, "free_port", lambda: next(ports))
        server = LocalServer(spec(tmp_path, args={"reply": "the true one"}), "m")
        try:
            await server.start()
            assert not server.base_url.startswith(impostor.base_url)
        finally:
            server.stop()
    assert impostor.probes
    assert not impostor.calls, "the probe, and nothing else"


async def test_the_offline_server_answers_only_who_has_the_key_of_this_start(tmp_path: Path) -> None:
    command = ("python", "-m", "omr_kedro.offline_model", "--port", "{port}", "--prompts", "conf/base/prompts")
    server = LocalServer(spec(tmp_path, *command), "offline-rules")
    probe = Request("r", [{"role": "user", "content": "1"}], Sampling(), "p")
    try:
        await server.start()
        async with ChatClient(server.base_url, "offline-rules", None) as stranger:
            with pytest.raises(CallError) as refused:
                await stranger.complete(probe, "k")
        async with ChatClient(server.base_url, "offline-rules", server.api_key) as client:
            await client.complete(probe, "k")
    finally:
        server.stop()
    assert refused.value.kind == "no_access"
    assert server.api_key not in (tmp_path / "server.log").read_text()
