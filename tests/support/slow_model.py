"""The offline model as a process of its own, that takes its time and notes each call that it is paid for:

python -m tests.support.slow_model --port 8000 --project FOLDER --latency 0.2
"""

from __future__ import annotations

import argparse
import asyncio
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from tests.support.chat_server import is_probe
from tests.support.offline import OfflineModel
from tests.support.project import ROOT, Project

_NOTES = "calls.txt"
_PAUSE = "pause"


class SlowModel(OfflineModel):
    """Writes the key of each call to a file when it answers, since whoever counts them is another process."""

    def __init__(self, project: Project, latency_s: float, port: int) -> None:
        super().__init__(project, latency_s)
        self._port = port
        self._notes = (project.path / _NOTES).open("a", buffering=1)
        self._pause = project.path / _PAUSE

    async def answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        while self._pause.exists():  # noqa: ASYNC110 (it is another process that ends the pause)
            await asyncio.sleep(0.05)
        answer = await super().answer(request, body)
        if not is_probe(request):
            self._notes.write(f"{request.headers['X-Request-Id']}\n")
        return answer


def serve_slowly(project: Project, latency_s: float, module: str = "tests.support.slow_model") -> None:
    """Let the project's own model servers be slow and noted ones."""
    path = project.path / "conf/offline/globals.yml"
    config = yaml.safe_load(path.read_text())
    command = ["python", "-m", module, "--port", "{port}", "--project", str(project.path)]
    config["serving"]["server"]["command"] = [*command, "--latency", str(latency_s)]
    config["serving"]["server"]["env"] = {"PYTHONPATH": str(ROOT)}
    path.write_text(yaml.safe_dump(config))


def pause(project: Project) -> None:
    """Let the project's model servers hold back their answers."""
    (project.path / _PAUSE).touch()


def resume(project: Project) -> None:
    """Let them answer again."""
    (project.path / _PAUSE).unlink()


def answered(project: Project) -> Counter[str]:
    """How often each call was answered, by key."""
    path = project.path / _NOTES
    return Counter(path.read_text().split()) if path.exists() else Counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--project", type=Path, required=True)
    parser.add_argument("--latency", type=float, required=True)
    options = parser.parse_args()
    with SlowModel(Project(options.project), options.latency, options.port):
        threading.Event().wait()


if __name__ == "__main__":
    main()
