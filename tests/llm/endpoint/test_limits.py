from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager

from hypothesis import given, settings
from hypothesis import strategies as st

from omr_kedro.llm.endpoint.limits import Pacer, Window

REFUSALS = {"refused": 1, "refused twice": 2, "refused and cancelled": 2}
FATES = st.sampled_from(["ok", "cancelled", *REFUSALS])


async def test_no_more_calls_than_slots_are_in_flight() -> None:
    window = Window(3)
    for _ in range(3):
        await window.acquire()
    fourth = asyncio.create_task(window.acquire())
    await asyncio.sleep(0)
    assert not fourth.done()
    window.release()
    await fourth
    assert window.in_flight == 3


async def test_a_slot_goes_on_to_the_next_call_of_its_episode_unless_calls_are_held_back_or_others_go_before() -> None:
    window = Window(4)
    for _ in range(4):
        await window.acquire()
    new, following = (asyncio.create_task(window.acquire((1,), following=which)) for which in (False, True))
    await asyncio.sleep(0)
    assert window.may_follow((1,))
    assert not window.may_follow((2,)), "one of an earlier table waits"
    window.refused(time.monotonic(), retry_after_s=3600)
    assert not window.may_follow(), "a refusal asked for a pause, and cut the window"
    new.cancel()
    following.cancel()


def test_a_burst_of_refusals_cuts_the_window_once() -> None:
    window = Window(100)
    sent = time.monotonic()
    for _ in range(20):
        window.refused(sent, retry_after_s=0)
    assert window.slots == 75
    window.refused(time.monotonic(), retry_after_s=0)
    assert window.slots == 56.25


def test_the_window_grows_by_one_for_each_window_of_successes_and_never_above_its_limit() -> None:
    window = Window(10)
    window.slots = 4.0
    for _ in range(4):
        window.succeeded()
    assert 4.8 < window.slots < 5.1
    for _ in range(1000):
        window.succeeded()
    assert window.slots == 10


def test_the_window_never_closes() -> None:
    window = Window(2)
    for number in range(50):
        window.refused(time.monotonic() + number, retry_after_s=0)
    assert window.slots == 1


async def test_calls_that_are_refused_again_and_again_take_turns_with_new_ones() -> None:
    window = Window(1)
    await window.acquire()
    went: list[str] = []

    async def go(name: str, turn: Awaitable[None]) -> None:
        await turn
        went.append(name)
        window.release()

    window.in_flight += 3  # those that give their slot back below
    again = [asyncio.create_task(go(f"again {n}", window.exchange(again=True))) for n in range(3)]
    new = [asyncio.create_task(go(f"new {n}", window.acquire())) for n in range(3)]
    await asyncio.sleep(0)
    window.release()
    await asyncio.gather(*again, *new)
    kinds = [name.split()[0] for name in went]
    assert kinds in (["again", "new"] * 3, ["new", "again"] * 3)
    assert [name for name in went if "new" in name] == ["new 0", "new 1", "new 2"]


async def test_a_call_that_was_refused_goes_before_new_ones() -> None:
    window = Window(1)
    await window.acquire()
    order: list[str] = []

    async def enter(name: str, turn: Awaitable[None]) -> None:
        await turn
        order.append(name)
        window.release()

    window.refused(time.monotonic(), retry_after_s=0.01)
    await asyncio.gather(enter("new", window.acquire()), enter("refused before", window.exchange()))
    assert order == ["refused before", "new"]


@settings(max_examples=40)
@given(st.integers(1, 5), st.lists(st.sampled_from(["ok", "refused"]), max_size=60))
def test_whatever_the_endpoint_answers_every_call_gets_its_turn(slots: int, answers: list[str]) -> None:
    async def run() -> int:
        window, most = Window(slots), 0

        async def call(answer: str) -> None:
            nonlocal most
            await window.acquire()
            most = max(most, window.in_flight)
            sent = time.monotonic()
            await asyncio.sleep(0)
            if answer == "refused":
                window.refused(sent, retry_after_s=0)
                await window.exchange()
            window.succeeded()
            window.release()

        await asyncio.wait_for(asyncio.gather(*(call(answer) for answer in answers)), timeout=30)
        assert window.in_flight == 0
        return most

    assert asyncio.run(run()) <= slots


@settings(max_examples=60)
@given(
    st.integers(1, 4),
    st.lists(st.tuples(FATES, st.integers(0, 3)), max_size=30),
)
def test_the_window_is_kept_and_none_waits_for_ever_whoever_is_refused_or_cancelled(
    slots: int, calls: list[tuple[str, int]]
) -> None:
    async def run() -> None:
        window, inside = Window(slots), 0

        @contextmanager
        def trying() -> Iterator[None]:
            nonlocal inside
            inside += 1
            try:
                assert inside <= window.in_flight <= slots
                yield
            finally:
                inside -= 1

        async def call(fate: str, steps: int) -> None:
            await window.acquire()
            try:
                for _ in range(REFUSALS.get(fate, 0)):
                    with trying():
                        sent = time.monotonic()
                        await asyncio.sleep(0)
                        window.refused(sent, retry_after_s=0)
                    await window.exchange()
                with trying():
                    for _ in range(steps):
                        await asyncio.sleep(0)
                    window.succeeded()
            finally:
                window.release()

        tasks = [asyncio.create_task(call(fate, steps)) for fate, steps in calls]
        for task, (fate, steps) in zip(tasks, calls, strict=True):
            if "cancelled" in fate:
                for _ in range(steps):
                    await asyncio.sleep(0)
                task.cancel()
        ends = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), timeout=30)
        assert all(end is None or isinstance(end, asyncio.CancelledError) for end in ends)
        assert window.in_flight == inside == 0

    asyncio.run(run())


async def test_a_call_that_is_cancelled_as_it_gets_a_slot_gives_it_back() -> None:
    window = Window(1)
    await window.acquire()
    unlucky, next_one = asyncio.create_task(window.acquire()), asyncio.create_task(window.acquire())
    await asyncio.sleep(0)
    window.release()
    unlucky.cancel()
    await asyncio.wait_for(next_one, timeout=30)
    assert unlucky.cancelled()
    assert window.in_flight == 1


async def test_nobody_starts_before_the_pause_that_a_refusal_asked_for_has_passed() -> None:
    window = Window(4)
    refused_at = time.monotonic()
    window.refused(refused_at, retry_after_s=0.2)
    await asyncio.gather(window.acquire(), window.acquire())
    assert time.monotonic() - refused_at >= 0.2


async def test_starts_are_spaced_evenly() -> None:
    pacer = Pacer(per_minute=6000)
    started = time.monotonic()
    for _ in range(11):
        await pacer.wait()
    assert time.monotonic() - started >= 0.1, "ten gaps of ten milliseconds, however fast the machine"


async def test_without_a_limit_nothing_waits() -> None:
    pacer = Pacer(None)
    for _ in range(1000):
        await asyncio.wait_for(pacer.wait(), timeout=30)
