from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kedro.framework.project import settings
from kedro.framework.startup import bootstrap_project
from kedro.io import DatasetError

from omr_kedro.datasets import ChatModelDataset
from omr_kedro.llm.calls import EndpointError
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


def test_a_server_that_is_not_installed_names_the_ways_without_a_gpu() -> None:
    with pytest.raises(EndpointError) as refused:
        dataset(server={"command": ["no-such-server", "serve"]}).check_installed()
    for word in ("no-such-server", "--env demo", "--env offline", "--params=endpoint="):
        assert word in str(refused.value)


def test_no_form_of_the_dataset_shows_the_key() -> None:
    model = dataset(base_url="https://integrate.api.nvidia.com/v1", credentials=KEYS)
    assert SECRET not in repr(model) + str(model) + str(model._describe()) + repr(model.load()) + repr(model.check())


def test_all_users_share_one_model_so_that_they_share_its_server() -> None:
    shared = dataset(server={"command": ["python"]})
    assert shared.load() is shared.load()


def test_an_unknown_limit_is_refused() -> None:
    with pytest.raises(DatasetError, match="requests_per_second"):
        dataset(base_url="http://127.0.0.1/v1", limits={"requests_per_second": 5})


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


def test_the_options_of_the_base_environment_are_known_to_vllm() -> None:
    server = catalog_entry("base")["server"]
    dataset(server=server).check()
    assert server["args"]["max-model-len"] == 24576 + 8192


def catalog_entry(env: str) -> Any:
    bootstrap_project(ROOT)
    with settings.SESSION_CLASS.create(project_path=ROOT, env=env, save_on_close=False) as session:
        return session._get_config_loader()["catalog"]["problem_model"]
