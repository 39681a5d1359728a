from __future__ import annotations

import subprocess
import sys

import pytest

FAMILY = """
import os, signal, sys, time
from omr_kedro.sandbox.jail import kernel
parent = os.getpid()
if os.fork():
    if sys.argv[1] == "gone":
        os._exit(0)
    time.sleep(60)
while sys.argv[1] == "gone" and os.getppid() == parent:
    time.sleep(0.001)
kernel.die_with_parent(parent)
print("lives", flush=True)
os.kill(parent, signal.SIGKILL)
time.sleep(60)
"""


@pytest.mark.parametrize(("parent", "said"), [("gone", ""), ("there", "lives\n")])
def test_a_process_dies_with_its_parent_though_that_was_gone_before_it_could_ask_for_it(parent: str, said: str) -> None:
    # The child holds the pipe: its end is the end of the output.
    done = subprocess.run(
        [sys.executable, "-c", FAMILY, parent], stdout=subprocess.PIPE, text=True, timeout=30, check=False
    )
    assert done.stdout == said
