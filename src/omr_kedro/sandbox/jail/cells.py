"""Cells of one session: run in one namespace, their output caught and cut. Runs among what it runs.

A cell can do to this module whatever it likes: it is the same interpreter. What comes of it is a wrong or broken reply
of this session, and the driver expects that.
"""

from __future__ import annotations

import ast
import io
import linecache
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from types import FrameType, ModuleType, TracebackType
from typing import Any

from . import frames

_MOST_FRAMES = 8
_MOST_CAUSES = 3
_MOST_MESSAGE_CHARACTERS = 2000
_MOST_SOURCE_CHARACTERS = 200
_CELL = "<cell {}>"
_MAGICS = ("%", "!")
"""Beginnings of lines that a notebook understands and Python does not."""


class CappedBytes(io.RawIOBase):
    """Takes everything and keeps its beginning."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self.kept = bytearray()
        self.cut = False

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Keep what there is room for; the number of all bytes."""
        size = len(data)
        room = self._most - len(self.kept)
        if size > room:
            self.cut = True
        self.kept += data[:room]
        return size

    def empty(self) -> tuple[bytes, bool]:
        """Bytes kept since the last time, and whether there were more."""
        taken = bytes(self.kept), self.cut
        self.kept.clear()
        self.cut = False
        return taken


class Output:
    """A text stream into `CappedBytes`, made again when a cell has closed it."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._open()

    def _open(self) -> None:
        self._bytes = CappedBytes(self._most_bytes)
        self.stream = io.TextIOWrapper(io.BufferedWriter(self._bytes), "utf-8", "replace", newline="")

    def take(self) -> tuple[bytes, bool]:
        """All that was written since the last time, as far as kept, and whether it was cut."""
        try:
            self.stream.flush()
            return self._bytes.empty()
        except ValueError:  # closed
            taken = self._bytes.empty()
            self._open()
            return taken


class Session:
    """A namespace and what happens in it."""

    def __init__(self, characters: int) -> None:
        most_bytes = characters * frames.BYTES_PER_CHARACTER
        self._stdout, self._stderr = Output(most_bytes), Output(most_bytes)
        # A module of that name, since pickling and dataclasses look for it.
        self._main = ModuleType("__main__")
        self._main.__dict__.update(__builtins__=__builtins__, display=print)
        sys.modules["__main__"] = self._main

    def run(self, number: int, code: str) -> bytes:
        """Run one cell; the frame of its reply."""
        name = _CELL.format(number)
        sys.stdin = io.StringIO()
        sys.stdout = sys.__stdout__ = self._stdout.stream  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = self._stderr.stream  # type: ignore[misc]
        completed = _interruptibly(lambda: self._execute(code, name))
        (stdout, out_cut), (stderr, err_cut) = self._stdout.take(), self._stderr.take()
        kind = frames.COMPLETED if completed else frames.FAILED
        return frames.pack_reply(kind, stdout, stderr, frames.STDOUT_CUT * out_cut | frames.STDERR_CUT * err_cut)

    def _execute(self, code: str, name: str) -> bool:
        try:
            # The source for tracebacks; None as time of change means that no file is looked for.
            linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
            body, last = _parse(code, name)
            scope = self._main.__dict__
            exec(compile(body, name, "exec", dont_inherit=True), scope)  # noqa: S102 (what a sandbox is for)
            if last is not None:
                value = eval(compile(last, name, "eval", dont_inherit=True), scope)  # noqa: S307
                if value is not None:
                    scope["_"] = value
                    self._stdout.stream.write(repr(value) + "\n")
        except BaseException as error:
            self._stderr.stream.write(describe(error))
            return False
        return True


def _interruptibly(work: Callable[[], bool]) -> bool:
    """Do what SIGINT may interrupt; an interrupt, wherever it came, is a failure."""
    done = False
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        done = work()
    except BaseException:
        done = False
    finally:
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        except KeyboardInterrupt:
            done = False
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # drops one that waits
    return done


def _parse(code: str, name: str) -> tuple[ast.Module, ast.Expression | None]:
    """The statements of a cell, and apart the expression at its end, which is echoed unless `;` follows it."""
    try:
        tree = ast.parse(code, name)
    except SyntaxError:
        plain = _without_magics(code)
        if plain == code:
            raise
        tree = ast.parse(plain, name)
    if tree.body and isinstance(end := tree.body[-1], ast.Expr) and not code.rstrip().endswith(";"):
        tree.body.pop()
        return tree, ast.Expression(end.value)
    return tree, None


def _without_magics(code: str) -> str:
    """The code with `%magic` and `!command` lines left empty, so that the other lines keep their numbers."""
    return "\n".join("" if line.lstrip().startswith(_MAGICS) else line for line in code.split("\n"))


def describe(error: BaseException) -> str:
    """A short traceback that is the same on every machine: frames of cells alone, since libraries lie anywhere."""
    parts = []
    for number, (link, one) in enumerate(_chain(error)):
        if number == _MOST_CAUSES:
            parts.append("[earlier errors are left out]\n")
            break
        parts.append("".join(_one(one)) + link)
    return "\n".join(reversed(parts))


def _chain(error: BaseException) -> Iterator[tuple[str, BaseException]]:
    """An error and what it came from, with the words that join each to the one after it."""
    link = ""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield link, current
        if current.__cause__ is not None:
            link, current = (
                "\nThe above exception was the direct cause of the following exception:\n",
                current.__cause__,
            )
        elif current.__context__ is not None and not current.__suppress_context__:
            link, current = (
                "\nDuring handling of the above exception, another exception occurred:\n",
                current.__context__,
            )
        else:
            return


def _one(error: BaseException) -> Iterator[str]:
    lines = list(_cell_lines(error.__traceback__))
    if lines:
        yield "Traceback (most recent call last):\n"
        if len(lines) > _MOST_FRAMES:
            yield f"  [{len(lines) - _MOST_FRAMES} frames are left out]\n"
        yield from lines[-_MOST_FRAMES:]
    message = "".join(traceback.format_exception_only(type(error), error))
    yield message if len(message) <= _MOST_MESSAGE_CHARACTERS else message[:_MOST_MESSAGE_CHARACTERS] + "…\n"


def _cell_lines(trace: TracebackType | None) -> Iterator[str]:
    beginning = _CELL.partition("{")[0]
    while trace is not None:
        frame: FrameType = trace.tb_frame
        name = frame.f_code.co_filename
        if name.startswith(beginning):
            source = linecache.getline(name, trace.tb_lineno).strip()[:_MOST_SOURCE_CHARACTERS]
            yield f'  File "{name}", line {trace.tb_lineno}, in {frame.f_code.co_name}\n    {source}\n'
        trace = trace.tb_next


def serve(inbox: int, outbox: int, characters: int) -> None:
    """Run the cells that come, one after the other, until the driver is gone."""
    session = Session(characters)
    _write(outbox, frames.pack_reply(frames.READY))
    while True:
        number, size = frames.CELL_HEAD.unpack(_read(inbox, frames.CELL_HEAD.size))
        code = _read(inbox, size).decode("utf-8", "replace")
        _write(outbox, session.run(number, code))


def _read(inbox: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = os.read(inbox, size - len(data))
        if not part:
            os._exit(0)
        data += part
    return data


def _write(outbox: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(outbox, left) :]
