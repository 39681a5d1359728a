"""The `openai` package as its README shows it: AsyncOpenAI, a bounded number of tasks."""

from __future__ import annotations

import asyncio
import json

from openai import AsyncOpenAI

from benchmarks.contenders.contract import Job, contend, question


async def ask_all(job: Job) -> int:
    """Workers that share one counter."""
    numbers = iter(range(job.calls))
    replies = 0
    with (job.folder / "replies.jsonl").open("w") as file:

        async def worker(client: AsyncOpenAI) -> None:
            nonlocal replies
            for number in numbers:
                reply = await client.chat.completions.create(
                    model="bench",
                    messages=[{"role": "user", "content": question(number)}],
                    temperature=0.6,
                    max_tokens=4096,
                )
                file.write(json.dumps({"number": number, "text": reply.choices[0].message.content}) + "\n")
                replies += 1

        async with AsyncOpenAI(base_url=job.endpoint, api_key="none", timeout=600) as client:
            await asyncio.gather(*(worker(client) for _ in range(job.in_flight)))
    return replies


def work(job: Job) -> int:
    """To the end."""
    return asyncio.run(ask_all(job))


if __name__ == "__main__":
    contend(work)
