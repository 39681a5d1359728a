"""The offline server as a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.offline_model.examples import PROMPTS, ROOT


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    """The process, which may still be on its way."""
    command = [sys.executable, "-m", "omr_kedro.offline_model", "--port", "0", "--prompts", str(folder), *more]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def address(server: subprocess.Popen[str]) -> str:
    """Its address, as soon as it listens."""
    assert server.stdout is not None
    found = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+/v1)\n", server.stdout.readline())
    assert found
    return found[1]


@contextmanager
def serving() -> Iterator[str]:
    """The address of a server that knows the project's prompts; it must be quiet, and end well."""
    server = start(PROMPTS)
    yield address(server)
    server.terminate()
    assert server.communicate(timeout=10) == ("", ""), "the server is quiet"
    assert server.returncode == 0
