"""datatrove: `InferenceRunner` with `server_type="endpoint"`, and its JSON Lines writer.

For a host that is not this one it takes the openai package; for 127.0.0.1 it has a client of its own.
"""

from __future__ import annotations

from typing import Any

from datatrove.data import Document
from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner
from datatrove.pipeline.writers import JsonlWriter
from loguru import logger

from benchmarks.contenders.contract import Job, contend, question

logger.remove()


async def rollout(document: Document, generate: Any) -> Any:
    """One call a document."""
    messages = [{"role": "user", "content": document.text}]
    return await generate({"messages": messages, "temperature": 0.6, "max_tokens": 4096})


def work(job: Job) -> int:
    """Run the step on documents that are made as it asks for them."""
    here = "//127.0.0.1:" in job.endpoint  # its own client adds /v1, the openai package does not
    config = InferenceConfig(
        server_type="endpoint",
        model_name_or_path="bench",
        endpoint_url=job.endpoint.removesuffix("/v1") if here else job.endpoint,
        api_key="none",
        max_concurrent_generations=job.in_flight,
        request_timeout=600,
    )
    step = InferenceRunner(rollout, config, JsonlWriter(str(job.folder), compression=None))
    step.run(Document(text=question(number), id=str(number)) for number in range(job.calls))
    return sum(path.read_bytes().count(b"\n") for path in job.folder.glob("*.jsonl"))


if __name__ == "__main__":
    contend(work)
