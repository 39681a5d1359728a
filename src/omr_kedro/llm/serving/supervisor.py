"""Runs a model server so that it never outlives the run: `python -m omr_kedro.llm.serving.supervisor COMMAND…`.

The run holds the other end of this process's standard input. When the run ends, however it ends, the pipe closes, and
the server's whole process group is told to stop and, if it does not, killed. A server that ends by itself ends this.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from functools import partial

_PR_SET_PDEATHSIG = 1  # linux/prctl.h

GRACE_S = 20.0
"""Time for a server to shut down after SIGTERM before it is killed."""


def main(command: list[str]) -> int:
    """Start the command in a process group of its own; returns its exit status."""
    # Ctrl-C at the terminal is the run's business first. A handler that does nothing, since the server would inherit
    # SIG_IGN, and then SIGTERM could not stop it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    server = subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=partial(_die_with, os.getpid()),  # noqa: PLW1509 (this process has one thread)
    )
    while server.poll() is None:
        readable, _, _ = select.select([sys.stdin], [], [], 0.2)
        if readable and not os.read(sys.stdin.fileno(), 1024):
            _stop(server)
            break
    # Whoever is left: a server that ignores SIGTERM, or the others of several processes that have lost their first.
    _signal_group(server, signal.SIGKILL)
    return server.wait()


def _die_with(supervisor: int) -> None:
    """Let the kernel end this process when the supervisor dies, also when that is killed and can stop nothing."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(1)


def _stop(server: subprocess.Popen[bytes]) -> None:
    _signal_group(server, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S
    while server.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)


def _signal_group(server: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
