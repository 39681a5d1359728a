"""The process of a model server, under a supervisor that ends it with the run."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

from omr_kedro.llm.serving.leftovers import end_marked, marking
from omr_kedro.llm.serving.listeners import listens_below

_LOG_TAIL_LINES = 20
_CAUSE_LINES = 12
_CAUSE = re.compile(r"\b(?:[A-Z]\w*(?:Error|Exception)|error|CUDA out of memory)\b: \S")


@dataclass(frozen=True)
class ServerSpec:
    """How to start a server.

    `command` is a list of words; `{model}` and `{port}` are filled in, and a leading `python` is this interpreter.
    `args` are added as `--name value`; true gives the bare flag, false and null nothing.
    """

    command: tuple[str, ...]
    args: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    start_timeout_s: float = 1800
    """Loading a large model from a cold network disk takes tens of minutes."""
    log: Path = Path("model-server.log")
    folder: Path = Path()
    """Where the server runs."""

    def words(self, model: str, port: int) -> list[str]:
        """The command line."""
        words = [word.replace("{model}", model).replace("{port}", str(port)) for word in self.command]
        if words[0] == "python":
            words[0] = sys.executable
        for name, value in self.args.items():
            if value is True:
                words.append(f"--{name}")
            elif value is not None and value is not False:
                words += [f"--{name}", str(value)]
        return words

    @property
    def installed(self) -> bool:
        """Whether the command can be found on this machine."""
        return self.command[0] == "python" or shutil.which(self.command[0]) is not None


class ServerProcess:
    """A server's process and its log. It ends when this process does, however that ends."""

    def __init__(self, spec: ServerSpec, log: Path) -> None:
        self._spec = spec
        self._log = log
        self._log_began = 0
        self._words: list[str] = []
        self._mark = token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """Whether the process runs; a server can be alive and deaf, so calls have time limits as well."""
        return self._process is not None and self._process.poll() is None

    def start(self, words: list[str], env: Mapping[str, str] | None = None) -> None:
        """Start it, with variables of this start beside those of the spec; returns at once."""
        self._words = words
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._log_began = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 (words from the catalog, no shell)
                [sys.executable, "-m", "omr_kedro.llm.serving.supervisor", *words],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, **self._spec.env, **(env or {}), **marking(self._mark)},
                cwd=self._spec.folder,
                start_new_session=True,
            )

    def listens(self, port: int) -> bool:
        """Whether this server is the one that listens on a port; believed where the kernel does not tell."""
        return self._process is not None and listens_below(self._process.pid, port) is not False

    def stop(self) -> None:
        """Stop it; returns when it is gone, with all that it has started, also when its supervisor was killed."""
        if self._process is None:
            return
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()
        self._process = None
        end_marked(self._mark)

    def death_report(self) -> str:
        """Command, exit status and last log lines of a server that died."""
        status = self._process.poll() if self._process else None
        return f"command: {' '.join(self._words)}\nexit status: {status}\n{self._last_words()}"

    def _last_words(self) -> str:
        lines = self._log_lines()
        tail = lines[-_LOG_TAIL_LINES:]
        # A server of several processes tells its cause first, and then for a hundred lines that a child has failed.
        causes = list(dict.fromkeys(line for line in lines[: -len(tail)] if _CAUSE.search(line)))[:_CAUSE_LINES]
        parts = [("errors in", causes), ("end of", tail or ["(the log is empty)"])]
        return "\n".join("\n  ".join([f"{what} {self._log}:", *said]) for what, said in parts if said)

    def _log_lines(self) -> list[str]:
        if not self._log.exists():
            return []
        with self._log.open("rb") as log:
            log.seek(self._log_began)
            return log.read().decode("utf-8", "replace").splitlines()


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
