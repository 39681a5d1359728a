"""A model that one node cannot hold: the same server command on several nodes, each of which holds a part.

The first node makes the calls. When it starts its server it writes on a board, a file that all nodes see, what the
others are to start; they do so until the board says that it is over. A file, since it needs no more of a site than
shards do: inside a container there is no `srun` to start anything elsewhere.

The options are those of vLLM's `mp` backend (0.33: `--nnodes --node-rank --master-addr --master-port --headless`).
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from pydantic import BaseModel, ValidationError

from omr_kedro.llm.serving.process import ServerProcess, ServerSpec, free_port
from omr_kedro.shards.files import whole_file

logger = logging.getLogger(__name__)

TEAM_OPTIONS = ("nnodes", "node-rank", "master-addr", "master-port", "headless")
"""Options of `vllm serve` that a team sets itself."""

_POLL_S = 0.5


class Notice(BaseModel):
    """The content of the board."""

    start: str = ""
    """Differs from start to start; empty when there is nothing to start."""
    words: list[str] = []
    """Command of all nodes, but for the rank."""
    over: bool = False
    """Whether nothing more will be started."""


class Loss(BaseModel):
    """Report of another node whose server died."""

    start: str
    report: str


@dataclass(frozen=True)
class Team:
    """The nodes that serve one model together."""

    nodes: int
    address: str
    """Address of the first node, as the others reach it."""
    board: Path

    def announce(self, words: list[str]) -> tuple[str, list[str]]:
        """Tell the other nodes to start their part; returns the name of this start, and the first node's command."""
        meeting = ["--nnodes", str(self.nodes), "--master-addr", self.address, "--master-port", str(free_port())]
        notice = Notice(start=token_hex(4), words=[*words, *meeting])
        self._write(self.board, notice)
        return notice.start, _ranked(notice, 0)

    def dismiss(self) -> None:
        """Tell the other nodes that nothing more is to be served."""
        self._write(self.board, Notice(over=True))

    def loss(self, start: str) -> str | None:
        """Report of a node that has lost its part; None while all is well."""
        for rank in range(1, self.nodes):
            try:
                loss = Loss.model_validate_json(self._loss_path(rank).read_bytes())
            except (FileNotFoundError, ValidationError):
                continue
            if loss.start == start:
                return loss.report
        return None

    def follow(self, rank: int, spec: ServerSpec) -> None:
        """Start on this node, which is not the first, what the board asks for; returns when it is over."""
        process: ServerProcess | None = None
        started, lost = "", ""
        try:
            while not (notice := self._read()).over:
                if notice.start != started:
                    if process:
                        process.stop()
                    started = notice.start
                    process = ServerProcess(spec, _log_of(spec.log, rank))
                    process.start(_ranked(notice, rank))
                    logger.info("Serving part %d of %d", rank, self.nodes)
                elif process and not process.alive and lost != started:
                    lost = started
                    self._write(
                        self._loss_path(rank), Loss(start=started, report=f"node {rank}: {process.death_report()}")
                    )
                time.sleep(_POLL_S)
        finally:
            if process:
                process.stop()

    def _read(self) -> Notice:
        try:
            return Notice.model_validate_json(self.board.read_bytes())
        except (FileNotFoundError, ValidationError):
            return Notice()

    def _loss_path(self, rank: int) -> Path:
        return self.board.with_suffix(f".lost-{rank}.json")

    @staticmethod
    def _write(path: Path, content: BaseModel) -> None:
        with whole_file(path, "w") as file:
            file.write(content.model_dump_json())


def _ranked(notice: Notice, rank: int) -> list[str]:
    return [*notice.words, "--node-rank", str(rank), *(["--headless"] if rank else [])]


def _log_of(log: Path, rank: int) -> Path:
    return log.with_name(f"{log.stem}-{rank}{log.suffix}")
