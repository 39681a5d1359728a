"""A copy of the project in a folder of its own, run as a person would, and looked at afterwards."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from kedro.framework.project import settings
from kedro.framework.startup import bootstrap_project

ROOT = Path(__file__).resolve().parents[2]

PROBLEMS = ["problem_generation"]
"""Pipelines of tests that look at problems alone: solving them would take several times as long."""

FINAL_TABLES = ("problems", "all_problems", "contamination", "proofs", "extracted_problems", "decontaminate_dropped")


@dataclass(frozen=True)
class Project:
    """A project folder: its own conf and data, the code of this checkout."""

    path: Path

    @classmethod
    def create(cls, path: Path) -> Project:
        """Copy what a fresh clone holds, without the code."""
        shutil.copytree(ROOT / "conf", path / "conf")
        shutil.copytree(ROOT / "data" / "01_raw", path / "data" / "01_raw")
        for name in ("pyproject.toml", ".telemetry"):
            shutil.copy(ROOT / name, path / name)
        (path / "src").mkdir()  # the package itself is installed
        return cls(path)

    def run(self, env: str = "offline", pipelines: list[str] | None = None, **params: Any) -> None:
        """Run in this process, as `kedro run --env … --params …` does; errors are raised."""
        _run(str(self.path), env, pipelines, params)

    def start(self, env: str = "offline", pipelines: list[str] | None = None, **params: Any) -> BaseProcess:
        """Run in another process, which may be killed."""
        context = multiprocessing.get_context("forkserver")
        # Imported once by the server that forks, so that a killed run costs no second import of Kedro.
        context.set_forkserver_preload(["tests.support.project", "omr_kedro.pipeline_registry", "omr_kedro.hooks"])
        process = context.Process(target=_run_quietly, args=(str(self.path), env, pipelines, params))
        process.start()
        return process

    def kedro(self, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run the `kedro` command in this folder."""
        command = [str(Path(sys.executable).with_name("kedro")), *words]
        environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
        return subprocess.run(
            command, cwd=self.path, env={**environment, **(env or {})}, capture_output=True, text=True, check=False
        )

    def table(self, name: str, env: str = "offline") -> list[dict[str, Any]]:
        """All rows of a sharded table."""
        return list(self.load(name, env).rows())

    def load(self, name: str, env: str = "offline") -> Any:
        """Load a dataset through the catalog."""
        bootstrap_project(self.path)
        with settings.SESSION_CLASS.create(project_path=self.path, env=env, save_on_close=False) as session:
            return session.load_context().catalog.load(name)

    def final_tables(self, env: str = "offline") -> dict[str, list[dict[str, Any]]]:
        """The tables that two runs over the same input must agree on."""
        return {name: self.table(name, env) for name in FINAL_TABLES}

    def write_threads(self, threads: Iterable[dict[str, Any]], name: str = "mine.jsonl") -> str:
        """Write an input file; returns what `raw_threads` takes."""
        path = self.path / "data" / "01_raw" / name
        path.write_text("".join(json.dumps(thread) + "\n" for thread in threads), encoding="utf-8")
        return str(path)

    def forget_everything(self) -> None:
        """Delete all that runs have made."""
        for folder in (self.path / "data").iterdir():
            if folder.name != "01_raw":
                shutil.rmtree(folder)

    def journalled_keys(self, env: str = "offline") -> set[str]:
        """Keys of all calls that are on disk, in journals or tables."""
        keys = set[str]()
        for path in (self.path / "data" / "07_model_output" / env).rglob("*.jsonl"):
            for line in path.read_bytes().splitlines(keepends=True):
                if line.endswith(b"\n"):
                    row = json.loads(line)
                    keys |= {row["call_key"]} if row["error_kind"] is None else set()
        return keys


def _run(path: str, env: str, pipelines: list[str] | None, params: dict[str, Any]) -> None:
    bootstrap_project(Path(path))
    with settings.SESSION_CLASS.create(
        project_path=path, env=env, runtime_params=params, save_on_close=False
    ) as session:
        session.run(pipeline_names=pipelines)


def _run_quietly(path: str, env: str, pipelines: list[str] | None, params: dict[str, Any]) -> None:
    with Path(path, "run.log").open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        _run(path, env, pipelines, params)
