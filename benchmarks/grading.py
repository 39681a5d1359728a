"""CPU time of grading answers against math-verify's own, and what hard answers cost.

    python -m benchmarks.grading [--runs 5] [--pairs 500] [--hard]

Pairs are of sixteen kinds, in the mixture of answers to forum problems. Nearly all of them we settle without
math-verify, by comparing what is written, as fractions or numerically: that is the ratio. It says little of answers
that only a worker can tell apart, for which ours costs what math-verify costs. Both graders see the pairs in turns, in
one process, with cold caches; ours has one worker, whose CPU time counts as ours. `--hard` adds answers that never end:
math-verify in a process that is killed after 30 s, ours with its usual limit.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.answers.key import math_verify, read_key
from tests.answers.test_grading_workers import HARD

from benchmarks import ROOT
from benchmarks.results import emit, figure
from omr_kedro.answers import Limits, Verdict, Workers, grade
from omr_kedro.answers.expressions import parse_expression
from omr_kedro.answers.readings import read_answer

Pair = tuple[str, str]
WANTED_RATIO = 2.0
KILLED_AFTER_S = 30
WORDS = ["infinitely many", "no solution", "Alice", "all even integers", "yes", "the midpoint of AB"]


def _two(rng: random.Random) -> tuple[int, int]:
    """A number and, half of the time, another one."""
    value = rng.randint(2, 99)
    return value, value if rng.random() < 0.5 else rng.randint(2, 99)


def _int(rng: random.Random) -> Pair:
    a, b = _two(rng)
    return str(a * 37), rng.choice([f"${b * 37}$", f"{b * 37}.", f"{b * 37:,}"])


def _frac(rng: random.Random) -> Pair:
    a, b = _two(rng)
    return f"\\frac{{{a}}}{{{a + 7}}}", rng.choice([f"{2 * b}/{2 * b + 14}", f"\\dfrac{{{b}}}{{{b + 7}}}"])


def _text(rng: random.Random) -> Pair:
    return rng.choice(WORDS), f"\\text{{{rng.choice(WORDS)}}}"


def _of(gold: str, *answers: str) -> Callable[[random.Random], Pair]:
    """Pairs from patterns: `{a}` is the number of the one, `{b}` of the other answer, `{c}` the next after that."""

    def make(rng: random.Random) -> Pair:
        a, b = _two(rng)
        return gold.replace("@", str(a)), rng.choice(answers).replace("@@", str(2 * b)).replace("@", str(b))

    return make


KINDS: dict[str, tuple[int, Callable[[random.Random], Pair]]] = {
    "int": (20, _int),
    "frac": (14, _frac),
    "text": (5, _text),
    "decimal": (4, _of("0.@", "0.@0", "\\frac{@}{100}")),
    "percent": (2, _of("@\\%", "@%", "@")),
    "units": (3, _of("@\\text{ cm}", "@", "@ cm")),
    "degree": (2, _of("@^\\circ", "@", "@^{\\circ}")),
    "radical": (12, _of("\\frac{@\\sqrt{2}}{2}", "\\frac{@}{\\sqrt2}", "\\sqrt{2}\\cdot @/2")),
    "pi": (7, _of("\\frac{@\\pi}{3}", "@\\pi/3", "\\frac{@}{3}\\pi")),
    "poly": (12, _of("(x+@)(x-1)", "x^2+(@-1)x-@", "(x-1)(@+x)")),
    "trig/log": (7, _of("@\\sin 2x+\\ln 4", "@@\\sin x\\cos x+2\\ln 2", "\\ln 4+@\\sin(2x)")),
    "set": (3, _of("\\{1,@,\\frac12\\}", "\\{0.5,1,@\\}", "1, @, 1/2")),
    "interval": (2, _of("[0,@)", "[0, @)", "0\\le x<@")),
    "tuple": (3, _of("(1,@,\\sqrt{4})", "(1, @, 2)", "\\left(1,@,2\\right)")),
    "equation": (3, _of("y=@x+1", "y=1+@x", "@x-y=-1")),
    "plus-minus": (1, _of("\\pm\\sqrt{@}", "\\sqrt{@}, -\\sqrt{@}")),
}
"""Each with its weight in a hundred."""


def make_pairs(count: int) -> list[tuple[str, Pair]]:
    rng = random.Random(5)
    kinds = rng.choices(list(KINDS), [weight for weight, _ in KINDS.values()], k=count)
    return [(kind, KINDS[kind][1](rng)) for kind in kinds]


def forget() -> None:
    """Empty all caches that either grader has."""
    from math_verify import parser  # noqa: PLC0415
    from sympy.core.cache import clear_cache  # noqa: PLC0415

    clear_cache()
    for function in (parser.parse_latex_cached, parser.parse_expr_cached, read_answer, parse_expression):
        function.cache_clear()


def cpu_seconds(workers: Workers) -> float:
    """Of this process and the workers, in hundredths."""
    ticks = 0
    for worker in workers.idle:
        fields = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def measure(work: Callable[[], list[bool]], workers: Workers) -> tuple[float, list[bool]]:
    forget()
    before = cpu_seconds(workers)
    verdicts = work()
    return cpu_seconds(workers) - before, verdicts


def compare_speed(runs: int, count: int, workers: Workers) -> float:
    """Print rates by kind and overall; the ratio of the medians."""
    pairs = make_pairs(count)

    def ours(subset: list[Pair]) -> list[bool]:
        return [verdict == Verdict.EQUAL for verdict in grade(subset, workers)]

    def theirs(subset: list[Pair]) -> list[bool]:
        return [math_verify(*pair) for pair in subset]

    groups = {"all": [pair for _, pair in pairs]}
    groups |= {kind: [pair for of, pair in pairs if of == kind] for kind in KINDS}
    groups["the key"] = [(entry.gold, entry.answer) for entry in read_key()]
    workers.run([("verify", "\\int_0^1 x dx", "\\frac12")])
    theirs(groups["all"][:20])
    print(f"{'kind':<12}{'pairs':>6}{'ours, pairs/CPU-s':>20}{'math-verify':>14}{'ratio':>9}{'same verdict':>14}")
    ratio = 0.0
    for kind, subset in groups.items():
        if not subset:
            continue
        took: dict[str, list[float]] = {"ours": [], "theirs": []}
        for _ in range(runs if kind == "all" else 1):
            seconds, our_verdicts = measure(partial(ours, subset), workers)
            took["ours"].append(max(seconds, 1e-4))
            seconds, their_verdicts = measure(partial(theirs, subset), workers)
            took["theirs"].append(max(seconds, 1e-4))
        rates = {name: len(subset) / statistics.median(seconds) for name, seconds in took.items()}
        same = statistics.mean(a == b for a, b in zip(our_verdicts, their_verdicts, strict=True))
        print(
            f"{kind:<12}{len(subset):>6}{rates['ours']:>20,.0f}{rates['theirs']:>14,.0f}"
            f"{rates['ours'] / rates['theirs']:>9.1f}{same:>14.3f}",
            flush=True,
        )
        ratio = ratio or rates["ours"] / rates["theirs"]
    return ratio


def compare_with_key(workers: Workers) -> None:
    key = read_key()
    ours = [verdict == Verdict.EQUAL for verdict in grade([(entry.gold, entry.answer) for entry in key], workers)]
    theirs = [math_verify(entry.gold, entry.answer) for entry in key]
    for name, verdicts in (("ours", ours), ("math-verify", theirs)):
        right = sum(verdict == entry.equal for verdict, entry in zip(verdicts, key, strict=True))
        wrong = sum(verdict and not entry.equal for verdict, entry in zip(verdicts, key, strict=True))
        print(f"hand-checked key, {name:<12} {right:>3} of {len(key)} right, {wrong} called equal wrongly")


def compare_hard(workers: Workers) -> None:
    print(f"{'hard answer':<20}{'ours':>10}{'CPU-s':>8}{'wall s':>8}   math-verify, wall s")
    for name, text in HARD.items():
        started, before = time.monotonic(), children_cpu()
        (verdict,) = grade([(text, "5.5")], workers)
        wall, cpu = time.monotonic() - started, children_cpu() - before
        print(f"{name:<20}{verdict:>10}{cpu:>8.1f}{wall:>8.1f}   {alone(text)}", flush=True)


def children_cpu() -> float:
    """CPU time of processes that have ended: a worker's whole life, its start included."""
    times = os.times()
    return times.children_user + times.children_system


def alone(text: str) -> str:
    """What math-verify makes of an answer in a process of its own."""
    code = f"from tests.answers.key import math_verify; print(math_verify({text!r}, '5.5'))"
    started = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=KILLED_AFTER_S, check=True
        )
    except subprocess.TimeoutExpired:
        return f"killed after {KILLED_AFTER_S}"
    return f"{done.stdout.strip()}, {time.monotonic() - started:.1f}"


def main() -> None:
    """Measure, print, and fail when we are not twice as fast."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--hard", action="store_true")
    options = parser.parse_args()
    with Workers(1, Limits()) as workers:
        ratio = compare_speed(options.runs, options.pairs, workers)
        compare_with_key(workers)
        if options.hard:
            compare_hard(workers)
    print(f"ratio: {ratio:.1f} (wanted {WANTED_RATIO:.1f})")
    met = ratio >= WANTED_RATIO
    emit([figure("pairs graded a CPU-second, by math-verify's", ratio, "x", f">= {WANTED_RATIO:g}", met=met)])
    sys.exit(ratio < WANTED_RATIO)


if __name__ == "__main__":
    main()
