"""Runs contenders: each in a process of its own, with a Python of its own, against a server of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from benchmarks import ROOT
from benchmarks.environments import NotMeasuredError
from benchmarks.stage_server import running

_LEAST_PATIENCE_S = 120


@dataclass(frozen=True)
class Load:
    """What a contender has to do, and what the server is like."""

    calls: int
    slots: int
    mean_latency_s: float
    reply_chars: int = 0
    host: str = "127.0.0.1"


def run(contender: str, load: Load, python: str = sys.executable) -> dict[str, float]:
    """CPU-ms a call and calls a second.

    Raises:
        NotMeasuredError: it failed, lost replies, or took too long.
    """
    server = ("--slots", load.slots, "--mean-latency", load.mean_latency_s, "--reply-chars", load.reply_chars)
    with tempfile.TemporaryDirectory() as folder, running(*map(str, server), host=load.host) as endpoint:
        patience_s = max(_LEAST_PATIENCE_S, 4 * load.calls * load.mean_latency_s / load.slots)
        words = [python, "-m", f"benchmarks.contenders.{contender}", endpoint, str(load.calls), str(load.slots), folder]
        try:
            done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=patience_s)
        except subprocess.TimeoutExpired:
            raise NotMeasuredError(f"not done after {patience_s:.0f} s") from None
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"replies"')]
    if done.returncode or not lines:
        raise NotMeasuredError((done.stderr.strip().splitlines() or ["no output"])[-1][:200])
    found: dict[str, float] = json.loads(lines[-1])
    if found["replies"] != load.calls:
        raise NotMeasuredError(f"{found['replies']:.0f} replies to {load.calls} calls")
    return found
