"""The sandbox of a process, whose cells are awaited in one thread and ended from another."""

from __future__ import annotations

import asyncio
import threading

import pytest

from omr_kedro.sandbox import Limits, Plan, Result, Sandbox, Status
from tests.sandbox.support import pids_of_sandboxes
from tests.support.waiting import wait_until

ENDLESS = "while True: pass"


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(Plan("none", cores=2, nice=0, modules=()), Limits(seconds=60))


def test_halting_answers_every_cell_and_waits_for_none_whoever_holds_the_lock(sandbox: Sandbox) -> None:
    results: list[Result] = []

    def have_run() -> None:
        results.append(asyncio.run(sandbox.session("key").run(ENDLESS)))

    threads = [threading.Thread(target=have_run) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: sandbox.metrics.sessions == 2)
    with sandbox._lock:  # as the thread does that a signal interrupts in the middle of `session` or `close`
        sandbox.halt()
    for thread in threads:
        thread.join()
    assert [result.status for result in results] == [Status.UNAVAILABLE] * 3
    assert asyncio.run(sandbox.session("key").run("1")).status is Status.UNAVAILABLE
    sandbox.halt()
    sandbox.close()
    wait_until(lambda: not pids_of_sandboxes())
    assert asyncio.run(sandbox.session("key").run("1")).stdout == "1\n", "closed, it starts again"
    sandbox.close()


def test_a_sandbox_that_was_halted_before_its_first_cell_starts_nothing_until_it_is_closed(sandbox: Sandbox) -> None:
    sandbox.halt()
    assert asyncio.run(sandbox.session("key").run("1")).status is Status.UNAVAILABLE
    assert sandbox.metrics.zygotes == 0
    sandbox.close()
    assert asyncio.run(sandbox.session("key").run("1")).status is Status.COMPLETED
    sandbox.close()
