"""A disk that fails at a chosen operation: the process dies before or after it, or it is cut short, or refused.

`Disk.watch` replaces what Python code calls to change files (open for writing, write, fsync, rename, unlink, mkdir)
below one folder. Each such call is an operation with a number. A power cut goes further than a kill: it takes away
what no fsync has made durable. The model is POSIX at its strictest, stricter than ext4 and XFS are: bytes of a file
that were not synced may be missing or zeros, and new names, renames and deletions may be undone unless their folder was
synced after them.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import random
import shutil
import signal
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

How = Literal["before", "after", "torn", "power", "full", "full once"]
HOWS: tuple[How, ...] = ("before", "after", "torn", "power", "full", "full once")

_WRITING = frozenset("wax")
_ADDS = frozenset({"create", "mkdir", "rename", "write"})
"""What a full disk refuses; a sync or a deletion needs no room."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and at which operation (counted from 1)."""

    at: int
    how: How


@dataclass
class Disk:
    """Watches one folder, in a process that may die."""

    root: Path
    fault: Fault | None = None
    seed: str = ""
    at_fault: Callable[[str], None] | None = None
    """Told which kind of operation it was, before the process dies or goes on."""
    operations: int = 0
    _durable: dict[int, int] = field(default_factory=dict)
    """How many bytes of a file no power cut can take, by inode."""
    _changes: dict[str, list[tuple[int, Callable[[], None]]]] = field(default_factory=lambda: defaultdict(list))
    """By folder: when each change of its names was made that is not durable yet, and how to undo it."""

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._short = False
        self._random = random.Random(self.seed)
        self._real = SimpleNamespace(
            open=builtins.open, os_open=os.open, write=os.write, fsync=os.fsync, fdatasync=os.fdatasync,
            replace=os.replace, unlink=os.unlink, mkdir=os.mkdir,
        )  # fmt: skip
        self._kept = self.root.with_name(self.root.name + ".kept")
        self._prefix = str(self.root) + os.sep

    def watch(self) -> None:
        """Replace the functions, for the rest of this process's life."""
        self._kept.mkdir(exist_ok=True)
        real = self._real
        builtins.open = io.open = self._open
        os.open = self._os_open  # type: ignore[assignment]
        os.write = self._os_write
        os.fsync = self._guarded("fsync", real.fsync, self._synced)
        os.fdatasync = self._guarded("fsync", real.fdatasync, self._synced)
        os.replace = os.rename = self._guarded("rename", real.replace, self._renames)
        os.unlink = os.remove = self._guarded("unlink", real.unlink, self._unlinks)
        os.mkdir = self._guarded("mkdir", real.mkdir, self._makes)

    # What the program calls

    def _guarded(self, what: str, real: Callable[..., Any], note: Callable[..., Callable[[], None]]) -> Any:
        def call(target: Any, *args: Any, **options: Any) -> Any:
            path = self._watched(target)
            if path is None:
                return real(target, *args, **options)
            with self._lock:
                self._begin(what, path)
                done = note(path, *args)
                result = real(target, *args, **options)
                done()
                self._end(what)
                return result

        return call

    def _os_open(self, target: Any, flags: int, *args: Any, **options: Any) -> int:
        path = self._watched(target) if flags & os.O_CREAT else None
        if path is None:
            return self._real.os_open(target, flags, *args, **options)  # type: ignore[no-any-return]
        return self._creating(path, lambda: self._real.os_open(target, flags, *args, **options))  # type: ignore[no-any-return]

    def _open(self, file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        path = self._watched(file) if set(mode) & _WRITING and "+" not in mode else None
        if path is None:
            return self._real.open(file, mode, *args, **options)
        raw = self._creating(path, lambda: _Raw(self, path, mode.replace("b", "").replace("t", "")))
        buffered = io.BufferedWriter(raw)
        if "b" in mode:
            return buffered
        return io.TextIOWrapper(buffered, encoding=options.get("encoding"), newline=options.get("newline"))

    def _os_write(self, descriptor: int, data: Any) -> int:
        path = self._watched(descriptor)
        if path is None:
            return self._real.write(descriptor, data)  # type: ignore[no-any-return]
        return self.write(path, data, lambda part: self._real.write(descriptor, part))

    def write(self, path: str, data: Any, real: Callable[[Any], int]) -> int:
        """One write to a watched file."""
        view = memoryview(data).cast("B")
        with self._lock:
            cut = self._begin("write", path)
            part = view[: self._random.randrange(len(view))] if cut and view else view[:0]
            if cut and self.fault and self.fault.how == "torn":
                real(part)
                self._die("write")
            if cut and part and not self._short:
                # As the kernel does it: what fits is written and counted, and the next write is refused.
                self._short = True
                return real(part)
            if cut or self._short:
                self._short = False
                self._refuse("write", path)
            count = real(view)
            self._end("write")
            return count

    def _creating(self, path: str, real: Callable[[], Any]) -> Any:
        with self._lock:
            existed = os.path.exists(path)
            if self._begin("create", path):
                self._refuse("create", path)
            opened = real()
            found = os.stat(path)
            self._durable[found.st_ino] = min(found.st_size, self._durable.get(found.st_ino, found.st_size))
            if not existed:
                self._changed(path, lambda: self._real.unlink(path))
            self._end("create")
            return opened

    # When it goes wrong

    def _begin(self, what: str, path: str) -> bool:
        """Count an operation; returns whether it must be cut short."""
        self.operations += 1
        fault = self.fault
        if fault is None or (fault.at > self.operations if fault.how == "full" else fault.at != self.operations):
            return False
        if fault.how in ("before", "power"):
            self._die(what)
        if fault.how == "after" or what not in _ADDS:
            return False
        if what not in ("write", "create"):
            self._refuse(what, path)
        return True

    def _end(self, what: str) -> None:
        if self.fault and self.fault.at == self.operations and self.fault.how in ("after", "torn"):
            self._die(what)

    def _refuse(self, what: str, path: str) -> None:
        if self.fault and self.fault.how == "torn":
            self._die(what)
        self._tell(what)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    def _die(self, what: str) -> None:
        self._tell(what)
        if self.fault and self.fault.how == "power":
            self._cut_power()
        os.kill(os.getpid(), signal.SIGKILL)

    def _tell(self, what: str) -> None:
        if self.at_fault:
            self.at_fault(what)

    def _cut_power(self) -> None:
        lost = []
        for changes in self._changes.values():
            lost += changes[self._random.randint(0, len(changes)) :]
        for _, undo in sorted(lost, key=lambda change: change[0], reverse=True):
            with suppress(FileNotFoundError):
                undo()
        for path in [path for path in self.root.rglob("*") if path.is_file()]:
            found = path.stat()
            durable = self._durable.get(found.st_ino, found.st_size)
            if found.st_size > durable:
                os.truncate(path, self._random.randint(durable, found.st_size))
                if self._random.random() < 0.25:  # A file may have its new length before it has its new bytes.
                    os.truncate(path, found.st_size)

    # What a power cut would undo

    def _changed(self, path: str, undo: Callable[[], Any]) -> None:
        self._changes[os.path.dirname(path)].append((self.operations, undo))

    def _synced(self, path: str) -> Callable[[], None]:
        def done() -> None:
            found = os.stat(path)
            self._durable[found.st_ino] = found.st_size
            self._changes.pop(path, None)

        return done

    def _renames(self, source: str, target: Any) -> Callable[[], None]:
        name = os.path.abspath(os.fspath(target))
        before = self._keep(name)

        def undo() -> None:
            self._real.replace(name, source)
            if before:
                os.link(before, name)

        return lambda: self._changed(name, undo)

    def _unlinks(self, path: str) -> Callable[[], None]:
        before = self._keep(path)
        return lambda: self._changed(path, lambda: os.link(before, path)) if before else None

    def _makes(self, path: str, *_: Any) -> Callable[[], None]:
        return lambda: self._changed(path, lambda: shutil.rmtree(path, ignore_errors=True))

    def _keep(self, path: str) -> str | None:
        """Another name for a file that is about to lose its own."""
        if not (self.fault and self.fault.how == "power" and os.path.isfile(path)):
            return None
        kept = str(self._kept / f"{os.getpid()}-{self.operations}")
        os.link(path, kept)
        return kept

    def _watched(self, target: Any) -> str | None:
        """The path of what is called for, if it is watched. Locks are not: the kernel drops them."""
        if isinstance(target, int):
            try:
                path = os.readlink(f"/proc/self/fd/{target}")
            except OSError:
                return None
        else:
            path = os.path.abspath(os.fspath(target)) if isinstance(target, str | os.PathLike) else ""
        inside = f"{path}{os.sep}".startswith(self._prefix)
        return None if not inside or path.endswith(".lock") else path


class _Raw(io.FileIO):
    """A file whose writes go through a `Disk`."""

    def __init__(self, disk: Disk, path: str, mode: str) -> None:
        super().__init__(path, mode)
        self._disk, self._path = disk, path

    def write(self, data: Any) -> int:
        return self._disk.write(self._path, data, super().write)
