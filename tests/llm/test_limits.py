from __future__ import annotations

import asyncio
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from omr_kedro.llm.limits import Pacer, Window


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


async def test_a_call_that_was_refused_goes_before_new_ones() -> None:
    window = Window(1)
    await window.acquire()
    order: list[str] = []

    async def enter(name: str, *, again: bool) -> None:
        await window.acquire(again=again)
        order.append(name)
        window.release()

    waiting = [asyncio.create_task(enter("new", again=False))]
    await asyncio.sleep(0)
    waiting.append(asyncio.create_task(enter("refused before", again=True)))
    await asyncio.sleep(0)
    window.release()
    await asyncio.gather(*waiting)
    assert order == ["refused before", "new"]


@settings(max_examples=40, deadline=None)
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
                window.release()
                await window.acquire(again=True)
            window.succeeded()
            window.release()

        await asyncio.wait_for(asyncio.gather(*(call(answer) for answer in answers)), timeout=30)
        assert window.in_flight == 0
        return most

    assert asyncio.run(run()) <= slots


async def test_starts_are_spaced_evenly() -> None:
    pacer = Pacer(per_minute=6000)
    started = time.monotonic()
    for _ in range(11):
        await pacer.turn()
    assert time.monotonic() - started >= 0.1, "ten gaps of ten milliseconds, however fast the machine"


async def test_without_a_limit_nothing_waits() -> None:
    pacer = Pacer(None)
    for _ in range(1000):
        await asyncio.wait_for(pacer.turn(), timeout=30)
