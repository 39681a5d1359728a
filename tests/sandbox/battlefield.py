"""Runs attacks at one level, as whoever it is started as: `python -m tests.sandbox.battlefield LEVEL FOLDER`.

Names of attacks may follow; otherwise all are made that the level holds. Prints one JSON object: by name, what each
attack did that it must not do. In the folder it makes a home with canaries; beside it there are a bystander process, a
bystander session and listening sockets, and it looks at all of them after each attack.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import platform
import re
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from omr_kedro.sandbox import Limits, Plan, Pool, Status
from tests.sandbox.attacks import ATTACKS, NUMBERS, PRELUDE, Attack
from tests.support.processes import descendants

CHARACTERS = 20_000
MOST_CHARACTERS = CHARACTERS + 20
PATIENT = Limits(seconds=20, grace_seconds=1, characters=CHARACTERS, memory_mb=256, scratch_mb=16)
HASTY = Limits(seconds=0.15, grace_seconds=0.1, characters=CHARACTERS, memory_mb=256, scratch_mb=16)
MOST_GROWTH = 48 << 20
MOST_CPU_BETWEEN_S = 0.5
_SUBREAPER = 36
_WHOLE = "import sympy as s, numpy as n\nprint(s.sin(0) + s.Symbol('x'), n.arange(3).sum())"


class World:
    """Everything that no attack may reach."""

    def __init__(self, folder: Path) -> None:
        self.home = home = folder / "home"
        self.key, self.rc = home / ".ssh/id_rsa", home / ".bashrc"
        self.key.parent.mkdir(parents=True)
        temporary = folder / "tmp"
        temporary.mkdir()
        for file in (self.key, self.rc, temporary / "secret"):
            file.write_text("CANARY-FILE")
        self.key.chmod(0o600)
        os.utime(self.key, (1e9, 1e9))
        os.environ["SECRET_TOKEN"] = "CANARY-ENV"
        self.victim = subprocess.Popen(["sleep", "1000"], env={"SECRET": "CANARY-ENV", "PATH": os.environ["PATH"]})
        self.hits = 0
        tcp = socket.create_server(("127.0.0.1", 0))
        self.port = tcp.getsockname()[1]
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", self.port))
        self.abstract = f"omr-{os.getpid()}"
        listeners = [tcp, udp]
        for name in (f"{home}/agent", f"\0{self.abstract}"):
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(name)
            listener.listen()
            listeners.append(listener)
        for listener in listeners:
            threading.Thread(target=self._listen, args=(listener,), daemon=True).start()

    def _listen(self, listener: socket.socket) -> None:
        while True:
            if listener.type == socket.SOCK_STREAM:
                listener.accept()
            else:
                listener.recv(100)
            self.hits += 1

    def state(self) -> dict[str, Any]:
        """All of it that can be compared."""
        pid = self.victim.pid
        files = {
            str(path): (s.st_mode, s.st_uid, s.st_nlink, s.st_size, s.st_mtime, os.listxattr(path))
            for path in sorted(self.home.rglob("*"))
            for s in [path.lstat()]
        }
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return {
            "victim": "stopped or dead" if fields[0] in "TtZX" else "alive",
            "victim's priority": fields[15:17],
            "victim's limits": resource.prlimit(pid, resource.RLIMIT_CPU),
            "victim's affinity": sorted(os.sched_getaffinity(pid)),
            "connections": self.hits,
            "files": files,
            "key": self.key.read_text(),
            "System V": [len(Path("/proc/sysvipc", kind).read_text().splitlines()) for kind in ("shm", "sem", "msg")],
        }


def memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def settled(before: set[int]) -> set[int]:
    """Processes that are there and were not before, once the dead ones are gone."""
    for _ in range(100):
        if not (left := set(descendants()) - before):
            break
        await asyncio.sleep(0.02)
    return left


class Battle:
    """One pool and its bystander session."""

    def __init__(self, pool: Pool, world: World, places: dict[str, object]) -> None:
        self.pool = pool
        self.world = world
        self.places = places
        self.bystander = pool.session("bystander")

    async def prepare(self) -> None:
        before = descendants()
        assert (await self.bystander.run("import sympy\nsecret = 'CANARY-SESSION'")).status is Status.COMPLETED
        ((other, zygote),) = [(pid, up) for pid, up in descendants().items() if pid not in before]
        self.places |= {"OTHER": other, "ZYGOTE": zygote}

    async def faults(self, attack: Attack) -> list[str]:
        """What an attack did that it must not do."""
        before, there, size = self.world.state(), set(descendants()), memory()
        cpu = self.pool.metrics.cpu_seconds
        texts, seconds = [], 0.0
        async with self.pool.session("attack") as session:
            for cell in [PRELUDE.format(numbers=NUMBERS[platform.machine()]), *attack.filled(self.places)]:
                result = await session.run(cell)
                texts += [result.stdout, result.stderr]
                seconds += result.seconds
        faults = [f"{len(left)} processes are left"] if (left := await settled(there)) else []
        used = self.pool.metrics.cpu_seconds - cpu
        if not attack.endless and used - seconds > MOST_CPU_BETWEEN_S:
            faults.append(f"{used - seconds:.1f} s of CPU between cells")
        faults += self.faults_of_texts(texts)
        now = self.world.state()
        faults += [f"{name}: {before[name]} became {now[name]}" for name in now if now[name] != before[name]]
        if memory() - size > MOST_GROWTH:
            faults.append(f"the driver grew by {(memory() - size) >> 20} MB")
        return faults + await self.faults_of_others()

    def faults_of_texts(self, texts: list[str]) -> list[str]:
        faults = []
        # At the beginning of a line, so that the source in a traceback is none.
        faults += [line[:200] for text in texts for line in text.splitlines() if re.match("LEAK\\b|.*CANARY-", line)]
        if any(re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", text) for text in texts):
            faults.append("control characters")
        if (longest := max(map(len, texts))) > MOST_CHARACTERS:
            faults.append(f"{longest:,} characters")
        return faults

    async def faults_of_others(self) -> list[str]:
        faults = []
        async with self.pool.session("fresh") as fresh:
            text = (await fresh.run(_WHOLE)).stdout
        if text != "x 3\n":
            faults.append(f"a fresh session is hurt: {text[:200]!r}")
        result = await self.bystander.run("print(secret[:6], sympy.sin(0), 2 + 3)")
        if result.stdout != "CANARY 0 5\n" or result.rebuilt:
            faults.append("the bystander session is hurt")
        return faults


def held_at(level: str) -> list[str]:
    """Attacks that a level holds; all but a few for which it says why not."""
    return [name for name, attack in ATTACKS.items() if level == "namespaces" or not attack.namespaces_only]


async def main(level: str, folder: Path, names: Collection[str]) -> dict[str, list[str]]:
    world = World(folder)
    places: dict[str, object] = {
        "HOME": world.home,
        "TMP": folder / "tmp",
        "VICTIM": world.victim.pid,
        "DRIVER": os.getpid(),
        "PORT": world.port,
        "UNIX": world.home / "agent",
        "ABSTRACT": world.abstract,
        "PROJECT": Path(__file__).parents[2],
        "LONG": "#" * (2 << 20),
        "LARGE": "#" * 900_000,
    }
    faults: dict[str, list[str]] = {}
    try:
        for endless, limits in ((False, PATIENT), (True, HASTY)):
            plan = Plan(isolation=level, nice=0, modules=("numpy", "sympy"), cores=1)  # type: ignore[arg-type]
            async with Pool(plan, limits) as pool:
                battle = Battle(pool, world, places)
                await battle.prepare()
                size, begun = memory(), time.process_time()
                for attack in ATTACKS.values():
                    if attack.endless == endless and attack.name in names:
                        begin = time.perf_counter()
                        faults[attack.name] = await battle.faults(attack)
                        taken = time.perf_counter() - begin
                        print(f"{attack.name} {taken:.2f} s {faults[attack.name]}", file=sys.stderr)
                row = pool.metrics.row()
                print(f"driver {time.process_time() - begun:.1f} s of CPU, {row}", file=sys.stderr)
            if memory() - size > MOST_GROWTH:
                faults["the whole"] = [f"the driver grew by {(memory() - size) >> 20} MB"]
    finally:
        world.victim.kill()
        world.victim.wait()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"children {usage.ru_utime + usage.ru_stime:.1f} s of CPU", file=sys.stderr)
    return faults


def as_ordinary_user() -> None:
    """End this process where it is root's: what root is refused proves nothing of others, and what succeeds harms more.

    Raises:
        SystemExit: it is.
    """
    if os.getuid() == 0:
        sys.exit("attacks are made by an ordinary user: tests.support.ordinary_user becomes one")


if __name__ == "__main__":
    as_ordinary_user()
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    print(json.dumps(asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:] or held_at(sys.argv[1])))))
