"""A few of the trials, so that they stay in order; `make trials` has more than a thousand."""

from __future__ import annotations

import subprocess
import sys

from tests.support.project import ROOT


def test_a_few_trials_find_nothing() -> None:
    words = ["--points", "16", "--soak", "2000", "--hostile", "0", "--seed", "1", "--only", "tables", "calls"]
    done = subprocess.run(
        [sys.executable, "-m", "trials", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| calls paid twice | 0 |" in done.stdout


def test_hostile_threads_end_with_an_outcome_each_and_leave_nothing_behind() -> None:
    words = ["--points", "0", "--soak", "0", "--hostile", "50", "--seed", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "trials", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| findings | none |" in done.stdout
    assert "| threads, replies, answers | 50 + " in done.stdout, "so many as were asked for"
    assert "in 0 ways" not in done.stdout
