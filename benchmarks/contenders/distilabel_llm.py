"""distilabel: `OpenAILLM.generate` on batches as large as the window, as its TextGeneration step calls it.

Its Pipeline would add processes and queues; leaving them out is in its favour.
"""

from __future__ import annotations

import json
import logging

from distilabel.models import OpenAILLM

from benchmarks.contenders.contract import Job, contend, question

logging.disable(logging.INFO)


def work(job: Job) -> int:
    """One batch after the other."""
    llm = OpenAILLM(model="bench", base_url=job.endpoint, api_key="none", timeout=600)
    llm.load()
    replies = 0
    with (job.folder / "replies.jsonl").open("w") as file:
        for first in range(0, job.calls, job.in_flight):
            numbers = range(first, min(first + job.in_flight, job.calls))
            inputs = [[{"role": "user", "content": question(number)}] for number in numbers]
            for output in llm.generate(inputs=inputs, num_generations=1, temperature=0.6, max_new_tokens=4096):
                (text,) = output["generations"]
                file.write(json.dumps({"text": text}) + "\n")
                replies += text is not None
    return replies


if __name__ == "__main__":
    contend(work)
