"""One trial: disturb the work once or more, let it come to its end, and hold the result against an undisturbed one."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from omr_kedro.llm.calls import Completion
from omr_kedro.llm.engine.progress import Tally
from trials import clock, evidence
from trials.child import Child, Ending
from trials.disk import HOWS, Disk, Fault
from trials.room import Room, limit_files
from trials.scenes import Scene
from trials.server import Bills

Tell = Callable[[Any], None]
Setup = Callable[[Tell], None]

SIGNALS = {name: getattr(signal, name) for name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGUSR1")}
HOW = (*HOWS, *SIGNALS, "no room", "files that may not grow", "two at once")
_MOST_DISTURBANCES = 4
_MOST_PAGES = 40


@dataclass
class Calm:
    """The work undisturbed."""

    rows: dict[str, list[str]]
    paid: int
    operations: int
    seconds: float


@dataclass
class Outcome:
    """What one trial showed."""

    number: int
    scene: str
    how: str
    flow: str
    mix: str
    clock: bool
    """Whether the wall clock jumped all the while."""
    hits: list[str] = field(default_factory=list)
    """Every disturbance that struck, and where."""
    states: list[str] = field(default_factory=list)
    """What was on disk after each."""
    rows: int = 0
    rows_lost: int = 0
    rows_wrong: int = 0
    paid: int = 0
    paid_twice: int = 0
    lost_in_flight: int = 0
    """Replies that were paid and had not reached the disk when the process was killed or the disk was full."""
    findings: list[str] = field(default_factory=list)
    """What must not be."""


class Point:
    """Everything about a trial follows from its number and the seed of all."""

    def __init__(
        self, seed: int, number: int, scene: Scene, how: str, calm: Callable[[int], Calm], bills: Bills, root: Path
    ) -> None:
        self._scene, self._how, self._calm, self._bills = scene, how, calm, bills
        self._random = random.Random(f"{seed}/{number}")
        flows = ["fresh", "changed", "changed back"] if scene.versions == 2 else ["fresh"]
        mixes = ["calm", "rough", "hanging", "hostile"] if scene.window else ["calm"]
        flow = self._random.choices(flows, [4, 1, 1][: len(flows)])[0]
        mix = self._random.choices(mixes, [16, 2, 1, 5][: len(mixes)])[0]
        clock_jumps = bool(scene.window) and self._random.random() < 0.2
        self._account = f"t{seed}-{number}"
        self._folder = root / self._account
        self._log = root / f"{self._account}.log"
        self._room: Room | None = None
        self.outcome = Outcome(number, scene.name, how, flow, mix, clock_jumps)

    def run(self) -> Outcome:
        """Try it. What was found stays where it is, to be looked at."""
        if self._how == "no room":
            with Room(self._folder) as self._room:
                self._try()
        else:
            self._try()
        if not self.outcome.findings:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._log.unlink(missing_ok=True)
        shutil.rmtree(self._folder.with_name(self._folder.name + ".kept"), ignore_errors=True)
        self._bills.forget(self._account)
        return self.outcome

    def _try(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._scene.prepare(self._folder)
        try:
            flow = self.outcome.flow
            if flow != "fresh":
                self._come_to_the_end(1)
            disturbed = 1 if flow == "fresh" else 2
            for _ in range(_MOST_DISTURBANCES):
                self._disturb(disturbed)
                if self._random.random() < 0.6:
                    break
            last = 2 if flow == "changed" else 1
            self._come_to_the_end(last)
            self._compare(self._calm(last))
        except (OSError, ValueError, LookupError) as error:  # it hangs, or left what cannot be read
            self.outcome.findings.append(f"{type(error).__name__}: {error}")

    def _come_to_the_end(self, version: int) -> None:
        (ending,) = self._accounted([partial(self._finish, version)])
        if ending.status != 0:
            self.outcome.findings.append(f"an undisturbed run failed: {ending.error or ending.status}")

    def _finish(self, version: int, tell: Tell) -> None:
        _tell_what_counts(tell)
        self._set_clock()
        self._scene.finish(self._folder, self._endpoint(), version)

    def _work(self, version: int, number: int, prepare: Setup, tell: Tell) -> None:
        _tell_what_counts(tell)
        self._set_clock()
        prepare(tell)
        self._scene.run(self._folder, self._endpoint(), version, number)

    def _endpoint(self) -> str:
        return self._bills.endpoint(self._account, self.outcome.mix)

    def _set_clock(self) -> None:
        if self.outcome.clock:
            clock.jump(self._random)

    def _disturb(self, version: int) -> None:
        calm = self._calm(version)
        works = [partial(self._work, version, number, _nothing) for number in range(self._scene.processes)]
        moment = self._random.uniform(0, calm.seconds)
        if self._how in HOWS:
            at = self._random.randint(1, max(1, calm.operations // self._scene.processes))
            works[0] = partial(self._work, version, 0, partial(self._break_disk, at))
            endings = self._accounted(works, lossy=True)
        elif self._how in SIGNALS:
            endings = self._accounted(works, lossy=self._how != "SIGINT", then=partial(self._send, moment))
        elif self._how == "two at once":
            works.append(partial(self._work, version, 0, _nothing))
            endings = self._accounted(works, apart=moment)
        else:
            if self._room:
                self._room.shrink(self._random.randint(0, _MOST_PAGES))
            else:
                works[0] = partial(self._work, version, 0, partial(limit_files, self._random))
            endings = self._accounted(works, lossy=True)
            if self._room:
                self._room.widen()
        self._judge(endings)

    def _break_disk(self, at: int, tell: Tell) -> None:
        fault = Fault(at, self._how)  # type: ignore[arg-type]
        Disk(self._folder, fault, f"{self._account}/{at}", tell).watch()

    def _send(self, moment: float, children: list[Child]) -> None:
        time.sleep(moment)
        self._random.choice(children).kill(SIGNALS[self._how])

    def _accounted(
        self,
        works: Sequence[Callable[[Tell], None]],
        lossy: bool = False,
        then: Callable[[list[Child]], None] | None = None,
        apart: float = 0.0,
    ) -> list[Ending]:
        """Do the work in children, and hold what was paid against what is on disk before and after."""
        known, bill = evidence.paid_on_disk(self._folder), self._bills.paid(self._account)
        children = [Child(works[0], self._log)]
        time.sleep(apart)
        children += [Child(work, self._log) for work in works[1:]]
        if then:
            then(children)
        endings = [ending for child in children if (ending := child.wait())]
        paid, now = self._bills.paid(self._account) - bill, evidence.paid_on_disk(self._folder)
        counted = Counter(key for ending in endings for key in ending.counted)
        again = sum(count if key in known else max(0, counted[key] - 1) for key, count in paid.items())
        lost = sum(max(0, count - max(counted[key], key in now)) for key, count in paid.items() if key not in known)
        self.outcome.paid += paid.total()
        self.outcome.paid_twice += again
        self.outcome.lost_in_flight += lost
        if again:
            self.outcome.findings.append(f"{again} calls were paid twice")
        if vanished := len((known | counted.keys()) - now):
            self.outcome.findings.append(f"{vanished} calls that had counted as finished are not on disk")
        if lost > (self._scene.window if lossy else 0):
            self.outcome.findings.append(f"{lost} paid replies did not reach the disk, window {self._scene.window}")
        return endings

    def _judge(self, endings: list[Ending]) -> None:
        hits = [f"{self._how}: {ending.told[0]}" for ending in endings if ending.told]
        if self._how == "two at once":
            hits = [self._judge_two([ending for ending in endings if ending.status != 0])]
        elif self._how not in HOWS:
            hits = [self._how for ending in endings if ending.status != 0]
        for ending in endings:
            error = ending.error
            if error and not error["explained"] and error["kind"] != "KeyboardInterrupt":
                self.outcome.findings.append(
                    f"ended with {error['kind']}, which explains nothing: {error['text'][-300:]}"
                )
        self.outcome.hits += hits
        if hits:
            self.outcome.states.append(evidence.state(self._folder))

    def _judge_two(self, refused: list[Ending]) -> str:
        for ending in refused:
            text = (ending.error or {"text": f"status {ending.status}"})["text"]
            if "is being written by process" not in text:
                self.outcome.findings.append(f"a second run was refused with: {text}")
        if len(refused) > 1:
            self.outcome.findings.append("two runs refused each other")
        return "two at once: " + ("one was refused" if refused else "both came to their end")

    def _compare(self, calm: Calm) -> None:
        found = evidence.finished_tables(self._folder)
        differ = []
        for name, rows in calm.rows.items():
            there = found.get(name, [])
            self.outcome.rows += len(rows)
            self.outcome.rows_lost += max(0, len(rows) - len(there))
            self.outcome.rows_wrong += sum(one != other for one, other in zip(rows, there, strict=False))
            if rows != there:
                differ.append(name)
        if differ:
            self.outcome.findings.append(f"{len(differ)} shards are not as they should be, first {differ[0]}")
        self.outcome.findings += [f"{name} should not be there" for name in sorted(found.keys() - calm.rows.keys())]
        self.outcome.findings += evidence.faults_of_tables(self._folder)


def _nothing(tell: Tell) -> None:
    """No setup."""


def _tell_what_counts(tell: Tell) -> None:
    """In a child: report each call that counts as finished. From then on its reply must survive anything."""
    count = Tally.add

    def add(tally: Tally, completion: Completion) -> None:
        if completion.error_kind is None:
            tell({"counted": completion.call_key})
        count(tally, completion)

    Tally.add = add  # type: ignore[method-assign, assignment]
