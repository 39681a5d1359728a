"""A local model server: started where the calls are made, probed, watched, and stopped with the run."""

from __future__ import annotations

import asyncio
import logging
import time
from secrets import token_hex

from omr_kedro.llm.calls.errors import CallError, ModelServerError
from omr_kedro.llm.endpoint.client import ChatClient
from omr_kedro.llm.serving.process import ServerProcess, ServerSpec, free_port
from omr_kedro.llm.serving.team import Team

logger = logging.getLogger(__name__)

_PORTS_TRIED = 3

KEY_VARIABLE = "VLLM_API_KEY"
"""Environment variable by which `vllm serve` and the offline model learn the key that they are to ask for: a command
line could be read by others."""


class LocalServer:
    """A running server; `base_url` answers once `start` has returned."""

    def __init__(self, spec: ServerSpec, model: str, team: Team | None = None) -> None:
        self.spec = spec
        self.model = model
        self.base_url = ""
        self._port = 0
        self.api_key = token_hex(16)
        """Key of this start alone: others on this machine cannot use the server, nor answer in its place unseen."""
        self._team = team
        self._start = ""
        self._process = ServerProcess(spec, spec.log)

    @property
    def alive(self) -> bool:
        """Whether its process runs, and those of the other nodes that hold parts of the model."""
        return self._process.alive and not self._loss

    async def start(self) -> None:
        """Start the process and wait until it answers a request for one token.

        Raises:
            ModelServerError: it ended or stayed silent; ends with what its log says.
        """
        for _ in range(_PORTS_TRIED):
            self._port = free_port()
            self.base_url = f"http://127.0.0.1:{self._port}/v1"
            words = self.spec.words(self.model, self._port)
            if self._team:
                self._start, words = self._team.announce(words)
            self._process.start(words, {KEY_VARIABLE: self.api_key})
            await self._wait_until_answering()
            if self._process.listens(self._port):
                return
            logger.warning("Another process took port %d before the model server; trying another one.", self._port)
            self.stop()
        raise ModelServerError(
            f"Another process answered on each of {_PORTS_TRIED} ports that were free before the model server started. "
            "Nothing was asked of it. See which one (ss -tlnp), and run the same command again. A server that "
            "its command starts elsewhere, as in a container service, is yours to start: --params=endpoint=http://…/v1"
        )

    def stop(self) -> None:
        """Stop the process; returns when it is gone."""
        self._process.stop()

    def death_report(self) -> str:
        """Command, exit status and last log lines of a server that died."""
        return self._loss or self._process.death_report()

    @property
    def _loss(self) -> str | None:
        return self._team.loss(self._start) if self._team else None

    async def _wait_until_answering(self) -> None:
        deadline = time.monotonic() + self.spec.start_timeout_s
        async with ChatClient(self.base_url, self.model, self.api_key, timeout_s=60) as client:
            while True:
                try:
                    await client.probe()
                except CallError as error:
                    self._check_start(error, deadline)
                    await asyncio.sleep(0.1)
                else:
                    return

    def _check_start(self, error: CallError, deadline: float) -> None:
        if not self.alive:
            raise ModelServerError(f"The model server ended before it answered.\n{self.death_report()}")
        if not error.retryable:
            report = self.death_report()
            self.stop()
            raise ModelServerError(f"The model server refuses a request for one token: {error.message}\n{report}")
        if time.monotonic() > deadline:
            report = self.death_report()
            self.stop()
            raise ModelServerError(
                f"The model server did not answer within {self.spec.start_timeout_s:g} s (last: {error.message}).\n"
                f"{report}\n"
                "Raise `server.start_timeout_s` of the model in the catalog if it only needs longer."
            )
