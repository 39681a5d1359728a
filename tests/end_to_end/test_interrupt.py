"""Stopping a run by hand, and starting a second one beside it."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.offline import OfflineModel
from tests.support.project import Project
from tests.support.threads import make_threads
from tests.support.waiting import PATIENCE_S, wait_until


@contextmanager
def running(project: Project, model: OfflineModel, threads: str) -> Iterator[subprocess.Popen[str]]:
    """`kedro run` in a process of its own, killed at the end if it still runs."""
    params = f"--params=endpoint={model.base_url},model=offline-rules,raw_threads={threads}"
    command = [str(Path(sys.executable).with_name("kedro")), "run", "--env", "offline", params]
    process = subprocess.Popen(
        command, cwd=project.path, env={**os.environ}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_ctrl_c_starts_no_call_any_more_and_keeps_those_in_flight(project: Project) -> None:
    threads = project.write_threads(make_threads(40))
    with OfflineModel(project, latency_s=3) as model, running(project, model, threads) as run:
        wait_until(lambda: len(model.calls) == 16)  # The window of the offline environment.
        run.send_signal(signal.SIGINT)
        output, _ = run.communicate()
        assert run.returncode != 0
        assert "waiting for the 16 calls in flight, which are paid for" in output
        assert re.search(r"Kept of this run: 16 calls, [\d,]+ tokens\. The same command goes on", output)
        assert len(model.calls) == 16
        assert project.journalled_keys() == set(model.keys)
        status = project.kedro("status", "--env", "offline")
        assert re.search(r"extract_problems +at work +40 +0 +16 ", status.stdout), status.stdout + status.stderr


def _read_until(terminal: int, end: threading.Event) -> None:
    while not end.is_set():
        if select.select([terminal], [], [], 0.05)[0]:
            os.read(terminal, 1 << 16)


def test_a_terminal_that_hangs_up_ends_a_run_as_ctrl_c_does(project: Project) -> None:
    threads = project.write_threads(make_threads(40))
    with OfflineModel(project, latency_s=3) as model:
        ours, theirs = os.openpty()
        params = f"--params=endpoint={model.base_url},model=offline-rules,raw_threads={threads}"
        run = subprocess.Popen(
            [str(Path(sys.executable).with_name("kedro")), "run", "--env", "offline", params],
            cwd=project.path,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )
        os.close(theirs)
        there = threading.Event()
        reading = threading.Thread(target=_read_until, args=(ours, there))
        reading.start()
        try:
            wait_until(lambda: len(model.calls) == 16)
            there.set()
            reading.join()
            os.close(ours)  # the kernel sends SIGHUP, and whatever is written from here on fails
            run.send_signal(signal.SIGHUP)  # a shell passes its own on
            assert run.wait(PATIENCE_S) != -signal.SIGHUP
        finally:
            run.kill()
            run.wait()
        assert len(model.calls) == 16
        assert project.journalled_keys() == set(model.keys)


def test_a_second_run_on_the_same_tables_is_refused_and_names_the_first(project: Project) -> None:
    threads = project.write_threads(make_threads(20))
    with OfflineModel(project, latency_s=60) as model, running(project, model, threads) as first:
        wait_until(lambda: bool(model.calls))
        params = f"--params=endpoint={model.base_url},model=offline-rules,raw_threads={threads}"
        second = project.kedro("run", "--env", "offline", params)
        assert second.returncode == 1
        assert f"is being written by process {first.pid} on" in second.stderr
