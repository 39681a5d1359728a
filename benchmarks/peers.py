"""What a call costs and how fast calls go, beside what others use, each installed from PyPI by itself.

    python -m benchmarks.peers [--calls 20000] [--slots 256] [--mean-latency 0.25] [--repeat 3] [--only datatrove …]

All call a remote OpenAI-compatible endpoint by their documented path, at the same window, and keep the replies; see
benchmarks/contenders/. The server listens on 127.0.0.2, which is remote as far as a library can tell; datatrove, which
has another client for a server on 127.0.0.1, runs against both. Rounds are interleaved. CPU is the client's own,
without imports. What cannot be installed or run here is left out, with the reason.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from dataclasses import replace
from typing import NamedTuple

from benchmarks.environments import NotMeasuredError, python_with
from benchmarks.results import LACKS, emit, figure, spread
from benchmarks.rivals import Load, run

LEAST_TIMES = 3.0
OURS, FLOOR, LOCAL = "omr_kedro", "bare aiohttp loop", "datatrove, server on 127.0.0.1"


class Contender(NamedTuple):
    """A script, and the packages that it needs beside the standard library; none: the project's own."""

    script: str
    packages: tuple[str, ...] = ()
    host: str = "127.0.0.2"


_DATATROVE = ("datatrove==0.10.1", "openai==3.57.0", "httpx", "orjson", "aiofiles", "aiosqlite")
CONTENDERS = {
    FLOOR: Contender("bare_aiohttp"),
    OURS: Contender("omr_kedro_engine"),
    "openai package": Contender("openai_package"),
    "datatrove": Contender("datatrove_inference", _DATATROVE),
    LOCAL: Contender("datatrove_inference", _DATATROVE, "127.0.0.1"),
    "distilabel": Contender("distilabel_llm", ("distilabel[openai]==1.5.3", "requests")),
    "curator": Contender("curator_llm", ("bespokelabs-curator==0.1.31",)),
}


def main() -> None:
    """Install, measure, print, and fail when a call of ours costs too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--slots", type=int, default=256)
    parser.add_argument("--mean-latency", type=float, default=0.25)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS), metavar="NAME")
    options = parser.parse_args()
    load = Load(options.calls, options.slots, options.mean_latency, reply_chars=4000)
    names = [name for name in CONTENDERS if name in {OURS, FLOOR, *options.only}]
    runs, reasons = measure(names, load, options.repeat)
    costs = {name: spread([each["cpu_ms"] for each in found]) for name, found in runs.items()}
    rates = {name: spread([each["rate"] for each in found]) for name, found in runs.items()}
    figures = [
        figure(f"{name}: CPU a call by ours", costs[name]["median"] / costs[OURS]["median"], "x") for name in costs
    ]
    rivals = [costs[name]["median"] for name in costs if name not in {OURS, FLOOR, LOCAL}]
    met = bool(rivals) and min(rivals) >= LEAST_TIMES * costs[OURS]["median"]
    if rivals:
        best = min(rivals) / costs[OURS]["median"]
        figures.insert(0, figure("CPU a call of the cheapest peer by ours", best, "x", f">= {LEAST_TIMES:g}", met=met))
    for name, cost in costs.items():
        figures.append(figure(f"{name}: CPU a call", cost, "ms"))
        figures.append(figure(f"{name}: rate", rates[name], "calls/s"))
    figures += [{"what": name, "value": "left out", "target": reason, "met": None} for name, reason in reasons.items()]
    for each in figures:
        print(f"  {each['what']:<48} {each['value']:>28}  {each['target']}")
    emit(figures)
    if not rivals:
        sys.exit(f"{LACKS}a peer that can be installed and run here")
    sys.exit(not met)


def measure(names: list[str], load: Load, repeat: int) -> tuple[dict[str, list[dict[str, float]]], dict[str, str]]:
    """Figures of each round by contender, and why others have none."""
    runs: dict[str, list[dict[str, float]]] = defaultdict(list)
    reasons: dict[str, str] = {}
    for number in range(repeat):
        for name in names:
            contender = CONTENDERS[name]
            if name in reasons:
                continue
            try:
                found = run(
                    contender.script,
                    replace(load, host=contender.host),
                    python_with(contender.script, contender.packages),
                )
            except NotMeasuredError as error:
                reasons[name] = str(error)
                runs.pop(name, None)
                print(f"  {name}: {error}", flush=True)
            else:
                runs[name].append(found)
                print(f"  round {number + 1}, {name}: {found['cpu_ms']:.3f} CPU-ms, {found['rate']:.0f}/s", flush=True)
    return runs, reasons


if __name__ == "__main__":
    main()
