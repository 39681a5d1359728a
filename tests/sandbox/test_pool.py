"""Pools: bounds, deaths, ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from omr_kedro.sandbox import Limits, Plan, Pool, SandboxError, Status
from tests.sandbox.support import pids_of_sandboxes, skip_without_isolation, until
from tests.support.processes import descendants
from tests.support.waiting import alive, wait_until

LIMITS = Limits(seconds=20, grace_seconds=0.3, memory_mb=256)


@pytest.fixture(autouse=True)
def _needs_isolation() -> None:
    skip_without_isolation()


def plan(**settings: object) -> Plan:
    """A small pool that starts at once: without mathematics, and not behind other tests."""
    return Plan(**{"nice": 0, "cores": 2, "modules": (), **settings})  # type: ignore[arg-type]


def zygote_of(pid: int) -> int:
    """The process that forked a session."""
    return descendants()[pid]


def of_process(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()


async def session_pid(pool: Pool, key: str = "pid") -> int:
    """Process of a new session that stays open."""
    before = pids_of_sandboxes()
    assert (await pool.session(key).run("1")).status is Status.COMPLETED
    (pid,) = pids_of_sandboxes() - before
    return pid


async def test_no_more_cells_run_at_the_same_time_than_there_are_cores(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    code = f"import time\nopen({str(marks)!r}, 'a').write('+')\ntime.sleep(0.1)\nopen({str(marks)!r}, 'a').write('-')"
    async with Pool(plan(isolation="none"), LIMITS) as pool:
        await asyncio.gather(*(pool.session(f"{number}").run(code) for number in range(8)))
        row = pool.metrics.row()
    running = most = 0
    for mark in marks.read_text():
        running += 1 if mark == "+" else -1
        most = max(most, running)
    assert most == 2
    assert (row["cells"], row["sessions"]) == (8, 8)


async def test_idle_sessions_make_room_and_come_back_with_their_variables() -> None:
    async with Pool(plan(sessions=3), LIMITS) as pool:
        await pool.start()
        zygotes = len(pids_of_sandboxes())
        sessions = [pool.session(f"{number}") for number in range(8)]
        for number, session in enumerate(sessions):
            assert (await session.run(f"x = {number}")).status is Status.COMPLETED
            await until(lambda: len(pids_of_sandboxes()) - zygotes <= 3)
        results = await asyncio.gather(*(session.run("x") for session in sessions))
    assert [result.stdout for result in results] == [f"{number}\n" for number in range(8)]
    assert pool.metrics.evicted >= 5
    assert pool.metrics.rebuilt >= 5


async def test_cells_of_one_session_run_one_after_the_other() -> None:
    async with Pool(plan(cores=4), LIMITS) as pool, pool.session("key") as session:
        await session.run("x = 0")
        results = await asyncio.gather(
            *(session.run("import time\ny = x\ntime.sleep(0.01)\nx = y + 1") for _ in range(9))
        )
        assert {result.status for result in results} == {Status.COMPLETED}
        assert (await session.run("x")).stdout == "9\n"


async def test_a_zygote_is_replaced_after_so_many_sessions_and_its_sessions_go_on() -> None:
    async with Pool(plan(recycle_after=2), LIMITS) as pool:
        old = pool.session("old")
        await old.run("x = 1")
        for number in range(4):
            async with pool.session(f"{number}") as session:
                assert (await session.run("1")).status is Status.COMPLETED
        result = await old.run("x")
        assert (result.stdout, result.rebuilt) == ("1\n", False)
        assert pool.metrics.zygotes == 3
        zygotes = pids_of_sandboxes()
        await old.close()
        await until(lambda: len(pids_of_sandboxes()) < len(zygotes) - 1)
    await until(lambda: not pids_of_sandboxes())


async def test_the_death_of_a_zygote_is_an_answer_and_the_next_cell_has_a_new_one() -> None:
    async with Pool(plan(), LIMITS) as pool:
        pid = await session_pid(pool)
        session = pool.session("key")
        await session.run("x = 1")
        cell = asyncio.create_task(session.run("while True: pass"))
        await asyncio.sleep(0)
        os.kill(zygote_of(pid), signal.SIGKILL)
        assert not (await cell).settled, "what the cell would have said is not known"
        result = await session.run("x")
        assert (result.stdout, result.rebuilt) == ("1\n", True)
    await until(lambda: not pids_of_sandboxes())


async def test_a_zygote_that_hangs_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omr_kedro.sandbox.pool._END_SECONDS", 0.2)
    monkeypatch.setattr("omr_kedro.sandbox.pool._OPEN_SECONDS", 3.0)
    async with Pool(plan(), Limits(seconds=0.3, grace_seconds=0.1)) as pool:
        pid = await session_pid(pool)
        session = pool.session("key")
        await session.run("x = 1")
        os.kill(zygote_of(pid), signal.SIGSTOP)
        assert (await session.run("while True: pass")).status is Status.KILLED
        after = [(await session.run("x")) for _ in range(2)]
        assert after[-1].stdout == "1\n"
    await until(lambda: not pids_of_sandboxes())


async def test_orders_wait_for_a_zygote_that_is_busy() -> None:
    count = 300  # more than the socket to the zygote holds
    async with Pool(plan(cores=count), LIMITS) as pool:
        zygote = zygote_of(await session_pid(pool))
        os.kill(zygote, signal.SIGSTOP)
        cells = [asyncio.create_task(pool.session(f"{number}").run(f"{number}")) for number in range(count)]
        await until(lambda: pool.metrics.sessions == count + 1)
        os.kill(zygote, signal.SIGCONT)
        assert [(await cell).stdout for cell in cells] == [f"{number}\n" for number in range(count)]


async def test_a_session_for_which_nothing_is_left_is_unavailable_and_may_be_had_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none_left() -> None:
        raise OSError(24, "Too many open files")

    async with Pool(plan(), LIMITS) as pool, pool.session("key") as session:
        with monkeypatch.context() as patch:
            patch.setattr("omr_kedro.sandbox.zygote.Channel", none_left)
            result = await session.run("1")
        assert (result.status, result.settled) == (Status.UNAVAILABLE, False)
        assert "Too many open files" in result.stderr
        assert (await session.run("1")).stdout == "1\n"


async def test_a_session_that_cannot_be_confined_runs_nothing() -> None:
    async with Pool(plan(), Limits(memory_mb=1 << 50)) as pool:
        with pytest.raises(SandboxError, match="could not be confined"):
            await pool.session("key").run("1")


async def test_the_death_of_a_session_is_an_answer() -> None:
    async with Pool(plan(), LIMITS) as pool:
        pid = await session_pid(pool)
        session = pool.session("key")
        before = pids_of_sandboxes()
        cell = asyncio.create_task(session.run("while True: pass"))
        await until(lambda: session.has_process)
        (victim,) = pids_of_sandboxes() - before
        os.kill(victim, signal.SIGKILL)
        result = await cell
        assert result.status is Status.CRASHED
        assert "SIGKILL" in result.stderr
        assert alive(pid), "others go on"


async def test_a_signal_to_all_processes_of_a_job_makes_no_cell_look_as_if_it_had_crashed() -> None:
    async with Pool(plan(), LIMITS) as pool:
        pid = await session_pid(pool)
        session = pool.session("key")
        cell = asyncio.create_task(session.run("while True: pass"))
        await until(lambda: session.has_process)
        for one in sorted(pids_of_sandboxes(), key=lambda one: one == zygote_of(pid)):  # the zygote last
            os.kill(one, signal.SIGTERM)
        assert (await cell).status is Status.UNAVAILABLE


async def test_closing_a_pool_answers_every_cell() -> None:
    pool = Pool(plan(cores=1), LIMITS)
    cells = [asyncio.create_task(pool.session(f"{number}").run("while True: pass")) for number in range(4)]
    await until(lambda: pool.metrics.sessions)
    await pool.close()
    assert [(await cell).status for cell in cells] == [Status.UNAVAILABLE] * 4
    await until(lambda: not pids_of_sandboxes())


async def test_closing_a_pool_whose_zygote_starts_leaves_none_behind() -> None:
    pool = Pool(plan(), LIMITS)
    cell = asyncio.create_task(pool.session("key").run("while True: pass"))
    await until(pids_of_sandboxes)
    assert pool.metrics.zygotes == 0, "it is not there yet"
    await pool.close()
    assert (await cell).status is Status.UNAVAILABLE
    await until(lambda: not pids_of_sandboxes())


async def test_a_pool_that_never_ran_a_cell_has_nothing_to_close() -> None:
    await Pool(plan(), LIMITS).close()


async def test_sessions_stand_back_behind_everything_else() -> None:
    async with Pool(plan(nice=7), LIMITS) as pool:
        pid = await session_pid(pool)
        assert os.getpriority(os.PRIO_PROCESS, pid) == min(os.getpriority(os.PRIO_PROCESS, 0) + 7, 19)
        assert of_process(zygote_of(pid), "oom_score_adj") == "1000\n"


async def test_a_stopped_session_costs_no_time_between_cells() -> None:
    async with Pool(plan(), LIMITS) as pool:
        pid = await session_pid(pool)
        await until(lambda: of_process(pid, "stat").rpartition(")")[2].split()[0] == "T")


async def test_memory_beyond_the_limit_is_an_error_and_the_session_goes_on() -> None:
    async with Pool(plan(), LIMITS) as pool, pool.session("key") as session:
        bomb = await session.run("x = 1\nbytearray(300 * 2**20)")
        assert "MemoryError" in bomb.stderr
        assert (await session.run("y = bytearray(100 * 2**20)\nx")).stdout == "1\n"


async def test_scratch_space_is_of_the_session_alone() -> None:
    async with Pool(plan(), LIMITS) as pool:
        if pool.level != "namespaces":
            pytest.skip(f"isolation by {pool.level}: nothing can be written")
        async with pool.session("one") as one, pool.session("two") as two:
            await one.run("open('f', 'w').write('x' * 100)")
            assert (await one.run("len(open('f').read())")).stdout == "100\n"
            assert (await two.run("import os\nos.listdir()")).stdout == "[]\n"
            assert "too large" in (await one.run("open('f', 'wb').write(bytes(17 * 2**20))")).stderr


async def test_nothing_of_this_project_is_in_a_session() -> None:
    async with Pool(plan(), LIMITS) as pool, pool.session("key") as session:
        code = (
            "import sys\n[name for name in sys.modules if name.partition('.')[0] in ('omr_kedro', 'kedro', 'asyncio')]"
        )
        assert (await session.run(code)).stdout == "[]\n"


async def test_without_isolation_only_the_session_itself_answers() -> None:
    async with Pool(plan(isolation="none"), LIMITS) as pool, pool.session("key") as session:
        results = [
            await session.run(cell) for cell in ("import os\nchild = os.fork()", "os.waitpid(child, 0)[0] == child")
        ]
        assert results[-1].stdout == "True\n"


async def test_a_python_that_does_not_start_is_an_error_with_its_words(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no such library >&2\nexit 3\n")
    python.chmod(0o755)
    with pytest.raises(SandboxError, match=r"exit status 3.*\n.*no such library"):
        await Pool(plan(), LIMITS, python=str(python)).session("key").run("1")


def test_nothing_outlives_a_killed_driver() -> None:
    code = (
        "import asyncio\n"
        "from omr_kedro.sandbox import Plan, Pool\n"
        "async def main():\n"
        "    pool = Pool(Plan(nice=0, modules=()))\n"
        "    loop = 'while True:\\n  try:\\n    while True: pass\\n  except: pass'\n"
        "    deaf = 'import signal\\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))'\n"
        "    sessions = [pool.session(str(i)) for i in range(3)]\n"
        "    for session in sessions: await session.run(deaf)\n"
        "    print('ready', flush=True)\n"
        "    await asyncio.gather(*(s.run(loop) for s in sessions))\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "ready\n"
        pids = set(descendants(driver.pid)) - {driver.pid}
        assert len(pids) >= 4
        driver.kill()
    wait_until(lambda: not any(alive(pid) for pid in pids))


async def test_two_pools_do_not_know_of_each_other() -> None:
    async with Pool(plan(), LIMITS) as one, Pool(plan(), LIMITS) as two:
        session = two.session("key")
        await session.run("x = 1")
        await session_pid(one)
        await one.close()
        result = await session.run("x")
        assert (result.stdout, result.rebuilt) == ("1\n", False)
