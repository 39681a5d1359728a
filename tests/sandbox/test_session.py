"""Sessions at the strongest level that this machine gives to whoever runs the tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from omr_kedro.sandbox import CUT_MARK, Limits, Plan, Pool, Result, Status
from tests.sandbox.support import pids_of_sandboxes, skip_without_isolation, until

pytestmark = pytest.mark.asyncio(loop_scope="module")
PLAN = Plan(nice=0, cores=4, modules=("numpy", "sympy"))
"""Without standing back: beside other tests a cell at the end of the queue would meet limits that are not its own."""
LIMITS = Limits(seconds=30, memory_mb=256)
HASTY = Limits(seconds=0.3, grace_seconds=0.3, memory_mb=256)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[Pool]:
    skip_without_isolation()
    async with Pool(PLAN, LIMITS) as pool:
        yield pool


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty() -> AsyncIterator[Pool]:
    skip_without_isolation()
    async with Pool(PLAN, HASTY) as pool:
        yield pool


async def run(pool: Pool, *cells: str, key: str = "key") -> list[Result]:
    async with pool.session(key) as session:
        return [await session.run(cell) for cell in cells]


async def said(pool: Pool, *cells: str, key: str = "key") -> str:
    """Standard output of the last of these cells."""
    last = (await run(pool, *cells, key=key))[-1]
    assert last.status is Status.COMPLETED, last
    return last.stdout


async def complaint(pool: Pool, *cells: str) -> str:
    """Standard error of the last of these cells, which raises."""
    last = (await run(pool, *cells))[-1]
    assert last.status is Status.ERROR
    return last.stderr


class TestCells:
    async def test_find_what_earlier_cells_defined(self, pool: Pool) -> None:
        assert await said(pool, "x = 20", "def f(): return x + 1", "print(f() * 2)") == "42\n"

    @pytest.mark.parametrize(
        ("code", "echo"),
        [
            ("1 + 1", "2\n"),
            ("x = 1", ""),
            ("None", ""),
            ("print('a')\n'b'", "a\n'b'\n"),
            ("1 + 1;", ""),
            ("if True:\n    7", ""),
            ("6 * 7\n# a comment", "42\n"),
            ("", ""),
        ],
    )
    async def test_echo_their_last_expression(self, pool: Pool, code: str, echo: str) -> None:
        assert await said(pool, code) == echo

    async def test_find_the_last_echo_under_an_underscore(self, pool: Pool) -> None:
        assert await said(pool, "6 * 7", "_ + 1") == "43\n"

    async def test_know_mathematics(self, pool: Pool) -> None:
        code = "import sympy as sp\nx = sp.Symbol('x')\nsp.integrate(sp.exp(-x**2), (x, -sp.oo, sp.oo))"
        assert await said(pool, code) == "sqrt(pi)\n"
        assert await said(pool, "import numpy as np\nnp.linalg.det(np.eye(3)).item()") == "1.0\n"
        assert await said(pool, "len(str(2**20000))") == "6021\n", "large numbers are printed"

    async def test_pickle_and_dataclasses_work_as_in_a_program(self, pool: Pool) -> None:
        code = "import pickle\nfrom dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\n"
        assert await said(pool, code + "pickle.loads(pickle.dumps(P(3)))") == "P(x=3)\n"

    async def test_beyond_all_measure_are_errors_and_the_session_goes_on(self, pool: Pool) -> None:
        before, long, after = await run(pool, "x = 1", "#" * (1 << 21), "x")
        assert (before.status, long.status, after.stdout) == (Status.COMPLETED, Status.ERROR, "1\n")
        assert "1,048,576 bytes at most" in long.stderr

    async def test_may_be_longer_than_a_pipe_holds(self, pool: Pool) -> None:
        assert await said(pool, "x = '" + "y" * 500_000 + "'\nlen(x)") == "500000\n"

    async def test_may_hold_what_only_a_notebook_knows(self, pool: Pool) -> None:
        assert await said(pool, "%matplotlib inline\n!pip install sympy\ndisplay(5)\n1 + 1") == "5\n2\n"

    async def test_keep_output_and_errors_apart(self, pool: Pool) -> None:
        (result,) = await run(pool, "import sys\nprint('out')\nprint('err', file=sys.stderr)")
        assert (result.stdout, result.stderr) == ("out\n", "err\n")


class TestErrors:
    async def test_show_the_lines_of_cells_with_the_cell_they_stand_in(self, pool: Pool) -> None:
        assert await complaint(pool, "def f(x):\n    return 1 / x", "f(0)") == (
            "Traceback (most recent call last):\n"
            '  File "<cell 2>", line 1, in <module>\n'
            "    f(0)\n"
            '  File "<cell 1>", line 2, in f\n'
            "    return 1 / x\n"
            "ZeroDivisionError: division by zero\n"
        )

    async def test_show_no_line_of_a_library(self, pool: Pool) -> None:
        text = await complaint(pool, "import sympy\nsympy.sympify('1 +')")
        assert "site-packages" not in text
        assert text.count("File") == text.count('File "<') <= 2

    async def test_show_the_place_of_a_slip(self, pool: Pool) -> None:
        assert "SyntaxError" in await complaint(pool, "x = 1 +")

    async def test_are_short_however_deep_they_are(self, pool: Pool) -> None:
        text = await complaint(pool, "def f(n): return f(n + 1)\nf(0)")
        assert "frames are left out" in text
        assert text.count("\n") < 25

    async def test_leave_the_variables(self, pool: Pool) -> None:
        assert await said(pool, "x = 5\n1 / 0", "raise SystemExit", "x") == "5\n"

    async def test_of_threads_and_files_are_such_as_a_model_understands(self, pool: Pool) -> None:
        code = "import threading\nthreading.Thread(target=print).start()"
        assert "can't start new thread" in await complaint(pool, code)
        assert "EOFError" in await complaint(pool, "input()")


class TestOutput:
    async def test_is_cut_at_the_limit_with_a_mark(self, pool: Pool) -> None:
        assert await said(pool, "print('ä' * 5000)") == "ä" * LIMITS.characters + CUT_MARK
        assert await said(pool, f"print('a' * {LIMITS.characters - 1})") == "a" * (LIMITS.characters - 1) + "\n"

    async def test_that_is_cut_on_one_side_is_whole_on_the_other(self, pool: Pool) -> None:
        (result,) = await run(pool, "import sys\nprint('a' * 10**6)\nprint('b', file=sys.stderr)")
        assert result.stdout.endswith(CUT_MARK)
        assert result.stderr == "b\n"

    async def test_of_one_cell_does_not_come_with_the_next(self, pool: Pool) -> None:
        cells = ["import sys\nout = sys.stdout\nout.write('one')", "out.write('two');"]
        assert [result.stdout for result in await run(pool, *cells)] == ["one3\n", "two"]


class TestTimeOuts:
    async def test_keep_variables_and_output(self, hasty: Pool) -> None:
        first, second = await run(hasty, "x = 7\nprint('so far', flush=True)\nwhile True: pass", "x")
        assert (first.status, first.stdout) == (Status.TIMEOUT, "so far\n")
        assert first.stderr == "Execution timed out after 0.3 seconds.\n"
        assert (second.status, second.stdout, second.rebuilt) == (Status.COMPLETED, "7\n", False)

    async def test_end_what_does_not_heed_them(self, hasty: Pool) -> None:
        deaf = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
        _, killed, after = await run(hasty, "x = 7", deaf, "x")
        assert killed.status is Status.KILLED
        assert "variables are lost" in killed.stderr
        assert (after.stdout, after.rebuilt) == ("7\n", True), "the cells before it are run again"

    async def test_do_not_count_the_wait_for_a_core(self) -> None:
        skip_without_isolation()
        limits = Limits(seconds=2, memory_mb=256)
        async with Pool(Plan(nice=0, cores=1, modules=()), limits) as pool:
            cells = [pool.session(f"{number}").run("import time\ntime.sleep(0.7)") for number in range(6)]
            results = await asyncio.gather(*cells)
        assert [result.status for result in results] == [Status.COMPLETED] * 6
        assert max(result.waited_seconds for result in results) > limits.seconds


class TestLostSessions:
    @pytest.mark.parametrize(
        ("code", "words"),
        [
            ("import os; os._exit(3)", "exit status 3"),
            ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
            ("import os; os.abort()", "SIGABRT"),
        ],
    )
    async def test_are_told_and_rebuilt(self, pool: Pool, code: str, words: str) -> None:
        cells = ["x = 1\nprint('once')", "x += 1\n1 / 0", code, "x"]
        *_, crashed, after = await run(pool, *cells)
        assert crashed.status is Status.CRASHED
        assert words in crashed.stderr
        assert (after.stdout, after.rebuilt) == ("2\n", True)

    @pytest.mark.parametrize(
        "reply",
        [
            "struct.pack('!BBII', 1, 0, 2**32 - 1, 0)",
            "struct.pack('!BBII', 9, 0, 0, 0)",
            "struct.pack('!BBII', 2, 0, 0, 0)",
            "b'[\"completed\"]'",
        ],
    )
    async def test_are_ended_when_they_answer_in_no_known_form(self, pool: Pool, reply: str) -> None:
        _, broken, after = await run(pool, "x = 1", f"import os, struct\nos.write(4, {reply})", "x")
        assert broken.status is Status.BROKEN
        assert (after.stdout, after.rebuilt) == ("1\n", True)

    async def test_are_ended_when_they_answer_before_they_are_asked(self, pool: Pool) -> None:
        twice = "import os, struct\nos.write(4, (struct.pack('!BBII', 1, 0, 4, 0) + b'lie\\n') * 2)"
        first, second, third = await run(pool, twice, "print(2)", "print(3)")
        assert (first.stdout, second.status) == ("lie\n", Status.BROKEN)
        assert third.status is not Status.COMPLETED, "the cell that lies is run again before it, and lies again"

    async def test_are_rebuilt_from_cells_of_an_earlier_run(self, pool: Pool) -> None:
        deaf = "while True: pass"
        earlier = [("x = 3", Status.COMPLETED), (deaf, Status.KILLED), ("y = x\n1 / 0", Status.ERROR)]
        async with pool.session("key", earlier) as session:
            first, second = await session.run("x + y\n1 / 0"), await session.run("x + y")
        assert first.rebuilt
        assert '"<cell 4>"' in first.stderr, "cells keep their numbers"
        assert (second.stdout, second.rebuilt) == ("6\n", False)

    async def test_say_so_when_they_cannot_be_rebuilt(self, hasty: Pool) -> None:
        async with hasty.session("key", [("while True: pass", Status.COMPLETED)]) as session:
            lost, fresh = await session.run("1"), await session.run("2")
        assert lost.status is Status.STATE_LOST
        assert "define them anew" in lost.stderr
        assert (fresh.status, fresh.stdout) == (Status.COMPLETED, "2\n")

    async def test_a_closed_session_answers(self, pool: Pool) -> None:
        session = pool.session("key")
        await session.close()
        assert not (await session.run("1")).settled

    async def test_a_session_that_is_closed_in_the_middle_of_a_cell_answers(self, pool: Pool) -> None:
        session = pool.session("key")
        cell = asyncio.create_task(session.run("import time\ntime.sleep(25)"))
        await until(lambda: session.has_process)
        await session.close()
        assert (await cell).status is Status.UNAVAILABLE, "it may have been the best of cells"

    async def test_a_caller_that_gives_up_leaves_no_process(self, pool: Pool) -> None:
        await run(pool, "1")
        before = pids_of_sandboxes()
        session = pool.session("key")
        cell = asyncio.create_task(session.run("while True: pass"))
        await until(lambda: session.has_process)
        cell.cancel()
        await asyncio.wait([cell])
        assert not session.has_process
        await until(lambda: not pids_of_sandboxes() - before)


DRAWS = """
import os, random, secrets, sympy, sympy.core.random, uuid
import numpy as np
print(random.random(), random.Random().random(), np.random.rand(), np.random.default_rng().random(), os.urandom(4),
      secrets.token_hex(4), uuid.uuid4(), sympy.core.random.random(), hash("text"), {"a", "b", "c", "d"})
print(object(), {object() for _ in range(3)}, {int, str, list, dict, set, sympy.Symbol, sympy.Add}, lambda: 1)
"""


class TestChance:
    async def test_follows_from_the_key(self, pool: Pool) -> None:
        one = await said(pool, DRAWS, key="one")
        assert await said(pool, DRAWS, key="one") == one
        assert await said(pool, DRAWS, key="two") != one

    async def test_is_the_same_in_another_run_and_beside_others(self, pool: Pool) -> None:
        one = await said(pool, DRAWS)
        async with Pool(PLAN, LIMITS) as other:
            texts = await asyncio.gather(*(said(other, "x = [object() for _ in range(9)]", DRAWS) for _ in range(8)))
            assert await said(other, DRAWS) == one
        assert len(set(texts)) == 1

    async def test_is_the_same_after_a_rebuilding(self, pool: Pool) -> None:
        cells = ["import random\nrandom.random()", "random.random()"]
        *_, whole = await run(pool, *cells)
        *_, rebuilt = await run(pool, cells[0], "import os\nos._exit(1)", cells[1])
        assert rebuilt.stdout == whole.stdout
