"""Records the sessions of this folder: `python -m docs.sessions.record`, in a clone that `make run` has set up.

A recording is a file of asciinema's format, version 2 (https://docs.asciinema.org/manual/asciicast/v2/): what a
terminal of 100 columns showed, and when. `asciinema play docs/sessions/first-run.cast` shows it again.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.project import ROOT
from tests.support.threads import make_threads

_FOLDER = Path(__file__).parent
_COLUMNS, _LINES = 100, 40
_PATIENCE_S = 120
_PORT = 9000
_PROMPT = "$ "


class Terminal:
    """A shell in a clone of the project, and what it shows."""

    def __init__(self, clone: Path) -> None:
        self._clone = clone
        self._began = time.monotonic()
        self._shown = ""
        self.events: list[tuple[float, str, str]] = []
        self._pid, self._tty = pty.fork()
        if not self._pid:
            os.chdir(clone)
            path = f"{ROOT / '.venv/bin'}:{os.environ['PATH']}"
            shell = {"PATH": path, "PS1": _PROMPT, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
            shell |= {"HOME": str(clone.parent), "PYTHONPATH": str(clone / "src")}
            os.execve("/bin/bash", ["bash", "--noprofile", "--norc"], shell)
        fcntl.ioctl(self._tty, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, _COLUMNS, 0, 0))
        self.wait_for(re.escape(_PROMPT))

    def type(self, line: str) -> None:
        """Type a line, and return at once."""
        self._shown = ""
        for letter in f"{line}\n":
            os.write(self._tty, letter.encode())
            self._listen(0.03)

    def wait_for(self, pattern: str) -> None:
        """Wait until what is shown since the last line was typed matches."""
        deadline = time.monotonic() + _PATIENCE_S
        while not re.search(pattern, self._shown):
            assert time.monotonic() < deadline, f"waited for {pattern} in vain: {self._shown[-2000:]}"
            self._listen(0.5)

    def look(self, seconds: float) -> None:
        """Let time pass."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._listen(left)

    def press_ctrl_c(self) -> None:
        """Interrupt whatever runs."""
        os.write(self._tty, b"\x03")

    def close(self) -> None:
        """End the shell."""
        os.kill(self._pid, signal.SIGHUP)
        os.waitpid(self._pid, 0)

    def _listen(self, seconds: float) -> None:
        if select.select([self._tty], [], [], seconds)[0]:
            text = os.read(self._tty, 1 << 16).decode("utf-8", "replace").replace(str(self._clone), "~/omr_kedro")
            self._shown += text
            self.events.append((round(time.monotonic() - self._began, 3), "o", text))


@contextmanager
def terminal(name: str, title: str, clone: Path) -> Iterator[Terminal]:
    """A terminal that is recorded."""
    shown = Terminal(clone)
    try:
        yield shown
        shown.look(1)
    finally:
        shown.close()
    head = {"version": 2, "width": _COLUMNS, "height": _LINES, "title": title}
    lines = [head, *shown.events]
    (_FOLDER / f"{name}.cast").write_text("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines))


@contextmanager
def server(clone: Path) -> Iterator[None]:
    """A chat server of simple rules, as somebody's own."""
    command = [sys.executable, "-m", "omr_kedro.offline_model", "--port", str(_PORT), "--prompts", "conf/base/prompts"]
    process = subprocess.Popen(command, cwd=clone, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def first_run(clone: Path) -> None:
    """The first command of the README."""
    with terminal("first-run", "make run", clone) as screen:
        screen.type("make run")
        screen.wait_for(r"kedro viz run --env offline[^$]*\$ ")


def outage(clone: Path) -> None:
    """An endpoint of one's own that goes away and comes back, Ctrl-C, and the same command again."""
    threads = "".join(f"{json.dumps(thread)}\n" for thread in make_threads(1500))
    (clone / "threads.jsonl").write_text(threads)
    command = f"kedro run --env demo --params=endpoint=http://127.0.0.1:{_PORT}/v1,model=offline-rules,raw_threads=threads.jsonl"
    with terminal("outage-and-resume", "an outage, Ctrl-C, and the same command again", clone) as screen:
        with server(clone):
            screen.type(command)
            screen.wait_for(r"extract_problems[^\n]*\d%|extract_problems.*calls")
            screen.look(3)
        screen.look(8)
        with server(clone):
            screen.look(5)
            screen.press_ctrl_c()
            screen.wait_for(r"same command[\s\S]*\$ $")
            screen.look(2)
            screen.type(command)
            screen.wait_for(r"kedro viz run --env demo[^$]*\$ ")


def main() -> None:
    """Record all of them anew."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "omr_kedro"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        (clone / ".venv").mkdir()
        (clone / ".venv/bin").symlink_to(ROOT / ".venv/bin")
        (clone / ".venv/.installed").touch()
        first_run(clone)
        outage(clone)


if __name__ == "__main__":
    main()
