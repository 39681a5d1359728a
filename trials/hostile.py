"""Problem generation on threads that strangers wrote to harm it, asked of a provider that does whatever can be done.

Posts, replies and answers are generated from a seed. Runs that the provider stops (a key that it takes for wrong, an
account without money) are started again, as a person would do it. In the end each row has its outcome, nobody was paid
twice, no traceback was printed, memory stayed within bounds, and neither process nor file nor secret was left behind.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from tests.support.hostile_texts import thread_line
from tests.support.project import Project

from omr_kedro.answers import Limits
from trials import evidence
from trials.server import Bills, running

_WORKER, _OTHER = "grading worker", "other process"
MOST_MB = {_WORKER: float(Limits().memory_mb), _OTHER: 600.0}
"""Of any one process of a run, by its kind. Workers meet their limit: that ends what some pair of answers asks for."""
_MOST_RUNS = 8
_SAMPLE_S = 0.2
_SECRET = "nvapi-" + "q7w8e9/+%" * 5  # in small letters: the provider reads heads in these
_MARK = "PYTHON_HOSTILE_TRIAL"  # Workers get no other variables than those of Python.
_STEERING = re.compile("\x1b\\]|\x1b\\[2J|[\u202a-\u202e]")
_LIMITS = """    max_in_flight: 64
    timeout_s: 6
    patience_s: {patience_s}
    max_tries: 2
"""
_STAGES = ("extract_problems", "classify_problems", "extract_answers", "convert_proofs", "decontaminate")


@dataclass
class Endured:
    """What a hostile run showed."""

    threads: int
    seconds: float = 0.0
    runs: int = 0
    replies: int = 0
    answers: int = 0
    memory_mb: Counter[str] = field(default_factory=Counter)
    """Most memory of one process by its kind, all runs together."""
    tries: Counter[str] = field(default_factory=Counter)
    paid_twice: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Posts, replies and answers together."""
        return self.threads + self.replies + self.answers

    def lines(self) -> list[str]:
        """The figures, as Markdown."""
        return [
            "| | |",
            "|---|---|",
            f"| threads, replies, answers | {self.threads:,} + {self.replies:,} + {self.answers:,} = {self.rows:,} |",
            f"| tries that the provider spoiled | {sum(self.tries.values()) - self.tries['none']:,} "
            f"in {len(self.tries) - 1} ways |",
            f"| runs until the end | {self.runs} |",
            f"| calls paid twice | {self.paid_twice:,} |",
            f"| time | {self.seconds:.0f} s |",
            *(f"| memory of the largest {kind} | {self.memory_mb[kind]:.0f} MB |" for kind in MOST_MB),
            f"| findings | {'; '.join(self.findings) or 'none'} |",
            "",
            "| outcome | rows |",
            "|---|---|",
            *(f"| {outcome} | {count:,} |" for outcome, count in self.outcomes.items()),
        ]


def run(threads: int, seed: int) -> Endured:
    """Let so many hostile threads, the lines of its input, through the pipeline."""
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    with running() as bills:
        endured = _endure(threads, seed, bills, folder)
    if endured.findings:
        print(f"What was found lies in {folder}")
    else:
        shutil.rmtree(folder)
    return endured


def _endure(threads: int, seed: int, bills: Bills, folder: Path) -> Endured:
    found = Endured(threads)
    account = f"hostile{seed}"
    project, log = _prepared(folder / "project", threads, seed), folder / "log"
    command = _command(bills.endpoint(account, "foul"), project, threads)
    began = time.monotonic()
    for found.runs in range(1, _MOST_RUNS + 1):
        status = _run(command, folder, log, found)
        if status == 0:
            break
    found.seconds = time.monotonic() - began
    bill = bills.bill(account)
    found.tries = Counter(bill["tries"])
    said = log.read_text("utf-8", "replace")
    if status:
        found.findings.append(f"the last run ended with {status}: {said[-500:]!r}")
    else:
        found.findings += _faults_of_tables(project, found, Counter(bill["paid"]))
    found.findings += _faults_of_surroundings(folder, said, found)
    return found


def _prepared(path: Path, threads: int, seed: int) -> Project:
    project = Project.create(path)
    with (path / "data/01_raw/hostile.jsonl").open("wb") as file:
        file.writelines(thread_line(number, seed) + b"\n" for number in range(threads))
    settings = path / "conf/offline/globals.yml"
    text = settings.read_text("utf-8")
    limits = "    max_in_flight: 16\n    timeout_s: 60\n"
    assert text.count(limits) == 1
    # Each table may end with calls that are throttled until patience ends; a large one has many before it ends.
    patience_s = max(2, min(5, threads // 100))
    settings.write_text(text.replace(limits, _LIMITS.format(patience_s=patience_s)), "utf-8")
    return project


def _command(endpoint: str, project: Project, threads: int) -> list[str]:
    params = [
        f"endpoint={endpoint}", "model=hostile", f"raw_threads={project.path}/data/01_raw/hostile.jsonl",
        f"prepare_threads.shards={max(4, threads // 500)}", "prepare_threads.max_rejected_share=1",
        *(f"{stage}.max_failed_share=1" for stage in _STAGES),
    ]  # fmt: skip
    words = ["run", "--env", "offline", "--pipelines=problem_generation", f"--params={','.join(params)}"]
    return [str(Path(sys.executable).with_name("kedro")), *words]


def _run(command: list[str], folder: Path, log: Path, found: Endured) -> int:
    """One run; its status. Its memory is watched, with that of all processes that it starts."""
    scratch = folder / "tmp"
    scratch.mkdir(exist_ok=True)
    own = {"TMPDIR": str(scratch), "OMR_API_KEY": _SECRET, _MARK: str(folder)}
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, cwd=folder / "project", env={**os.environ, **own}, stdout=out, stderr=subprocess.STDOUT
        )
    while process.poll() is None:
        time.sleep(_SAMPLE_S)
        for pid in _processes(folder):
            found.memory_mb |= _peak_mb(pid)
    return process.returncode


def _processes(folder: Path) -> Iterator[int]:
    """Processes of the runs, by the mark in their environment."""
    mark = f"{_MARK}={folder}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes().split(b"\0"):
                yield int(path.parent.name)
        except OSError:  # it has ended
            continue


def _peak_mb(pid: int) -> Counter[str]:
    """The most memory that a process has had, by its kind; empty when it has ended."""
    try:
        command, status = (Path(f"/proc/{pid}/{name}").read_text() for name in ("cmdline", "status"))
    except OSError:
        return Counter()
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    kind = _WORKER if "grading_worker" in command else _OTHER
    return Counter({kind: int(peak[1]) / 1024}) if peak else Counter()


def _faults_of_tables(project: Project, found: Endured, paid: Counter[str]) -> Iterator[str]:
    """What is wrong with the tables; notes what came of the rows."""
    reports = project.path / "data/08_reporting/offline"
    funnel, reasons = pd.read_csv(reports / "funnel.csv"), pd.read_csv(reports / "funnel_reasons.csv")
    found.outcomes = {
        f"{stage}: {outcome}, {reason}": rows for stage, outcome, reason, rows in reasons.itertuples(index=False)
    }
    found.outcomes["problems: kept"] = len(project.table("problems"))
    completions = [path.name for path in (project.path / "data/07_model_output/offline").glob("*_completions")]
    shards = [shard for name in completions for shard in project.load(name).values()]
    found.replies = sum(shard.count for shard in shards)
    # Shards that ask exactly the same each pay for it.
    owed = Counter(key for shard in shards for key in set(shard.column("call_key")))
    found.paid_twice = (paid - owed).total()
    found.answers = sum(row["expected_answer"] is not None for row in project.table("answer_quality"))
    sums = funnel["kept"] + funnel["dropped"] + funnel["failed"]
    if (funnel["rows_in"] != sums).any() or funnel["rows_in"].iloc[0] != found.threads:
        yield f"the funnel does not add up: {funnel.to_dict('records')}"
    if crashed := {name: rows for name, rows in found.outcomes.items() if "crashed" in name}:
        yield f"readers crashed: {crashed}"
    yield from evidence.faults_of_tables(project.path)


def _faults_of_surroundings(folder: Path, said: str, found: Endured) -> Iterator[str]:
    if "Traceback" in said or "panicked" in said:
        yield f"a traceback was printed: {said[said.find('Traceback') :][:1500]!r}"
    if steering := _STEERING.search(said):
        yield f"what steers a terminal was printed: {said[max(0, steering.start() - 200) :][:300]!r}"
    for kind, most_mb in MOST_MB.items():
        if found.memory_mb[kind] > most_mb:
            yield f"a {kind} took {found.memory_mb[kind]:.0f} MB, more than {most_mb:.0f}"
    if found.paid_twice:
        yield f"{found.paid_twice} calls were paid twice"
    if left := list(_processes(folder)):
        yield f"processes were left behind: {left}"
    if strays := sorted(path.name for path in (folder / "tmp").iterdir()):
        yield f"files were left behind: {strays[:10]}"
    if run := [path.name for path in folder.rglob("*owned*")]:
        yield f"code that a text holds was run: it made {run}"
    secret = _SECRET.encode()
    if shown := [path.name for path in folder.rglob("*") if path.is_file() and secret in path.read_bytes()]:
        yield f"the key stands in {shown[:10]}"
