"""Slurm's commands. Options that nobody here uses are refused, so that no test believes in what they would do."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from tests.support.slurm_double import agent, processes
from tests.support.slurm_double.book import CPUS, DEFAULT_MB_PER_CPU, GPUS, NODES, OVER, Book, Orders, Task

_PARTITION = "main"
_SHOWN_UNLESS_ASKED = {"PENDING", "RUNNING", "COMPLETING"}
_LETTERS: dict[str, Callable[[Task], str]] = {
    "j": lambda task: task.name,
    "i": lambda task: task.shown_id,
    "A": lambda task: task.id,
    "F": lambda task: task.array_id,
    "K": lambda task: "N/A" if task.task_id is None else str(task.task_id),
    "T": lambda task: task.state,
    "r": lambda task: task.reason,
    "N": lambda task: ",".join(task.nodes),
}
_FIELDS: dict[str, Callable[[Task], str]] = {
    "JobID": _LETTERS["A"],
    "ArrayJobID": _LETTERS["F"],
    "ArrayTaskID": _LETTERS["K"],
    "State": _LETTERS["T"],
    "NodeList": _LETTERS["N"],
    "RestartCnt": lambda task: str(task.restarts),
    "Reason": _LETTERS["r"],
    "Name": _LETTERS["j"],
}


class CommandError(Exception):
    """What a command says when it fails."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CommandError(message)


def main(command: str, folder: Path, words: Sequence[str]) -> int:
    """Run one of the commands; returns its exit status."""
    commands = {"sbatch": sbatch, "squeue": squeue, "scancel": scancel, "scontrol": scontrol, "srun": srun}
    try:
        return commands[command](folder, words)
    except CommandError as error:
        print(f"{command}: error: {error}", file=sys.stderr)
        return 1


def sbatch(folder: Path, words: Sequence[str]) -> int:
    """Take a script, or a command in `--wrap`."""
    parser = _submission_options()
    given = parser.parse_args(words)
    script = f"#!/bin/bash\n{given.wrap}\n" if given.wrap else Path(given.script).read_text()
    options = parser.parse_args([*_directives(script), *words])
    _answer(folder, "Batch job submission failed: Unable to contact slurm controller (connect failure)")
    with Book.opened(folder) as book:
        if book.orders.refuse:
            raise CommandError(f"Batch job submission failed: {book.orders.refuse}")
        array_id = _take(folder, book, options, script)
        unheard = book.orders.deaf > 0
        book.orders.deaf = max(0, book.orders.deaf - 1)
        agent.start_all(folder, book)
    if unheard:
        raise CommandError("Batch job submission failed: Socket timed out on send/recv operation")
    print(array_id if options.parsable else f"Submitted batch job {array_id}")
    return 0


def squeue(folder: Path, words: Sequence[str]) -> int:
    """Show tasks, one a line."""
    parser = _Parser(add_help=False)
    for flag in (("-h", "--noheader"), ("-r", "--array"), ("--me",)):
        parser.add_argument(*flag, action="store_true")
    for option in (("-t", "--states"), ("-j", "--jobs"), ("-o", "--format"), ("-O", "--Format"), ("-n", "--name")):
        parser.add_argument(*option)
    options = parser.parse_args(words)
    if not (options.noheader and options.array):
        raise CommandError("this one shows neither heads nor arrays in one line")
    _answer(folder, "Unable to contact slurm controller (connect failure)")
    for task in Book.read(folder).tasks:
        named = options.name is None or task.name in options.name.split(",")
        meant = options.jobs is None or {task.array_id, task.shown_id, task.id} & set(options.jobs.split(","))
        if named and meant and _is_in(task, options.states):
            print(_long(options.Format, task) if options.Format else _short(options.format, task))
    return 0


def scancel(folder: Path, words: Sequence[str]) -> int:
    """Cancel tasks, or send a signal to their steps."""
    parser = _Parser(add_help=False)
    parser.add_argument("-Q", "--quiet", action="store_true")
    parser.add_argument("-s", "--signal")
    parser.add_argument("-n", "--name")
    parser.add_argument("jobs", nargs="*")
    options = parser.parse_args(words)
    _answer(folder, "Unable to contact slurm controller (connect failure)")
    with Book.opened(folder) as book:
        tasks = [task for job in options.jobs for task in _called(book, job)]
        tasks += [task for task in book.tasks if options.name and task.name == options.name]
        for task in tasks:
            if options.signal:
                agent.signal_steps(str(folder / "slurm.conf"), task.id, _signal(options.signal))
            else:
                _order(task, "CANCELLED")
    return 0


def scontrol(folder: Path, words: Sequence[str]) -> int:
    """Put tasks back into the queue, hold and release them."""
    verb, *jobs = words
    _answer(folder, "slurm_persist_conn_open_without_init: Unable to contact slurm controller (connect failure)")
    with Book.opened(folder) as book:
        tasks = [task for job in jobs for task in _called(book, job)]
        if verb not in ("requeue", "requeuehold", "release", "hold"):
            raise CommandError(f"invalid keyword: {verb}")
        for task in tasks:
            if verb == "release":
                task.held, task.reason = False, "None"
            elif verb == "hold":
                task.held, task.reason = True, "JobHeldUser"
            elif not task.requeue:
                raise CommandError(f"Requested operation is presently disabled for job {task.shown_id}")
            else:
                _order(task, "REQUEUED" if verb == "requeue" else "HELD")
        agent.start_all(folder, book)
    return 0


def srun(folder: Path, words: Sequence[str]) -> int:
    """Start a command once on each node of the job; returns the worst exit status."""
    parser = _Parser(add_help=False)
    parser.add_argument("--ntasks", type=int, default=1)
    parser.add_argument("--ntasks-per-node", type=int, choices=[1], default=1)
    parser.add_argument("--cpus-per-task", type=int, default=1)
    parser.add_argument("--kill-on-bad-exit", type=int, choices=[0, 1], default=0)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(words)
    nodes = os.environ["SLURM_JOB_NODELIST"].split(",")
    if options.ntasks > len(nodes):
        raise CommandError(f"Unable to create step for job {os.environ['SLURM_JOB_ID']}: More processors requested")
    steps = [_start_step(options.command, rank, nodes[rank]) for rank in range(options.ntasks)]
    for number in (signal.SIGINT, signal.SIGTERM):  # they reach the steps by themselves
        signal.signal(number, signal.SIG_IGN)
    while any(step.poll() is None for step in steps):
        if options.kill_on_bad_exit and any(step.poll() for step in steps):
            for step in steps:
                step.terminate()
        time.sleep(0.05)
    return max(step.returncode if step.returncode >= 0 else 128 - step.returncode for step in steps)


def _start_step(command: list[str], rank: int, node: str) -> subprocess.Popen[bytes]:
    variables = {
        "SLURM_STEP_ID": "0",
        "SLURM_PROCID": str(rank),
        "SLURMD_NODENAME": node,
        "SLURM_LAUNCH_NODE_IPADDR": "127.0.0.1",
    }
    return subprocess.Popen(command, env={**os.environ, **variables}, start_new_session=True)


def _submission_options() -> _Parser:
    parser = _Parser(add_help=False, allow_abbrev=False)
    for flag in ("--parsable", "--requeue", "--no-requeue"):
        parser.add_argument(flag, action="store_true")
    for name in (
        "array",
        "output",
        "error",
        "open-mode",
        "partition",
        "account",
        "qos",
        "mem",
        "time",
        "signal",
        "wrap",
    ):
        parser.add_argument(f"--{name}")
    parser.add_argument("-J", "--job-name")
    for name, default in (("nodes", 1), ("ntasks-per-node", 1), ("gpus-per-node", 0), ("cpus-per-task", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("script", nargs="?")
    return parser


def _directives(script: str) -> Iterator[str]:
    for line in script.splitlines():
        if line.startswith("#SBATCH "):
            yield from shlex.split(line.removeprefix("#SBATCH "), comments=True)
        elif line and not line.startswith("#"):
            return


def _take(folder: Path, book: Book, options: argparse.Namespace, script: str) -> str:
    if options.partition not in (None, _PARTITION):
        raise CommandError(
            f"invalid partition specified: {options.partition}\n"
            "sbatch: error: Batch job submission failed: Invalid partition name specified"
        )
    if options.cpus_per_task > CPUS or options.gpus_per_node > GPUS or options.nodes > len(NODES):
        raise CommandError("Batch job submission failed: Requested node configuration is not available")
    span, _, width = (options.array or "").partition("%")
    first, _, last = span.partition("-")
    numbers = list(range(int(first), int(last or first) + 1)) if span else [None]
    array_id = str(book.last_id + 1)
    log = options.output or ("slurm-%A_%a.out" if span else "slurm-%j.out")
    book.tasks += [
        Task(
            id=str(book.last_id + 1 + place),
            array_id=array_id,
            task_id=number,
            name=options.job_name or Path(options.script or "wrap").name,
            folder=str(Path.cwd()),
            cpus=options.cpus_per_task,
            gpus=options.gpus_per_node,
            memory_mb=_megabytes(options.mem) or DEFAULT_MB_PER_CPU * options.cpus_per_task,
            node_count=options.nodes,
            output=log,
            error=options.error or log,
            append=options.open_mode == "append",
            requeue=not options.no_requeue,
            width=int(width) if width else None,
        )
        for place, number in enumerate(numbers)
    ]
    book.last_id += len(numbers)
    jobs = folder / "jobs"
    jobs.mkdir(exist_ok=True)
    (jobs / f"{array_id}.script").write_text(script)
    (jobs / f"{array_id}.environment").write_text(json.dumps(dict(os.environ)))
    return array_id


def _order(task: Task, state: str) -> None:
    """Have it brought into a state: at once, or by its agent."""
    if task.agent:
        task.order = state
    elif state == "HELD":
        task.held, task.reason = True, "JobHeldUser"
    elif state == "CANCELLED" and task.state not in OVER:
        task.end(state)
    elif state == "REQUEUED" and task.state in OVER:
        task.wait("None")


def _called(book: Book, job: str) -> list[Task]:
    if tasks := book.called(job):
        return tasks
    raise CommandError(f"Kill job error on job id {job}: Invalid job id specified")


def _answer(folder: Path, error: str) -> None:
    if Book.read(folder).orders.silent:
        raise CommandError(error)


def _is_in(task: Task, states: str | None) -> bool:
    wanted = _SHOWN_UNLESS_ASKED if states is None else set(states.upper().split(","))
    return "ALL" in wanted or task.state in wanted


def _short(form: str | None, task: Task) -> str:
    return re.sub("%(.)", lambda found: _LETTERS[found[1]](task), form or "%i|%j|%T|%N|%r")


def _long(form: str, task: Task) -> str:
    columns = (re.fullmatch(r"(\w+):(\d+)(\D*)", column) for column in form.split(","))
    return "".join(f"{_FIELDS[found[1]](task):<{found[2]}}{found[3]}" for found in columns if found)


def _signal(name: str) -> signal.Signals:
    return signal.Signals(int(name)) if name.isdigit() else signal.Signals[f"SIG{name.upper().removeprefix('SIG')}"]


def _megabytes(text: str | None) -> int:
    """As in `--mem=8G`."""
    found = re.fullmatch(r"(\d+)([KMGT]?)", text or "0")
    if not found:
        raise CommandError("Invalid --mem specification")
    return int(int(found[1]) * {"K": 1 / 1024, "": 1, "M": 1, "G": 1024, "T": 1024**2}[found[2]])


def script_for(command: str, folder: Path, root: Path) -> str:
    """What stands on PATH under the command's name."""
    # No site-packages: each of them starts a hundred times in a test.
    return (
        f"#!{sys.executable} -S\n"
        f"import sys\nfrom pathlib import Path\n\nsys.path.insert(0, {str(root)!r})\n"
        "from tests.support.slurm_double.commands import main\n\n"
        f"sys.exit(main({command!r}, Path({str(folder)!r}), sys.argv[1:]))\n"
    )


def give_orders(folder: Path, **changed: object) -> None:
    """Change some of the `Orders`."""
    with Book.opened(folder) as book:
        book.orders = Orders(**{**vars(book.orders), **changed})


def end_all(folder: Path) -> None:
    """Kill all agents and jobs."""
    with Book.opened(folder) as book:
        for task in book.tasks:
            if task.agent:
                processes.send(task.agent, signal.SIGKILL)
                task.end("CANCELLED")
        for pid, _ in processes.of_jobs(str(folder / "slurm.conf")):
            processes.send(pid, signal.SIGKILL)
