"""A workspace that disks, people or another run have changed: the next run heals it, or ends in one sentence."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp import web

from tests.support.damage import files_below, flip
from tests.support.offline import OfflineModel
from tests.support.project import PROBLEMS, Project
from tests.support.waiting import wait_until

TABLES = {
    "a result": "03_primary/offline/problems/shard-*.parquet",
    "an intermediate table": "02_intermediate/offline/extracted_problems/shard-*.jsonl",
    "a report": "08_reporting/offline/decontaminate_dropped/shard-*.jsonl",
    "replies": "07_model_output/offline/extract_problems_completions/shard-*.jsonl",
    "a mark": "02_intermediate/offline/open_problems/.made/*.json",
    "marks of a table": "02_intermediate/offline/threads/.complete.json",
}


def damaged(project: Project, pattern: str, rng: random.Random) -> bytes:
    """Change a byte of the largest of these files; returns what it then holds."""
    path = max((project.path / "data").glob(pattern), key=lambda file: file.stat().st_size)
    flip(path, rng.randrange(path.stat().st_size), rng.randrange(1, 256))
    return path.read_bytes()


def test_a_workspace_with_damage_everywhere_is_healed_by_the_next_run(project: Project) -> None:
    rng = random.Random(5)
    with OfflineModel(project) as model:
        where: dict[str, Any] = {"endpoint": model.base_url, "model": "offline-rules", "prepare_threads": {"shards": 2}}
        project.run(pipelines=PROBLEMS, **where)
        before, tables = len(model.asked), project.final_tables()
        contents = {what: damaged(project, pattern, rng) for what, pattern in TABLES.items()}
        project.run(pipelines=PROBLEMS, **where)
        assert len(model.asked) <= before + 1, "the one reply that was damaged"
        assert project.final_tables() == tables
        project.run(pipelines=PROBLEMS, **where)
        assert len(model.asked) <= before + 1
    kept = [path.read_bytes() for path in files_below(project.path / "data") if path.parent.name == ".damaged"]
    assert sorted(kept) == sorted(content for what, content in contents.items() if "mark" not in what)


class Held(OfflineModel):
    """Keeps the replies of one stage back until it is released."""

    def __init__(self, project: Project, stage: str) -> None:
        super().__init__(project)
        self._stage = stage
        self._released = asyncio.Event()

    def release(self) -> None:
        self._loop.call_soon_threadsafe(self._released.set)

    async def answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        reply = await super().answer(request, body)
        if self.asked[-1] == self._stage:
            await self._released.wait()
        return reply


def test_a_run_whose_tables_another_one_makes_anew_ends_in_one_sentence(project: Project) -> None:
    with Held(project, "classify_mcq") as model, ThreadPoolExecutor() as pool:
        words = (
            "run",
            "--env",
            "offline",
            "--pipelines=problem_generation",
            f"--params=endpoint={model.base_url},model=offline-rules",
        )
        first = pool.submit(project.kedro, *words)
        try:
            wait_until(lambda: "classify_mcq" in model.asked)
            prompt = project.path / "conf/base/prompts/extract_problems.yml"
            prompt.write_text(prompt.read_text().replace("system: |\n", "system: |\n  Take your time.\n"))
            model.replace("extract_problems", "Problem 1: Find the smallest prime above 90.")
            second = project.kedro(*words)
        finally:
            model.release()
        sentences = {"was made anew while this run was at work": first.result(), "is being written by": second}
    for sentence, done in sentences.items():
        assert done.returncode == 1
        assert "Stopped." in done.stderr
        assert sentence in done.stderr
        assert "Traceback" not in done.stdout + done.stderr
    assert project.kedro("run", "--env", "offline", "--pipelines=problem_generation").returncode == 0
