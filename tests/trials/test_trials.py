"""A few of the trials, so that they stay in order; `make trials` has more than a thousand."""

from __future__ import annotations

import subprocess
import sys

from tests.support.project import ROOT


def test_a_few_trials_find_nothing() -> None:
    words = ["--points", "16", "--soak", "2000", "--seed", "1", "--only", "tables", "calls"]
    done = subprocess.run(
        [sys.executable, "-m", "trials", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| calls paid twice | 0 |" in done.stdout
