"""Loops of different periods, and honest solutions that repeat themselves, some of them for long."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.solutions import is_looping, least_new_share
from omr_kedro.solutions.loops import LOOPING

WORDS = ["let", "x", "the", "sum", "of", "so", "we", "find", "is", "even", ",", "hence", "$2k+1$", "divides", "=", "<"]


def prose(words: int, seed: int = 1) -> str:
    rng = random.Random(seed)
    return " ".join(rng.choice(WORDS) if rng.random() < 0.7 else f"a_{rng.randint(1, 999)}" for _ in range(words))


@pytest.mark.parametrize("period", [1, 2, 5, 20, 100, 500, 2000])
@pytest.mark.parametrize("before", [0, 3000])
def test_loops_of_any_period_are_told_from_their_third_round_on(period: int, before: int) -> None:
    unit = prose(period, seed=7)
    assert is_looping(prose(before) + " " + (unit + " ") * (2000 // period + 3))


def test_a_loop_that_the_reply_found_out_of_is_told() -> None:
    assert is_looping(prose(1000) + " Wait, let me check this again." * 200 + prose(1000, seed=2) + " \\boxed{5}")


def test_a_digit_without_end_is_a_loop() -> None:
    assert is_looping(prose(1000) + " = 0." + "3" * 20_000)


HONEST = {
    "prose": prose(8000),
    "a solution written out again at its end": prose(3000) + " </think> " + prose(3000),
    "a table of squares": "\n".join(f"n = {n}: n^2 + n + 41 = {n * n + n + 41}, not a square." for n in range(300)),
    "a table of residues": "\n".join(
        f"If x ≡ {n} (mod 64), then x^2 ≡ {n * n % 64} (mod 64), so x^2 + 7 ≡ {(n * n + 7) % 64} (mod 64), not 0."
        for n in range(64)
    ),
    "pairs tried one by one": "\n".join(
        f"Try a = {a}, b = {b}: a + b = {a + b}, ab = {a * b}, no." for a in range(30) for b in range(30)
    ),
    "all throws of four dice": ", ".join(f"({i // 216},{i // 36 % 6},{i // 6 % 6},{i % 6})" for i in range(1296)),
    "positions of a game": "\n".join(
        f"Position {n} is {'lost' if n % 4 == 0 else 'won'}: one can move to {n - 1}, {n - 2} or {n - 3}."
        for n in range(4, 200)
    ),
    "a truth table": "\n".join(" | ".join(f"{n:08b}") + f" | {n.bit_count() % 2}" for n in range(256)),
    "a recursion": "\n".join(f"F_{{{n + 2}}} = F_{{{n + 1}}} + F_{{{n}}}" for n in range(200)),
    "numbers in base two": "\n".join(f"{n:010b}" for n in range(1024)),
    "a short reply": "The sum is 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 = 10, so \\boxed{10}.",
    "nothing": "",
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_solutions_are_no_loops_however_they_repeat_themselves(name: str) -> None:
    assert least_new_share(HONEST[name]) >= 1.5 * LOOPING
    assert not is_looping(HONEST[name])


def test_the_threshold_is_the_callers() -> None:
    assert is_looping(HONEST["a table of residues"], threshold=0.3)


def test_a_loop_that_counts_up_is_not_told_from_a_table_of_cases() -> None:
    counting = " ".join(f"Wait, let me check the case n = {n} again, since it may be wrong." for n in range(800))
    assert not is_looping(counting)


@given(st.text(max_size=300), st.integers(1, 40))
def test_the_share_is_one_of_any_text(text: str, window: int) -> None:
    assert 0 <= least_new_share(text, window) <= 1


def test_memory_is_the_same_for_eight_times_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omr_kedro.solutions.loops._REMEMBERED", 1 << 12)
    peaks = []
    for words in (10_000, 80_000):
        text = prose(words)
        tracemalloc.start()
        least_new_share(text)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
