from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.project import settings
from kedro.framework.startup import bootstrap_project
from kedro.io import DatasetError

from omr_kedro.datasets import ChatModelDataset
from omr_kedro.llm.calls import ContextError, EndpointError, Prompt
from omr_kedro.llm.engine import ModelEntry
from tests.support.project import ROOT

SECRET = "nvapi-" + "k3L4m5" * 8
KEYS = {
    "integrate.api.nvidia.com": {"api_key": SECRET, "variable": "NVIDIA_API_KEY", "obtain": "https://build.nvidia.com"},
    "other": {"api_key": "other-key"},
}


def dataset(**settings: Any) -> ChatModelDataset:
    return ChatModelDataset(model="m", **settings)


def test_a_key_goes_to_its_own_host_only() -> None:
    for url, key in [
        ("https://integrate.api.nvidia.com/v1", SECRET),
        ("http://127.0.0.1:9000/v1", "other-key"),
        ("https://integrate.api.nvidia.com.evil.org/v1", "other-key"),
        ("https://evil.org/integrate.api.nvidia.com/v1", "other-key"),
    ]:
        assert dataset(base_url=url, credentials=KEYS).load().entry.api_key == key


def test_a_local_server_gets_no_key() -> None:
    assert dataset(server={"command": ["python"]}, credentials=KEYS).load().entry.api_key is None


def test_a_missing_key_names_the_variable_where_to_get_one_and_the_way_without() -> None:
    keyless = {"integrate.api.nvidia.com": {**KEYS["integrate.api.nvidia.com"], "api_key": None}}
    with pytest.raises(EndpointError) as refused:
        dataset(base_url="https://integrate.api.nvidia.com/v1", credentials=keyless).check()
    for word in ("NVIDIA_API_KEY", "https://build.nvidia.com", "kedro run --env offline"):
        assert word in str(refused.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", " \n", "\t"])
def test_a_key_that_came_from_a_file_is_sent_without_the_end_of_its_line(end: str) -> None:
    model = dataset(base_url="http://127.0.0.1:9/v1", credentials={"other": {"api_key": SECRET + end}})
    model.check()
    assert model.load().entry.api_key == SECRET


@pytest.mark.parametrize("key", ["\n", " ", ""])
def test_a_key_of_blanks_is_a_missing_one(key: str) -> None:
    keyless = {"other": {"api_key": key, "variable": "OMR_API_KEY"}}
    with pytest.raises(EndpointError, match="set the environment variable OMR_API_KEY") as refused:
        dataset(base_url="http://me:pass@127.0.0.1:9/v1", credentials=keyless).check()
    assert "pass" not in str(refused.value)


def test_a_key_that_no_header_can_carry_is_refused_before_any_work_and_not_shown() -> None:
    broken = {"other": {"api_key": f"{SECRET}\nX-Evil: 1", "variable": "OMR_API_KEY"}}
    with pytest.raises(EndpointError, match=r"OMR_API_KEY\) holds a line end") as refused:
        dataset(base_url="http://127.0.0.1:9/v1", credentials=broken).check()
    assert SECRET[:12] not in str(refused.value)


def test_a_server_that_is_not_installed_names_the_ways_without_a_gpu() -> None:
    with pytest.raises(EndpointError) as refused:
        dataset(server={"command": ["no-such-server", "serve"]}).check_installed()
    for word in ("no-such-server", "--env demo", "--env offline", "--params=endpoint="):
        assert word in str(refused.value)


def test_a_preview_shows_name_address_and_limits_and_no_secret() -> None:
    address = "https://me:pass-word@integrate.api.nvidia.com/v1"
    model = dataset(base_url=address, credentials=KEYS, limits={"max_in_flight": 8})
    shown = json.loads(model.preview())
    assert (shown["model"], shown["base_url"]) == ("m", "https://integrate.api.nvidia.com/v1")
    assert shown["limits"]["max_in_flight"] == 8
    assert "pass-word" not in model.preview() + str(model._describe())
    assert SECRET not in model.preview()


def test_a_preview_of_a_local_model_shows_its_server() -> None:
    assert json.loads(dataset(server={"command": ["vllm", "serve"]}).preview())["server"] == ["vllm", "serve"]


def test_no_form_of_the_dataset_shows_the_key() -> None:
    model = dataset(base_url="https://integrate.api.nvidia.com/v1", credentials=KEYS)
    model.check()
    assert SECRET not in repr(model) + str(model) + str(model._describe()) + repr(model.load())


def test_all_users_share_one_model_so_that_they_share_its_server() -> None:
    shared = dataset(server={"command": ["python"]})
    assert shared.load() is shared.load()


def test_an_unknown_limit_is_refused() -> None:
    with pytest.raises(DatasetError, match="requests_per_second"):
        dataset(base_url="http://127.0.0.1/v1", limits={"requests_per_second": 5})


HOSTS = {"api.nvidia.com": {"requests_per_minute": 35}, "slow.api.nvidia.com": {"requests_per_minute": 5}}


@pytest.mark.parametrize(
    ("url", "said", "per_minute"),
    [
        ("https://integrate.api.nvidia.com/v1", None, 35),
        ("https://API.nvidia.com:443/v1", None, 35),
        ("https://eu.slow.api.nvidia.com/v1", None, 5),
        ("https://integrate.api.nvidia.com/v1", 100, 100),
        ("https://integrate.api.nvidia.com/v1", 0, 0),
        ("https://integrate.api.nvidia.com.example.org/v1", None, None),
        ("https://notapi.nvidia.com/v1", None, None),
        ("http://[no-address/v1", None, None),
        ("http://127.0.0.1:8000/v1", None, None),
        ("http://127.0.0.1:8000/v1", 7, 7),
        (None, None, None),
    ],
)
def test_a_hosts_limits_hold_there_alone_and_what_is_said_of_the_model_wins(
    url: str | None, said: float | None, per_minute: float | None
) -> None:
    entry = dataset(base_url=url, limits={"requests_per_minute": said}, host_limits=HOSTS).load().entry
    assert entry.limits.requests_per_minute == per_minute


def test_an_unknown_client_and_azure_without_its_client_are_refused() -> None:
    with pytest.raises(DatasetError, match="known are aiohttp, openai"):
        dataset(base_url="http://127.0.0.1/v1", client="requests")
    with pytest.raises(DatasetError, match="client: openai"):
        dataset(base_url="https://mine.openai.azure.com", api_version="2024-10-21")


def test_a_note_on_the_embedded_model_is_not_made_of_another_endpoint() -> None:
    assert dataset(server={"command": ["python"]}, note="simple rules").note == "simple rules"
    assert dataset(base_url="http://127.0.0.1/v1", note="simple rules").note == ""


def test_the_server_runs_and_logs_in_its_folder(tmp_path: Path) -> None:
    given = {"command": ["python"], "path": str(tmp_path), "log": "logs/server.log"}
    server = dataset(server=given).load().entry.server
    assert server is not None
    assert (server.folder, server.log) == (tmp_path, tmp_path / "logs/server.log")


def test_options_that_vllm_does_not_know_are_refused_all_at_once() -> None:
    command = ["vllm", "serve", "{model}", "--port", "{port}"]
    args = {"max-model-length": 1, "kv-cache-dtype": "fp8", "quantisation": "fp8"}
    with pytest.raises(EndpointError) as refused:
        dataset(server={"command": command, "args": args}).check()
    for word in ("max-model-length", "quantisation", "check_options: false"):
        assert word in str(refused.value)
    dataset(server={"command": command, "args": args, "check_options": False}).check()


def entries(env: str, **params: Any) -> dict[str, ChatModelDataset]:
    """The chat models of an environment's catalog."""
    bootstrap_project(ROOT)
    with settings.SESSION_CLASS.create(
        project_path=ROOT, env=env, runtime_params=params, save_on_close=False
    ) as session:
        catalog = session.load_context().catalog
        datasets = {name: catalog.get(name) for name in catalog.keys()}  # noqa: SIM118 (a catalog is no mapping)
    return {name: dataset for name, dataset in datasets.items() if isinstance(dataset, ChatModelDataset)}


def problem_model(env: str, **params: Any) -> ModelEntry:
    return entries(env, **params)["problem_model"].load().entry


def server_args(entry: ModelEntry) -> dict[str, Any]:
    assert entry.server is not None
    return {name: entry.server.args[name] for name in ("max-model-len", "tensor-parallel-size", "revision")}


def test_the_options_of_the_base_environment_are_known_to_vllm_and_say_what_goes_with_the_model() -> None:
    dataset = entries("base")["problem_model"]
    dataset.check()
    assert dataset.gpus == 4
    args = server_args(dataset.load().entry)
    assert (args["max-model-len"], args["tensor-parallel-size"], len(args["revision"])) == (32768, 4, 40)
    assert dataset.load().entry.context_tokens == 32768


def test_a_model_in_anothers_place_is_served_on_its_gpus_and_for_its_calls_but_is_another_revision() -> None:
    entry = problem_model("base", model="owner/other")
    assert entry.name == "owner/other"
    assert server_args(entry) == {"max-model-len": 32768, "tensor-parallel-size": 4, "revision": None}
    assert server_args(problem_model("base", model="Qwen/Qwen2.5-32B-Instruct"))["revision"], "it is the same"


def test_nothing_is_known_of_another_model_elsewhere() -> None:
    entry = problem_model("base", model="owner/other", endpoint="http://127.0.0.1:9/v1")
    assert (entry.name, entry.base_url, entry.context_tokens) == ("owner/other", "http://127.0.0.1:9/v1", None)


def test_one_model_can_be_pointed_elsewhere_and_wins_over_what_is_said_of_all() -> None:
    all_models = {"model": "all", "endpoint": "http://127.0.0.1:1/v1"}
    entry = problem_model(
        "demo", **all_models, models={"problem": {"name": "one", "endpoint": "http://127.0.0.1:2/v1"}}
    )
    assert (entry.name, entry.base_url) == ("one", "http://127.0.0.1:2/v1")
    named = problem_model("demo", **all_models, models={"problem": {"name": "one"}})
    assert (named.name, named.base_url) == ("one", "http://127.0.0.1:1/v1")
    other = problem_model("demo", **all_models, models={"judge": {"name": "one"}})
    assert (other.name, other.base_url) == ("all", "http://127.0.0.1:1/v1")


@pytest.mark.parametrize(
    ("env", "facts"),
    [
        ("base", ("Qwen/Qwen2.5-32B-Instruct", None, "aiohttp", "structured_outputs", 512, None, 1800)),
        (
            "demo",
            (
                "nvidia/nemotron-3-super-120b-a12b", "https://integrate.api.nvidia.com/v1", "openai", "response_format",
                32, 35, 600,
            ),
        ),
        ("offline", ("offline-rules", None, "aiohttp", "response_format", 16, None, 60)),
    ],
)  # fmt: skip
def test_each_environment_has_its_models(env: str, facts: tuple[Any, ...]) -> None:
    entry = problem_model(env)
    limits = entry.limits
    rest = (limits.max_in_flight, limits.requests_per_minute, limits.timeout_s)
    assert (entry.name, entry.base_url, entry.client, entry.constraint, *rest) == facts


def test_another_endpoint_in_demo_is_asked_at_full_speed_unless_a_limit_is_said() -> None:
    elsewhere = {"endpoint": "http://127.0.0.1:9/v1", "model": "mine"}
    assert problem_model("demo", **elsewhere).limits.requests_per_minute is None
    assert problem_model("demo", **elsewhere, requests_per_minute=12).limits.requests_per_minute == 12
    nvidia = {"endpoint": "https://integrate.api.nvidia.com/v1", "model": "mine"}
    assert problem_model("base", **nvidia).limits.requests_per_minute == 35


def test_what_goes_into_every_request_is_part_of_the_models_identity_and_only_then() -> None:
    plain = dataset(base_url="http://127.0.0.1/v1").load()
    assert plain.identity == plain.name == "m"
    extra = {"chat_template_kwargs": {"enable_thinking": False}, "a": 1}
    told = [
        ChatModelDataset(model={"name": "m", "extra_body": body}) for body in (extra, dict(reversed(extra.items())))
    ]
    assert len({model.load().identity for model in told} | {"m"}) == 2, "the order of fields says nothing"
    assert {model.load().name for model in told} == {"m"}


@pytest.mark.parametrize("field", ["temperature", "model", "stream", "max_tokens"])
def test_what_a_request_says_elsewhere_is_no_extra(field: str) -> None:
    with pytest.raises(DatasetError, match=f"extra_body.*{field}.*parameters"):
        ChatModelDataset(model={"name": "m", "extra_body": {field: 1}})


def test_a_description_that_cannot_be_used_is_named() -> None:
    with pytest.raises(DatasetError, match=r"context_token: Extra inputs"):
        ChatModelDataset(model={"name": "m", "context_token": 5})


PROMPT = Prompt("extract_problems", "{{forum_post}}", system="word " * 1000)


@pytest.mark.parametrize(
    ("context", "max_tokens", "fits"), [(4096, 4096, False), (4096, 3000, True), (None, 99999, True)]
)
def test_replies_that_have_no_room_beside_the_prompt_are_refused_by_parameter_and_entry(
    context: int | None, max_tokens: int, fits: bool
) -> None:
    model = ChatModelDataset(model={"name": "m", "context_tokens": context}, base_url="http://127.0.0.1/v1")
    if fits:
        model.check_context("problem_model", "extract_problems", PROMPT, max_tokens)
        return
    with pytest.raises(ContextError) as refused:
        model.check_context("problem_model", "extract_problems", PROMPT, max_tokens)
    for words in ("extract_problems.max_tokens", "4,096 tokens", "problem_model (m,", "context_tokens"):
        assert words in str(refused.value)


def test_servers_have_logs_by_purpose_and_options_of_one_model_alone() -> None:
    given = {"command": ["vllm", "serve", "{model}"], "args": {"max-num-seqs": 5}, "log": "{purpose}-vllm.log"}
    model = {"name": "m", "server_args": {"reasoning-parser": "qwen3", "max-num-seqs": 9}}
    server = ChatModelDataset(model=model, purpose="judge", server=given).load().entry.server
    assert server is not None
    assert server.log.name == "judge-vllm.log"
    assert server.args == {"max-num-seqs": 9, "reasoning-parser": "qwen3"}
