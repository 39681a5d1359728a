"""The driver's hold on one zygote: starts it, orders sessions, hears of their ends."""

from __future__ import annotations

import asyncio
import heapq
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from omr_kedro.sandbox.channel import Channel
from omr_kedro.sandbox.errors import SandboxError, SandboxRefusedError
from omr_kedro.sandbox.jail import orders
from omr_kedro.sandbox.jail.orders import Message
from omr_kedro.sandbox.jail.settings import SLOTS, Settings
from omr_kedro.sandbox.remedies import other_system, refusal_text

START_SECONDS = 120.0
"""In which a zygote must be there; imports come from a file system that may be slow."""
_ERROR_CHARACTERS = 2000
_PACKAGE_FOLDER = Path(__file__).parent
# Not -I, which would have PYTHONHASHSEED ignored.
_OPTIONS = ("-s", "-P", "-B")
_LAUNCH = """import sys
sys.path.insert(0, sys.argv[1])
from jail import {module}
sys.path.pop(0)
{module}.main(sys.argv[2:])"""
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",  # noqa: S108 (of the session, where there is a /tmp of its own)
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    # A process with threads cannot leave its user namespace, and a session has one thread.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
_PASSED_ON = ("LD_LIBRARY_PATH",)
"""A Python that a cluster's `module load` brought does not start without it."""


@dataclass(frozen=True, slots=True)
class End:
    """End of a session's process."""

    status: int = signal.SIGKILL
    """As `wait` tells it."""
    cpu_seconds: float = 0.0
    peak_kb: int = 0
    reason: str = ""
    """Why there never was a process, in the kernel's words."""

    @property
    def words(self) -> str:
        """How it ended, for the model that wrote its code."""
        if self.reason:
            return f"no process could be started: {self.reason}"
        if os.WIFSIGNALED(self.status):
            return signal.Signals(os.WTERMSIG(self.status)).name
        return f"exit status {os.waitstatus_to_exitcode(self.status)}"


class Process:
    """One session's process: its pipes, signals to it, its end."""

    def __init__(self, zygote: Zygote, slot: int, channel: Channel) -> None:
        self.zygote = zygote
        self._slot = slot
        self.channel = channel
        self.ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self._stopped = False
        self._talking = False
        self._hung_up = False

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, by way of the zygote, which knows whether it is still there."""
        if not self.ended.done():
            self.zygote.send(Message(orders.SIGNAL, self._slot, number))

    def stop(self) -> None:
        """Let nothing of it run, no timer and no signal handler, until `go_on`."""
        self._stopped = True
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it run again."""
        if self._stopped:
            self._stopped = False
            self.signal(signal.SIGCONT)

    def hang_up(self) -> None:
        """End the process; `ended` comes when the zygote has heard of it.

        Whoever is talking hears the end of the replies, and the channel is closed after that: a descriptor must not be
        closed, and so given to another session, while the event loop watches it.
        """
        self.signal(signal.SIGKILL)
        self._hung_up = True
        if not self._talking:
            self.channel.close()

    @property
    def given_up(self) -> bool:
        """Whether it was ended from outside, or with its zygote, whatever its cell did."""
        return self._hung_up or not self.zygote.alive

    @property
    def talking(self) -> bool:
        """Whether somebody waits for its answer."""
        return self._talking

    @talking.setter
    def talking(self, talking: bool) -> None:
        self._talking = talking
        if self._hung_up and not talking:
            self.channel.close()


def command(python: str, module: str, *words: str) -> list[str]:
    """The command line that runs the main function of a module of the jail, with nothing else of this project."""
    return [python, *_OPTIONS, "-c", _LAUNCH.format(module=module), str(_PACKAGE_FOLDER), *words]


def environment() -> dict[str, str]:
    """The whole environment of a zygote; no key, token or home of this process is in it."""
    return {**_ENVIRONMENT, **{name: os.environ[name] for name in _PASSED_ON if name in os.environ}}


class Zygote:
    """A zygote that runs, or has run. `start` makes one."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket, errors: IO[bytes]) -> None:
        self._process = process
        self._control = control
        self._errors = errors
        self._loop = asyncio.get_running_loop()
        self._unsent: deque[tuple[bytes, Channel | None]] = deque()
        self._processes: dict[int, Process] = {}
        self._free: list[int] = []
        self._next_slot = 0
        self.opened = 0
        """Sessions that it was asked for."""
        self.alive = True
        self.level = ""
        self.missing: list[str] = []
        """Modules that it should have imported and that are not installed."""
        self.refusals: list[str] = []
        """Levels that were tried before, and why they cannot be had."""

    @classmethod
    async def start(cls, settings: Settings, python: str = sys.executable) -> Zygote:
        """Start one and wait until it is warm.

        Args:
            settings: its control descriptor is set here.
            python: interpreter whose libraries cells import.

        Raises:
            SandboxRefusedError: none of the levels can be had on this machine.
            SandboxError: it did not start.
        """
        if words := other_system():
            raise SandboxRefusedError(words)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        errors = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        settings = replace(settings, control=theirs.fileno())
        with theirs:
            process = subprocess.Popen(  # noqa: S603, ASYNC220 (this interpreter, no shell; takes a millisecond)
                command(python, "zygote", *settings.words()),
                env=environment(),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                cwd="/",
                start_new_session=True,  # Ctrl-C is for the driver, which ends it
            )
        zygote = cls(process, ours, errors)
        try:
            await zygote._hear_that_it_is_ready()
        except BaseException:
            await zygote.close()
            raise
        return zygote

    async def _hear_that_it_is_ready(self) -> None:
        try:
            packet = await asyncio.wait_for(self._loop.sock_recv(self._control, orders.SIZE), START_SECONDS)
        except (TimeoutError, ConnectionError):
            packet = b""
        message = orders.read(packet) if packet else None
        if message and message.kind == orders.REFUSED:
            raise SandboxRefusedError(refusal_text(message.words))
        if not message:
            self._process.kill()
            status = await asyncio.to_thread(self._process.wait)
            self._errors.seek(0)
            said = self._errors.read()[-_ERROR_CHARACTERS:].decode("utf-8", "replace").strip()
            raise SandboxError(f"the sandbox did not start (exit status {status}):\n{said}")
        self.level, missing, *self.refusals = message.words.split("\n")
        self.missing = [name for name in missing.split(",") if name]
        self._loop.add_reader(self._control, self._hear)

    @property
    def idle(self) -> bool:
        """Whether it has no session."""
        return not self._processes

    def open(self, seed: int) -> Process:
        """Order a session; it answers on its channel when it is confined.

        Raises:
            SandboxError: it has as many sessions as it can have.
            OSError: this process has no descriptor left.
        """
        slot = heapq.heappop(self._free) if self._free else self._next_slot
        if slot >= SLOTS:
            raise SandboxError(f"a zygote has {SLOTS:,} sessions at most")
        self._next_slot = max(self._next_slot, slot + 1)
        process = Process(self, slot, Channel())
        self.opened += 1
        if self.alive:
            self._processes[slot] = process
            self.send(Message(orders.OPEN, slot, amount=seed), process.channel)
        else:
            process.ended.set_result(End())
            process.channel.close_theirs()
        return process

    def send(self, message: Message, channel: Channel | None = None) -> None:
        """Send an order, at once or as soon as the zygote takes it; never waits."""
        if not self.alive:
            return
        self._unsent.append((message.pack(), channel))
        if len(self._unsent) == 1:
            self._flush()

    def _flush(self) -> None:
        while self._unsent:
            packet, channel = self._unsent[0]
            try:
                if channel:
                    socket.send_fds(self._control, [packet], list(channel.theirs))
                else:
                    self._control.send(packet)
            except BlockingIOError:
                self._loop.add_writer(self._control, self._flush)
                return
            except OSError:
                self._die()
                return
            self._unsent.popleft()
            if channel:
                channel.close_theirs()
        self._loop.remove_writer(self._control)

    def _hear(self) -> None:
        try:
            packet = self._control.recv(orders.SIZE)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if not packet:
            self._die()
            return
        message = orders.read(packet)
        process = self._processes.pop(message.slot, None)
        if process is None:
            return
        heapq.heappush(self._free, message.slot)
        if message.kind == orders.ENDED:
            end = End(message.number, message.seconds, message.amount)
        else:
            end = End(reason=os.strerror(message.number))
        process.ended.set_result(end)

    def _die(self) -> None:
        """Note that it is gone, and with it all its sessions."""
        if not self.alive:
            return
        self.alive = False
        self._loop.remove_reader(self._control)
        self._loop.remove_writer(self._control)
        self._control.close()
        for _, channel in self._unsent:
            if channel:
                channel.close_theirs()
        self._unsent.clear()
        for process in self._processes.values():
            process.ended.set_result(End())
        self._processes.clear()

    def kill(self) -> None:
        """End it and all its sessions, whatever they do."""
        self._process.kill()
        self._die()

    async def close(self) -> None:
        """End it and all its sessions, and wait until it is gone."""
        self.kill()
        await asyncio.to_thread(self._process.wait)
        self._errors.close()
