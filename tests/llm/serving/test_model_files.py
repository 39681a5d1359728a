from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from omr_kedro.llm.serving import ModelFiles, ModelFilesError, check_servable
from tests.support.dumps import train_tokenizer

CONFIG = {
    "architectures": ["Qwen2ForCausalLM"],
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "max_position_embeddings": 32768,
    "torch_dtype": "bfloat16",
}


def _weights(path: Path, size: int = 64) -> None:
    header = json.dumps({"w": {"dtype": "BF16", "shape": [size // 2], "data_offsets": [0, size]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))


def write_model(folder: Path) -> None:
    """All files of a model that can be served, with weights of a few bytes."""
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    train_tokenizer(folder / "tokenizer.json", 300, iter(["Find x."]))
    for name in ("a", "b"):
        _weights(folder / f"{name}.safetensors")
    index = {"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model(tmp_path)
    return tmp_path


def _check(folder: Path, gpus: int = 4, context: int | None = 32768) -> dict[str, Any]:
    return check_servable(ModelFiles("owner/model", "a" * 40, folder, gpus, context))


def test_a_whole_model_can_be_served_and_its_facts_are_told(folder: Path) -> None:
    facts = _check(folder)
    assert facts["architecture"] == "Qwen2ForCausalLM"
    assert facts["chat_template"] is True
    assert facts["weight_bytes"] == sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def test_a_model_of_one_file_needs_no_index(folder: Path) -> None:
    (folder / "model.safetensors.index.json").unlink()
    (folder / "a.safetensors").rename(folder / "model.safetensors")
    assert _check(folder)["weight_bytes"] > 0


@pytest.mark.parametrize("gpus", [1, 2, 4, 8, 40])
def test_heads_may_be_split_evenly_and_groups_may_be_copied(folder: Path, gpus: int) -> None:
    assert _check(folder, gpus)


@pytest.mark.parametrize(
    ("gpus", "words"),
    [(3, "40 attention heads cannot be split over 3 GPUs"), (5, "8 key-value heads cannot be split over 5 GPUs")],
)
def test_heads_that_cannot_be_split_are_refused(folder: Path, gpus: int, words: str) -> None:
    with pytest.raises(ModelFilesError, match=words):
        _check(folder, gpus)


def test_a_context_that_is_too_short_is_refused_and_a_scaled_one_is_not(folder: Path) -> None:
    with pytest.raises(ModelFilesError, match="context of 32,768 tokens is shorter than the 65,536"):
        _check(folder, context=65_536)
    scaling = {"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}}
    (folder / "config.json").write_text(json.dumps({**CONFIG, **scaling}))
    assert _check(folder, context=65_536)


def test_a_context_that_is_not_known_is_not_checked(folder: Path) -> None:
    assert _check(folder, context=None)


def test_models_with_a_text_part_are_read_by_it(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"architectures": ["Other"], "text_config": CONFIG}))
    assert _check(folder)["attention_heads"] == 40


def test_all_that_is_wrong_is_listed_at_once(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "b.safetensors").unlink()
    with pytest.raises(ModelFilesError) as refused:
        _check(folder)
    for words in ("config.json cannot be read", "tokenizer.json cannot be read", "b.safetensors is missing"):
        assert words in str(refused.value)


@pytest.mark.parametrize("keep", [0, 4, 20, -1])
def test_weights_that_were_cut_are_noticed(folder: Path, keep: int) -> None:
    path = folder / "a.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelFilesError, match=r"a\.safetensors"):
        _check(folder)


def test_a_model_that_somebody_else_serves_has_a_manifest_without_files() -> None:
    assert ModelFiles("hosted", None, None).manifest() == {
        "model": "hosted", "revision": None, "folder": None, "bytes": 0, "files": {},
    }  # fmt: skip
