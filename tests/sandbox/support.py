"""Levels of isolation on this machine, and programs run as an ordinary user."""

from __future__ import annotations

import asyncio
import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from omr_kedro.sandbox import probe
from tests.support.ordinary_user import CANNOT, PROJECT, UID, command
from tests.support.processes import command_line, descendants
from tests.support.waiting import wait_until


@contextmanager
def folder_of_ordinary_user() -> Iterator[Path]:
    """A folder that is this user's, whoever runs the tests; pytest's own ones are shut to him."""
    with tempfile.TemporaryDirectory(prefix="omr-sandbox-") as name:
        if os.getuid() == 0:
            os.chown(name, UID, UID)
        yield Path(name)


def run_as_ordinary_user(folder: Path, *words: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """Run this Python with these words as an ordinary user, at home in a folder of his."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder)}
    done = subprocess.run(
        command(sys.executable, *words),
        env={**environment, "PYTHONPATH": str(PROJECT / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode == CANNOT:
        pytest.skip(done.stderr.strip())
    return done


@functools.cache
def refusals() -> dict[str, str]:
    """By level: why an ordinary user cannot have it here; empty where he can."""
    with folder_of_ordinary_user() as folder:
        done = run_as_ordinary_user(folder, "-m", "omr_kedro.sandbox")
    lines = [line.strip().partition(": ") for line in done.stdout.splitlines() if line.startswith("  ")]
    words = {level: "" if reason == "works" else reason for level, _, reason in lines}
    assert {"namespaces", "landlock"} <= set(words), done.stdout + done.stderr
    return words


def pids_of_sandboxes() -> set[int]:
    """Living zygotes and sessions below this process, which other tests may have given helpers of other kinds."""
    return {pid for pid in descendants() if "from jail import" in command_line(pid)}


def skip_without_isolation() -> None:
    """Skip where this user gets no level at all."""
    if probe().level is None:
        pytest.skip("\n".join(probe().lines()))


async def until(condition: Callable[[], object]) -> None:
    """Let the event loop go on until the condition holds."""
    await asyncio.to_thread(wait_until, condition)
