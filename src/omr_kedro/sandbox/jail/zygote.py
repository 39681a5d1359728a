"""The zygote: one thread, mathematics imported, one wall after the other around it; forks a process per session.

Started by `zygotes.Zygote` with a fixed environment. It ends when its driver does: the socket between them tells.
"""

from __future__ import annotations

import array
import gc
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from . import cells, confinement, frames, kernel, orders, room, warmth
from .orders import Message
from .settings import MB, NAMESPACES, NONE, SLOTS, Settings


def main(words: list[str]) -> None:
    """Build the walls, say so, and serve the driver's orders until it is gone."""
    if kernel.fix_addresses():
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 (itself)
    settings = Settings.read(words)
    control = socket.socket(fileno=settings.control)
    _step_back(settings.nice)
    level, refusals = _choose(settings.levels.split(","))
    if level is None:
        control.send(Message(orders.REFUSED, words="; ".join(refusals)).pack())
        return
    if level == NAMESPACES:
        room.enter_namespaces()
    sys.set_int_max_str_digits(0)  # printing 2**20000 is ordinary here
    missing = warmth.import_mathematics([name for name in settings.modules.split(",") if name])
    template = _Template(settings, level)
    control.send(Message(orders.READY, words="\n".join([level, ",".join(missing), *refusals])).pack())
    _Broker(control, template).serve()


def _step_back(nice: int) -> None:
    """Let everything else go first: when memory runs out on the node, a session dies and not the model server."""
    os.nice(nice)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _choose(levels: list[str]) -> tuple[str | None, list[str]]:
    """The first level that can be had, and why those before it cannot."""
    refusals: list[str] = []
    for level in levels:
        reason = "" if level == NONE else confinement.refusal(level)
        if not reason:
            return level, refusals
        refusals.append(f"{level}: {reason}")
    return None, refusals


class _Template:
    """The original of which every session is a copy."""

    def __init__(self, settings: Settings, level: str) -> None:
        self._characters = settings.characters
        self._scratch = settings.scratch_mb * MB
        self._pid = os.getpid()
        # What the mathematics takes by itself is not the session's. Read while there is a /proc.
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        self._address_space = pages * os.sysconf("SC_PAGE_SIZE") + settings.memory_mb * MB
        self._walls: confinement.Walls | None = None
        if level == NONE:
            os.chdir(settings.folder)
        else:
            readable = room.readable_paths(settings.home)
            os.chdir("/")
            if level == NAMESPACES:
                room.enter_own_root(readable)
            self._walls = confinement.Walls.make(level, readable)
        for name in list(os.environ):
            if name not in _KEPT_VARIABLES:
                del os.environ[name]
        sys.argv = [""]
        sys.orig_argv = []
        # A collection would touch, and so copy, every page in every session.
        gc.disable()
        gc.collect()
        gc.freeze()

    def become(self, inbox: int, outbox: int, seed: int) -> None:
        """Turn this process, just forked, into a session, until its driver is gone."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        confinement.keep_only(inbox, outbox, self._walls.ruleset if self._walls else -1)
        try:
            # Meant for a whole job, whose end is told by the zygote's: a cell must not look as if it had crashed.
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
            _forget_history()
            warmth.seed(seed)
            if self._walls is None:
                confinement.limit_session(self._pid, self._address_space)
            else:
                confinement.confine_session(self._walls, self._pid, self._address_space, self._scratch)
        except BaseException as error:
            words = str(error).encode("utf-8", "replace")[: frames.WORDS_BYTES]
            os.write(confinement.OUTBOX, frames.pack_reply(frames.UNCONFINED, b"", words))
            os._exit(1)
        cells.serve(confinement.INBOX, confinement.OUTBOX, self._characters)


_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TZ")


def _forget_history() -> None:
    """Bring the allocator into the same state in every session, whatever orders the zygote has had before.

    Addresses decide the order of sets of objects. What the zygote used and freed meanwhile is free in an order of its
    own: some blocks of each size are taken here, and given back from the highest address to the lowest.
    """
    # Also empties the interpreter's own stocks of tuples, lists and such, and begins to count objects anew.
    gc.collect()
    empty = sys.getsizeof(b"")
    for size in range(16, _LARGEST_BLOCK + 1, 16):
        make = object if size == 16 else float if size == 32 else lambda room=size - empty: bytes(room)
        blocks = sorted((make() for _ in range(_BLOCKS)), key=id)
        blocks.clear()  # from its end
    gc.enable()


_LARGEST_BLOCK = 512
"""Bytes that Python's own allocator gives out at once."""
_BLOCKS = 48


class _Broker:
    """Forks sessions, sends them signals and tells of their ends.

    It keeps numbers alone, in an array that is there from the beginning: what it would allocate for one session would
    change the addresses in the next one, and with them the order of sets.
    """

    def __init__(self, control: socket.socket, template: _Template) -> None:
        self._control = control
        self._template = template
        self._pids = array.array("i", bytes(array.array("i").itemsize * SLOTS))
        self._ends, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Do what the driver says until it is gone."""
        while True:
            ready, _, _ = select.select([self._control.fileno(), self._ends], [], [])
            if self._ends in ready:
                os.read(self._ends, 4096)
                self._tell_of_the_dead()
            if self._control.fileno() in ready:
                packet, descriptors, _, _ = socket.recv_fds(self._control, orders.SIZE, 2)
                if not packet:
                    return
                self._obey(orders.read(packet), descriptors)

    def _obey(self, order: Message, descriptors: list[int]) -> None:
        if order.kind == orders.OPEN:
            try:
                pid = os.fork()
            except OSError as error:
                self._control.send(Message(orders.FAILED, order.slot, error.errno or 0).pack())
            else:
                if pid == 0:
                    try:
                        inbox, outbox = descriptors
                        self._template.become(inbox, outbox, order.amount)
                    finally:
                        os._exit(1)
                self._pids[order.slot] = pid
        # Until it was waited for, a number is nobody else's.
        elif pid := self._pids[order.slot]:
            os.kill(pid, order.number)
        for descriptor in descriptors:
            os.close(descriptor)

    def _tell_of_the_dead(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            try:
                slot = self._pids.index(pid)
            except ValueError:  # a stranger: a process whose parent ended
                continue
            self._pids[slot] = 0
            seconds = usage.ru_utime + usage.ru_stime
            self._control.send(Message(orders.ENDED, slot, status, seconds, usage.ru_maxrss).pack())
