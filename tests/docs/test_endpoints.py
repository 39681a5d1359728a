"""The recipes of docs/endpoints.md, each tried with a double of its server; see tests/support/endpoints.py."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from kedro.framework.project import settings
from kedro.framework.startup import bootstrap_project

from omr_kedro.datasets import ChatModelDataset
from omr_kedro.llm.calls import CallPlan, EndpointError, Request, Sampling
from omr_kedro.llm.endpoint import ClientKind
from omr_kedro.llm.engine import ChatModel, ModelEntry
from omr_kedro.shards import Row
from tests.support.call_plans import rows, table
from tests.support.endpoints import NVIDIA, VLLM, Azure, Endpoint, LlamaCpp, Ollama, OpenAI, OpenRouter
from tests.support.project import ROOT, Project

PAGE = (ROOT / "docs/endpoints.md").read_text(encoding="utf-8")
CLIENTS: tuple[ClientKind, ...] = get_args(ClientKind)


def asked(server: Endpoint, folder: Path, *texts: str, **entry: Any) -> list[Row]:
    """The rows of a stage whose replies are labels, asked through an entry of the server."""
    requests = [
        Request(text, [{"role": "user", "content": text}], Sampling(top_p=0.95, max_tokens=9), "prompt", ("yes", "no"))
        for text in texts or ("a", "b", "c")
    ]
    model = ChatModel(ModelEntry(**{"name": server.model, "base_url": server.base_url, "api_key": server.key, **entry}))
    plan = CallPlan("test", model, lambda _: requests, {"a": len(requests)}, {"a": "now"}, max_failed_share=1.0)
    table(folder).save(plan)
    return rows(folder)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("double", [Ollama, LlamaCpp, VLLM, OpenAI, OpenRouter, NVIDIA])
def test_each_server_answers_each_client(double: type[Endpoint], client: ClientKind, tmp_path: Path) -> None:
    with double() as server:
        found = asked(server, tmp_path, client=client)
    assert [row["text"] for row in found] == ["yes"] * 3
    assert {row["error_kind"] for row in found} == {None}


@pytest.mark.parametrize("double", [LlamaCpp, VLLM, OpenAI, OpenRouter, NVIDIA])
def test_a_wrong_key_is_said_in_the_servers_own_words(double: type[Endpoint], tmp_path: Path) -> None:
    with double() as server, pytest.raises(EndpointError, match="does not accept the key"):
        asked(server, tmp_path, api_key="another", client="openai")


def test_ollama_says_that_a_model_is_to_be_pulled(tmp_path: Path) -> None:
    with Ollama() as server, pytest.raises(EndpointError, match="try pulling it first"):
        asked(server, tmp_path, *map(str, range(30)), name="x", client="openai")


def test_openrouter_stops_when_there_is_no_credit(tmp_path: Path) -> None:
    with OpenRouter() as server:
        server.credit = False
        with pytest.raises(EndpointError, match="Insufficient credits"):
            asked(server, tmp_path)


def test_a_prompt_too_long_for_vllm_costs_its_row_alone_and_no_field(tmp_path: Path) -> None:
    with VLLM() as server:
        found = asked(server, tmp_path, "long", "short", "shorter")
    assert [row["error_kind"] for row in found] == ["bad_request", None, None]
    assert all("response_format" in call.body for call in server.calls if "short" in str(call.body))


def test_a_reasoning_model_of_openai_gets_its_own_limit_and_no_temperature_and_keys_stay(tmp_path: Path) -> None:
    with OpenAI() as server:
        keys = [row["call_key"] for row in asked(server, tmp_path / "learnt", client="openai")]
    sent = server.calls[-1].body
    assert sent["max_completion_tokens"] == 9
    assert not {"max_tokens", "temperature"} & sent.keys()
    assert {"top_p", "response_format"} <= sent.keys()
    with Ollama() as other:
        assert [row["call_key"] for row in asked(other, tmp_path / "taken", name="gemma3")] != keys
        other.model = server.model
        assert [row["call_key"] for row in asked(other, tmp_path / "same")] == keys


def test_organisation_and_project_are_sent_by_the_client_that_knows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-2")
    with OpenAI() as server:
        asked(server, tmp_path, client="openai")
    headers = server.calls[0].headers
    assert (headers["OpenAI-Organization"], headers["OpenAI-Project"]) == ("org-1", "proj-2")


def test_a_resource_of_azure_is_asked_by_deployment_and_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "of-another-host")
    with Azure() as server:
        found = asked(server, tmp_path, base_url=server.resource, client="openai", api_version="2024-10-21")
    assert [row["text"] for row in found] == ["yes"] * 3
    assert {call.url for call in server.calls} == {f"{server.path}?api-version=2024-10-21"}
    assert {call.authorization for call in server.calls} == {None}


def test_a_resource_of_azure_never_gets_a_key_that_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", Azure.key or "")
    entry: Mapping[str, Any] = {"client": "openai", "api_version": "2024-10-21", "api_key": None}
    with Azure() as server, pytest.raises(EndpointError, match="does not accept the key"):
        asked(server, tmp_path, base_url=server.resource, **entry)


def test_nvidias_unnamed_field_is_found_by_asking(tmp_path: Path) -> None:
    with NVIDIA() as server:
        asked(server, tmp_path)
    assert server.calls[-1].body.keys() == {"model", "messages", "temperature", "top_p", "max_tokens"}


def recipes() -> list[tuple[str, Mapping[str, Any]]]:
    """Heading and settings of each recipe that stands in globals.yml."""
    return [
        (section.partition("\n")[0], yaml.safe_load(block)["serving"])
        for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
        for block in re.findall(r"```yaml\n# conf/demo/globals.yml\n(.*?)```", section, re.DOTALL)
    ]


@pytest.mark.parametrize(("heading", "serving"), recipes())
def test_the_settings_of_a_recipe_reach_the_models_entry(
    heading: str, serving: Mapping[str, Any], tmp_path: Path
) -> None:
    project = Project.create(tmp_path / "project")
    path = project.path / "conf/demo/globals.yml"
    given = yaml.safe_load(path.read_text(encoding="utf-8"))
    given["serving"].update(serving)
    path.write_text(yaml.safe_dump(given), encoding="utf-8")
    bootstrap_project(ROOT)
    with settings.SESSION_CLASS.create(project_path=project.path, env="demo", save_on_close=False) as session:
        dataset = session.load_context().catalog.get("problem_model")
    assert isinstance(dataset, ChatModelDataset)
    entry = dataset.load().entry
    assert entry.base_url == serving.get("endpoint", given["serving"]["endpoint"])
    assert entry.api_version == serving.get("api_version")
    if "model" in serving:
        assert (entry.name, entry.extra_body) == (serving["model"]["name"], serving["model"].get("extra_body", {}))
    for name, value in serving.get("limits", {}).items():
        assert getattr(entry.limits, name) == value


def test_there_is_a_recipe_for_each_server_that_has_a_double() -> None:
    headings = re.findall(r"^## (.*)", PAGE, re.MULTILINE)
    for name in ("Ollama", "llama.cpp", "vLLM", "OpenAI", "Azure", "OpenRouter", "NVIDIA"):
        assert name in headings
    assert recipes()
