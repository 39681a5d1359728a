"""The tokenizer of a model is taken from where it is, and downloaded only where that was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import constants
from tokenizers import Tokenizer, models

from omr_kedro.datasets import TokenizerDataset
from omr_kedro.llm.calls.token_estimate import BYTES_PER_TOKEN

COMMIT = "5ede1c97bbab6ce5cda5812749b4c0bdf79b18dd"
MODEL = {"name": "owner/model", "revision": COMMIT, "context_tokens": 32768}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path / "models--owner--model" / "snapshots" / COMMIT


def test_a_tokenizer_in_the_cache_counts(cache: Path) -> None:
    cache.mkdir(parents=True)
    Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]")).save(str(cache / "tokenizer.json"))
    counter = TokenizerDataset(model=MODEL, download=False).load()
    assert counter.file == cache / "tokenizer.json"
    assert counter.count("a long text without another mark") == 1


@pytest.mark.parametrize("model", [MODEL, {"name": "offline-rules"}, {"name": "a hosted/model: v1"}, None])
def test_without_one_tokens_are_estimated_and_nothing_is_downloaded(model: dict[str, str] | None) -> None:
    counter = TokenizerDataset(model=model, download=False).load()
    assert (counter.file, counter.bytes_per_token) == (None, BYTES_PER_TOKEN)
