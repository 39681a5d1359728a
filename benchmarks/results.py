"""What all measurements share: where they were made, and one line that a program can read."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import ROOT

_PACKAGES = ("aiohttp", "kedro", "orjson", "pandas", "pyarrow")
_MARK = "RESULT "
LACKS = "lacks: "
"""How the last words of a script begin that cannot measure here, and fails for that."""


def machine() -> str:
    """Date, machine and versions, in one sentence."""
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} x {_cpu()}, {_memory_gb():.0f} GB, {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}, {packages}, commit {_commit()}."
    )


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and most."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def figure(
    what: str, value: float | Mapping[str, float], unit: str = "", target: str = "", *, met: bool | None = None
) -> dict[str, Any]:
    """One line of the table; `value` is a number or a `spread`."""
    if isinstance(value, Mapping):
        shown = f"{_short(value['median'])} ({_short(value['min'])}..{_short(value['max'])})"
    else:
        shown = _short(value)
    return {"what": what, "value": f"{shown} {unit}".strip(), "target": target, "met": met}


def emit(figures: Sequence[Mapping[str, Any]]) -> None:
    """Print the figures for `python -m benchmarks`, in the order of their importance."""
    print(_MARK + json.dumps(list(figures)), flush=True)


def read(output: str) -> list[dict[str, Any]]:
    """The figures that a script printed; none if it printed none."""
    lines = [line for line in output.splitlines() if line.startswith(_MARK)]
    figures: list[dict[str, Any]] = json.loads(lines[-1].removeprefix(_MARK)) if lines else []
    return figures


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _commit() -> str:
    words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
