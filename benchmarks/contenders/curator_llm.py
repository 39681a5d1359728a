"""bespokelabs-curator: `curator.LLM` with the backend `openai`, limits lifted, no viewer and no telemetry."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from pathlib import Path

litellm = importlib.util.find_spec("litellm")
assert litellm
assert litellm.origin
os.environ |= {
    "OPENAI_API_KEY": "none",
    "TELEMETRY_ENABLED": "0",
    "CURATOR_DISABLE_CACHE": "1",
    "CURATOR_VIEWER": "0",
    "CURATOR_DISABLE_RICH_DISPLAY": "1",
    "CURATOR_CACHE_DIR": str(Path(sys.argv[4]) / "cache"),
    "HF_HUB_OFFLINE": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    # It counts tokens with tiktoken, whose vocabulary litellm ships: nothing has to be fetched.
    "TIKTOKEN_CACHE_DIR": str(Path(litellm.origin).parent / "litellm_core_utils" / "tokenizers"),
}

from bespokelabs import curator

from benchmarks.contenders.contract import Job, contend, question

logging.disable(logging.WARNING)


class Ask(curator.LLM):
    """The question as it is, the reply as it is."""

    def prompt(self, row: dict[str, str]) -> str:
        """The prompt of a row."""
        return row["question"]

    def parse(self, row: dict[str, str], response: str) -> dict[str, str]:
        """The row of a reply."""
        return {"text": response}


def work(job: Job) -> int:
    """One data set."""
    backend = {
        "base_url": job.endpoint,
        "max_concurrent_requests": job.in_flight,
        "max_requests_per_minute": 10**9,
        "max_tokens_per_minute": 10**12,
        "request_timeout": 600,
    }
    llm = Ask(
        model_name="bench",
        backend="openai",
        backend_params=backend,
        generation_params={"temperature": 0.6, "max_tokens": 4096},
    )
    found = llm([{"question": question(number)} for number in range(job.calls)])
    return sum(text is not None for text in getattr(found, "dataset", found)["text"])


if __name__ == "__main__":
    contend(work)
