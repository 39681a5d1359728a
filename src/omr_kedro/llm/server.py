"""A local model server: started where the calls are made, probed, watched, and stopped with the run."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from omr_kedro.llm.client import ChatClient
from omr_kedro.llm.errors import CallError, ModelServerError
from omr_kedro.llm.request import Request, Sampling

_LOG_TAIL_LINES = 20


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


class LocalServer:
    """A running server; `base_url` answers once `start` has returned."""

    def __init__(self, spec: ServerSpec, model: str) -> None:
        self.spec = spec
        self.model = model
        self.base_url = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """Whether the process runs; a server can be alive and deaf, so calls have time limits as well."""
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Start the process and wait until it answers a request for one token.

        Raises:
            ModelServerError: it ended or stayed silent; ends with the tail of its log.
        """
        port = _free_port()
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self.spec.log.parent.mkdir(parents=True, exist_ok=True)
        with self.spec.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603, ASYNC220 (returns at once)
                [sys.executable, "-m", "omr_kedro.llm.supervisor", *self.spec.words(self.model, port)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.spec.env},
                cwd=self.spec.folder,
                start_new_session=True,
            )
        await self._wait_until_answering()

    def stop(self) -> None:
        """Stop the process; returns when it is gone."""
        if self._process is None:
            return
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()
        self._process = None

    def obituary(self) -> str:
        """What is left to say of a server that died: command, exit status, tail of the log."""
        status = self._process.poll() if self._process else None
        lines = (
            self.spec.log.read_text("utf-8", "replace").splitlines()[-_LOG_TAIL_LINES:]
            if self.spec.log.exists()
            else []
        )
        tail = "\n  ".join(lines) or "(the log is empty)"
        return f"command: {' '.join(self.spec.command)}\nexit status: {status}\nend of {self.spec.log}:\n  {tail}"

    async def _wait_until_answering(self) -> None:
        deadline = time.monotonic() + self.spec.start_timeout_s
        probe = Request("probe", [{"role": "user", "content": "1"}], Sampling(max_tokens=1), prompt_hash="")
        async with ChatClient(self.base_url, self.model, None, timeout_s=60) as client:
            while True:
                try:
                    await client.complete(probe, "probe")
                except CallError as error:
                    self._check_start(error, deadline)
                    await asyncio.sleep(0.1)
                else:
                    return

    def _check_start(self, error: CallError, deadline: float) -> None:
        if not self.alive:
            raise ModelServerError(f"The model server ended before it answered.\n{self.obituary()}")
        if not error.retryable:
            story = self.obituary()
            self.stop()
            raise ModelServerError(f"The model server refuses a request for one token: {error.message}\n{story}")
        if time.monotonic() > deadline:
            story = self.obituary()
            self.stop()
            raise ModelServerError(
                f"The model server did not answer within {self.spec.start_timeout_s:g} s (last: {error.message}).\n"
                f"{story}\n"
                "Raise `server.start_timeout_s` of the model in the catalog if it only needs longer."
            )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
