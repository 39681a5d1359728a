"""Jobs that take for ever, all memory, or the worker's life: each costs at most its limit, and harms no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from omr_kedro.answers import GradingWorkerError, Limits, Verdict, Workers, grade
from tests.support.waiting import alive, wait_until

HARD = {
    "tower of nines": "9^{9^{9^{9}}}",
    "huge power": "2^{10^{10}}",
    "tower of tens": "10^{10^{10^{10}}}",
    "factorials": "((100!)!)!",
    "long sum": "\\sum_{k=1}^{10^9} \\frac{1}{k^2+1}",
    "improper integral": "\\int_0^\\infty \\frac{\\sin(x^2)}{x^{1.1}+\\ln(x+2)}dx",
    "long product": "\\prod_{k=1}^{10^6} (1+\\frac{1}{k^2+1})",
}
EASY = ("verify", "\\int_0^1 x dx", "\\frac12")
ENDLESS = ("verify", "9^{9^{9^{9}}}", "5.5")


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2, Limits(cpu_seconds=0.7)) as pool:
        yield pool


def pids(workers: Workers) -> set[int]:
    return {worker.pid for worker in workers.idle}


def test_hard_answers_end_as_timeouts_and_the_easy_ones_among_them_do_not(workers: Workers) -> None:
    jobs = [job for text in HARD.values() for job in (("verify", text, "5.5"), EASY)]
    replies = workers.run(jobs)
    assert dict(zip(HARD, replies[::2], strict=True)) == dict.fromkeys(HARD, "timeout")
    assert set(replies[1::2]) == {"equal"}


def test_the_same_jobs_get_the_same_replies(workers: Workers) -> None:
    jobs = [ENDLESS, EASY, ("read", "\\frac{1}{2}"), ("read", "\\frac{1}{"), EASY]
    assert workers.run(jobs) == workers.run(jobs) == ["timeout", "equal", "yes", "no", "equal"]


def test_a_large_power_of_a_sum_needs_no_worker(workers: Workers) -> None:
    assert grade([("(x+y+z)^{60}", "(x+y+z)^{59}")], workers) == [Verdict.UNEQUAL]
    assert grade([("(x+y+z)^{60}", "(z+x+y)^{60}")], workers) == [Verdict.EQUAL]


def test_a_worker_without_memory_says_so_and_not_that_answers_differ() -> None:
    with Workers(1, Limits(cpu_seconds=20, memory_mb=70)) as pool:
        assert pool.run([EASY]) == ["crashed"]


def test_a_job_that_asks_for_more_than_there_is_harms_no_other() -> None:
    with Workers(1, Limits(cpu_seconds=20, memory_mb=200)) as pool:
        replies = pool.run([("verify", "2^{2^{33}}+1", "5"), EASY])
        assert replies[0] in {"unequal", "crashed", "timeout"}
        assert replies[1] == "equal"


def test_a_worker_that_someone_kills_is_replaced_and_its_job_done_again(workers: Workers) -> None:
    assert workers.run([EASY]) == ["equal"]
    for pid in pids(workers):
        os.kill(pid, signal.SIGKILL)
    assert workers.run([EASY, EASY, EASY]) == ["equal"] * 3


def test_closing_ends_all_processes_and_may_be_done_twice() -> None:
    pool = Workers(2)
    with pool:
        pool.run([EASY] * 3)
        running = pids(pool)
    assert running
    assert not any(alive(pid) for pid in running)
    pool.close()


def test_workers_end_when_their_parent_is_killed() -> None:
    code = """
        import sys, time
        from omr_kedro.answers import Workers
        pool = Workers(2)
        pool.run([("read", "1")] * 4)
        print(*[worker.pid for worker in pool.idle], flush=True)
        time.sleep(600)
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    running = [int(pid) for pid in parent.stdout.readline().split()]
    assert all(alive(pid) for pid in running)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not any(alive(pid) for pid in running))


def test_a_pool_can_be_shared_by_threads_of_a_busy_process(workers: Workers) -> None:
    replies: list[list[str]] = []
    stop = threading.Event()
    noise = [threading.Thread(target=lambda: stop.wait(60)) for _ in range(8)]
    askers = [threading.Thread(target=lambda: replies.append(workers.run([EASY, ENDLESS]))) for _ in range(3)]
    for thread in (*noise, *askers):
        thread.start()
    for thread in askers:
        thread.join()
    stop.set()
    assert replies == [["equal", "timeout"]] * 3


def test_a_job_that_never_ends_keeps_no_other_thread_waiting() -> None:
    with Workers(2, Limits(cpu_seconds=8)) as pool, ThreadPoolExecutor(1) as another:
        endless = another.submit(pool.run, [ENDLESS])
        for _ in range(5):
            assert pool.run([EASY]) == ["equal"]
        assert not endless.done(), "one process is at it, the other one did all the rest"
        assert endless.result() == ["timeout"]


def test_an_interrupted_batch_leaves_no_worker_at_its_job() -> None:
    with Workers(1, Limits(cpu_seconds=60)) as pool:
        pool.run([EASY])
        (busy,) = pids(pool)
        previous = signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        try:
            with pytest.raises(KeyboardInterrupt):
                pool.run([ENDLESS])
        finally:
            signal.signal(signal.SIGALRM, previous)
        assert not alive(busy)
        assert pool.run([EASY]) == ["equal"]


def test_workers_that_cannot_start_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with pytest.raises(GradingWorkerError, match="did not start"), Workers(1) as pool:
        pool.run([EASY])
