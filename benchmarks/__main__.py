"""All measurements, one after the other: `make bench`, or

    python -m benchmarks [--only client memory …] [--quick] [--results benchmarks/RESULTS.md]

Each is a script of its own that can be run by hand. This prints one table of what they measured, and writes it with
what they printed. A script that needs what is not installed is left out, with the reason. `--quick` does much less of
everything: it shows that the scripts work, its figures mean nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import ROOT
from benchmarks.results import LACKS, machine, read


@dataclass(frozen=True)
class Script:
    """One measurement."""

    name: str
    about: str
    quick: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    """Of the full measurement, where they are not the script's own defaults."""


SCRIPTS = (
    Script(
        "client",
        "the engine beside a bare loop, end to end",
        ("--calls", "2000", "--mean-latency", "0.2"),
        ("--repeat", "3"),
    ),
    Script("peers", "what a call costs beside other libraries", ("--calls", "500", "--repeat", "1")),
    Script("overhead", "a run with everything up to date", ("--threads", "50", "--shards", "10", "--repeat", "1")),
    Script("memory", "peak memory against the number of threads", ("--threads", "20", "40", "--shards", "8")),
    Script(
        "long_replies",
        "peak memory with long replies, many lanes at once",
        ("--lanes", "4", "--shards", "4", "8", "--rows", "4", "--repeat", "1"),
    ),
    Script(
        "episodes",
        "memory, use of the server and cost of long episodes",
        ("--episodes", "600", "700", "--turns", "4", "--mean-latency", "0.3"),
    ),
    Script(
        "conversations",
        "use of the server and cost of solutions with code",
        ("--samples", "1200", "--turns", "4", "--reply-tokens", "200", "--mean-latency", "1"),
    ),
    Script(
        "solutions",
        "peak memory of solutions against the number of problems, and CPU a sample",
        ("--problems", "100", "200", "--reply-chars", "4000"),
    ),
    Script(
        "publishing",
        "the published dataset beside a bare copy, and peak memory",
        ("--rows", "400", "800", "--shards", "2", "--repeat", "1"),
    ),
    Script("shards", "tables beside the least that writes and reads them", ("--rows", "2000", "--repeat", "1")),
    Script("dispatch", "GPU-hours of dispatch, simulated", ("--threads", "2000")),
    Script(
        "raw_data", "raw threads to prompts", ("--rows", "200", "400", "800", "--reference-rows", "100", "--reps", "1")
    ),
    Script("near_duplicates", "near-duplicates among problems", ("--problems", "2000")),
    Script("retrieval", "embedding and search for decontamination", ("--texts", "16", "--benchmark", "500")),
    Script("embedding_gpu", "embedding for decontamination on a GPU", ("--seconds", "1", "--texts", "2048")),
    Script("grading", "grading beside math-verify", ("--runs", "1", "--pairs", "50")),
    Script("stop_rule", "stop rules against full draws, simulated", ("--problems", "200")),
    Script(
        "sandbox",
        "sandboxed sessions beside a fresh Python",
        ("--sessions", "10", "--cells", "100", "--open", "20", "--reps", "1"),
    ),
    Script("sandbox_soak", "cells of all kinds through one sandbox", ("--cells", "300")),
)


@dataclass
class Run:
    """What came of a script."""

    script: Script
    command: str
    seconds: float
    status: int
    output: str
    errors: str
    figures: list[dict[str, Any]] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """In a word or two."""
        if self.lacks:
            return f"left out: {self.lacks}"
        return "as promised" if self.status == 0 else "NOT as promised" if self.output.strip() else "FAILED"

    @property
    def lacks(self) -> str:
        """What the script needs and this machine has not: a package, the network."""
        last = (self.errors.strip().splitlines() or [""])[-1]
        return next((last.removeprefix(lack) for lack in (LACKS, "ModuleNotFoundError: ") if last.startswith(lack)), "")


def main() -> None:
    """Run what is there, print the table, write it, and fail when a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[script.name for script in SCRIPTS], metavar="NAME")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    runs = []
    for script in SCRIPTS:
        if not options.only or script.name in options.only:
            print(f"{script.name}: {script.about} …", flush=True)
            runs.append(run(script, options.quick))
            print(f"  {runs[-1].verdict}, {runs[-1].seconds:.0f} s", flush=True)
    text = report(runs, quick=options.quick)
    print(f"\n{text.partition('## What')[0]}")
    if options.results:
        options.results.write_text(text, "utf-8")
    sys.exit(any(each.status and not each.lacks for each in runs))


def run(script: Script, quick: bool) -> Run:
    """Run one script to its end; its errors are shown."""
    words = ["-m", f"benchmarks.{script.name}", *(script.quick if quick else script.options)]
    began = time.monotonic()
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - began
    if done.returncode and not done.stdout.strip():
        print(done.stderr[-2000:], file=sys.stderr)
    command = f"python {' '.join(words)}"
    return Run(script, command, seconds, done.returncode, done.stdout, done.stderr, read(done.stdout))


def report(runs: list[Run], *, quick: bool) -> str:
    """The whole as Markdown: the table, then what each script printed."""
    lines = [
        "# Measurements",
        "",
        f"`make bench`: {machine()}",
        "Median (least..most) of interleaved runs where several were made. Ratios hold elsewhere, times do not.",
        *(["", "A quick run: these figures mean nothing."] if quick else []),
        "",
        "| what | value | promised | | command |",
        "|---|---|---|---|---|",
    ]
    for each in runs:
        lines += [
            f"| {row['what']} | {row['value']} | {row['target']} | {_MET[row['met']]} | `{each.script.name}` |"
            for row in each.figures
        ] or [f"| {each.script.about} | {each.verdict} | | | `{each.script.name}` |"]
    lines += ["", "## What the scripts printed", ""]
    for each in runs:
        shown = "\n".join(line for line in each.output.strip().splitlines() if not line.startswith("RESULT "))
        lines += [f"### {each.script.name}: {each.script.about}", ""]
        lines += [f"`{each.command}`, {each.seconds:.0f} s: {each.verdict}", "", "```", shown, "```", ""]
    return "\n".join(lines)


_MET = {None: "", True: "yes", False: "**no**"}


if __name__ == "__main__":
    main()
