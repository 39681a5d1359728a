"""Stopping a run by hand, and starting a second one beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.offline import OfflineModel
from tests.support.project import Project
from tests.support.threads import make_threads
from tests.support.waiting import wait_until


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
