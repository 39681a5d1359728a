"""One worker of `grading_workers.Workers`: `python -P grading_worker.py CPU_SECONDS MEMORY_BYTES`.

Reads a job a line from standard input, writes a reply a line to standard output, both as JSON. It says `ready` first. A
job may take so many seconds of this process's CPU time; then the kernel ends the process, whatever it is in the middle
of, with SIGPROF. CPU time rather than time, so that a busy machine changes no result. Ends when its input does, that
is, with its parent.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

# Nothing of this package: a worker is started by its file, and is there in half the time and a third of the memory.

READY = "ready"
OUT_OF_MEMORY = 77
"""Exit status of a worker that had no memory left."""
_NO_TIMER = 0.0
_SOME_NUMBER = "7/11"
_ROOM = 16 << 20
"""Bytes that must be free after each job."""


def verify(gold: str, answer: str) -> str:
    """Compare two answers with math-verify: `equal` or `unequal`; what it cannot read is equal to nothing."""
    expressions = [_parse(text) for text in (gold, answer)]
    return "equal" if all(expressions) and _same(*expressions) else "unequal"


def read(text: str) -> str:
    """Whether math-verify can read an answer, and then compare it with a number: `yes` or `no`."""
    expressions = _parse(text)
    if expressions:
        # Towers of powers are read at once; what they are worth shows here.
        _same(expressions, _parse(_SOME_NUMBER))
    return "yes" if expressions else "no"


def _same(gold: list[Any], answer: list[Any]) -> bool:
    from math_verify import verify as math_verify  # noqa: PLC0415 (half a second, for workers alone)

    options: dict[str, Any] = {"allow_set_relation_comp": True, "timeout_seconds": None, "raise_on_error": True}
    return bool(math_verify(gold, answer, **options))


def _parse(text: str) -> list[Any]:
    from math_verify import parse as math_parse  # noqa: PLC0415

    formula = text if "$" in text else f"${text}$"
    return list(math_parse(formula, fallback_mode="no_fallback", parsing_timeout=None, raise_on_error=True))


_TASKS: dict[str, tuple[Callable[..., str], str]] = {"verify": (verify, "unequal"), "read": (read, "no")}
"""Tasks by name: the function, and its reply when the library breaks on the job."""


def main() -> None:
    """Serve until there is no more input."""
    cpu_seconds, memory = float(sys.argv[1]), int(sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    # Libraries print; their words must not stand among the replies.
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    import math_verify  # noqa: F401, PLC0415 (not on a job's time)

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    replies.write(_line(READY))
    for line in sys.stdin.buffer:
        name, *args = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
        reply = _run(name, args)
        signal.setitimer(signal.ITIMER_PROF, _NO_TIMER)
        replies.write(_line(reply))


def _line(reply: str) -> bytes:
    return json.dumps(reply).encode() + b"\n"


def _run(name: str, args: list[str]) -> str:
    task, otherwise = _TASKS[name]
    try:
        try:
            reply = task(*args)
        except Exception as error:  # hostile text finds every error of a large library
            if isinstance(error, MemoryError):
                raise
            reply = otherwise
        # The libraries catch errors too; what they say when next to nothing is left is worth nothing.
        bytearray(_ROOM)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    return reply


if __name__ == "__main__":
    main()
