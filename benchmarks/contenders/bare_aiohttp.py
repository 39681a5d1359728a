"""No library: aiohttp in a loop. Replies are read and thrown away: the floor, not a way to work."""

from __future__ import annotations

import asyncio

import aiohttp
import orjson

from benchmarks.contenders.contract import Job, contend, question


async def ask_all(job: Job) -> int:
    """Workers that share one counter."""
    numbers = iter(range(job.calls))
    replies = 0

    async def worker(session: aiohttp.ClientSession) -> None:
        nonlocal replies
        for number in numbers:
            messages = [{"role": "user", "content": question(number)}]
            body = {"model": "bench", "messages": messages, "temperature": 0.6, "max_tokens": 4096}
            async with session.post(f"{job.endpoint}/chat/completions", data=orjson.dumps(body)) as response:
                await response.read()
                replies += response.status == 200

    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as session:
        await asyncio.gather(*(worker(session) for _ in range(job.in_flight)))
    return replies


def work(job: Job) -> int:
    """To the end."""
    return asyncio.run(ask_all(job))


if __name__ == "__main__":
    contend(work)
