"""The base environment takes from the hub: the forum's dump, the tokenizer, the model's files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.llm.serving.test_model_files import CONFIG, write_model
from tests.support.dumps import write_dump
from tests.support.hub_server import HubServer
from tests.support.project import Project

DUMP, MODEL = "4fde851" + "1" * 33, "c" * 40


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    folder = tmp_path / "model"
    folder.mkdir()
    write_model(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _environment(hub: HubServer, tmp_path: Path) -> dict[str, str]:
    return {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


def _pin(project: Project, gpus: int) -> None:
    pinned = {"name": "owner/model", "revision": MODEL}
    purposes = ("problem", "cot", "tir", "judge", "summary", "genselect")
    models = {purpose: {**pinned, "tensor_parallel_size": gpus} for purpose in purposes}
    (project.path / "conf/local").mkdir(exist_ok=True)
    (project.path / "conf/local/globals.yml").write_text(yaml.safe_dump({"models": models, "tokenizer": pinned}))


def test_dump_tokenizer_and_model_come_from_the_hub_at_their_revisions(
    project: Project, tmp_path: Path, files: dict[str, bytes]
) -> None:
    rows = write_dump(tmp_path / "dump.parquet", 30).read_bytes()
    dump = {"2024_not_decontaminated/train-00000-of-00001.parquet": rows, "data/other.parquet": b"not asked for"}
    repos = {
        "datasets/DeepStudentLlama/AoPS-Instruct": dump,
        "models/owner/model": {**files, "model.bin": b"not asked for"},
    }
    with HubServer(repos, [DUMP, MODEL]) as hub:
        _pin(project, gpus=4)
        environment = _environment(hub, tmp_path)
        done = project.kedro(
            "run", "--pipelines", "raw_data,model_preparation", "--params=raw_data.shards=2", env=environment
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert not any("other.parquet" in path or "model.bin" in path for path in hub.asked)
        threads = project.table("forum_threads", env="base")
        assert len(threads) == 30
        assert {row["dump"] for row in threads} == {f"DeepStudentLlama/AoPS-Instruct@{DUMP}"}
        manifest = json.loads((project.path / "data/06_models/base/manifest.json").read_text())["problem"]
        assert (manifest["model"], manifest["revision"]) == ("owner/model", MODEL)
        assert manifest["files"]["a.safetensors"] == len(files["a.safetensors"])
        assert manifest["context_tokens"] == CONFIG["max_position_embeddings"]

        _pin(project, gpus=3)
        refused = project.kedro("run", "--pipelines", "model_preparation", env=environment)
        assert refused.returncode == 1
        assert "40 attention heads cannot be split over 3 GPUs" in refused.stderr
        assert "Traceback" not in refused.stdout + refused.stderr


def test_without_a_network_the_run_says_how_to_bring_the_dump_by_hand(project: Project, tmp_path: Path) -> None:
    environment = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    done = project.kedro("run", "--pipelines", "raw_data", env=environment)
    assert done.returncode == 1
    said = " ".join(done.stderr.split())
    assert "hf download DeepStudentLlama/AoPS-Instruct --repo-type dataset --revision 4fde851" in said
    assert "--params=forum_dump=path/to/folder" in said


def test_a_hosted_model_needs_no_files(project: Project) -> None:
    project.run(pipelines=["model_preparation"])
    manifest = json.loads((project.path / "data/06_models/offline/manifest.json").read_text())
    assert manifest["problem"]["files"] == {}
