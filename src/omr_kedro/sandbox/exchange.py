"""Conversation with one session's process: a cell goes there, and within its limit an answer or an end comes back."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass

from omr_kedro.sandbox.jail import frames
from omr_kedro.sandbox.limits import Limits, Status
from omr_kedro.sandbox.text import readable
from omr_kedro.sandbox.zygote import Process

_END_SECONDS = 0.5
"""In which the zygote mostly tells how a process ended."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Outcome of a cell as its process, or the end of its process, tells it."""

    status: Status
    stdout: str = ""
    stderr: str = ""


async def hear_ready(process: Process) -> None:
    """Wait until a new process is confined.

    Raises:
        frames.BrokenFrameError: it could not be; the message says why.
        EOFError, OSError: it ended.
    """
    head, _, words = await _receive(process, frames.WORDS_BYTES)
    if head.kind != frames.READY:
        raise frames.BrokenFrameError(readable(words, frames.WORDS_BYTES))


async def exchange(process: Process, number: int, code: str, limits: Limits, seconds: float) -> Answer:
    """Send a cell and take its answer.

    After `seconds` the cell is interrupted; when it does not heed that within its grace, the answer is `killed`. The
    caller ends the process after every answer that is not in `STATE_KEPT`.
    """
    try:
        data = frames.pack_cell(number, code)
    except ValueError as error:
        return Answer(Status.ERROR, stderr=f"{error}\n")
    process.go_on()
    answer = asyncio.create_task(_converse(process, data, limits.characters))
    process.talking = True
    try:
        late = not (await asyncio.wait({answer}, timeout=seconds))[0]
        if late:
            process.signal(signal.SIGINT)
            if not (await asyncio.wait({answer}, timeout=limits.grace_seconds))[0]:
                process.signal(signal.SIGKILL)
                return Answer(Status.KILLED, stderr=_timed_out(seconds, "; its variables are lost"))
        kind, stdout, stderr = answer.result()
    except (OSError, EOFError):
        return await _end(process)
    except frames.BrokenFrameError:
        words = "The session answered in no known form and was ended; its variables are lost.\n"
        return Answer(Status.BROKEN, stderr=words)
    finally:
        answer.cancel()
        await asyncio.wait({answer})
        process.talking = False
    process.stop()
    if late:
        return Answer(Status.TIMEOUT, stdout, _timed_out(seconds, ""))
    return Answer(Status.COMPLETED if kind == frames.COMPLETED else Status.ERROR, stdout, stderr)


async def _end(process: Process) -> Answer:
    """How a session ended that hung up."""
    process.signal(signal.SIGKILL)
    await asyncio.wait({process.ended}, timeout=_END_SECONDS)
    if process.given_up:
        return Answer(Status.UNAVAILABLE, stderr="The sandbox ended in the middle of the cell.\n")
    how = process.ended.result().words if process.ended.done() else "it closed its channel"
    return Answer(Status.CRASHED, stderr=f"The session ended ({how}); its variables are lost.\n")


async def _converse(process: Process, data: bytes, characters: int) -> tuple[int, str, str]:
    if process.channel.has_more():  # an answer that came before its cell
        raise frames.BrokenFrameError
    await process.channel.write(data)
    head, stdout, stderr = await _receive(process, characters * frames.BYTES_PER_CHARACTER)
    if head.kind not in (frames.COMPLETED, frames.FAILED):
        raise frames.BrokenFrameError
    return (
        head.kind,
        readable(stdout, characters, cut=head.stdout_cut),
        readable(stderr, characters, cut=head.stderr_cut),
    )


async def _receive(process: Process, most_bytes: int) -> tuple[frames.Head, bytes, bytes]:
    head = frames.read_head(await process.channel.read(frames.REPLY_HEAD.size), most_bytes)
    body = await process.channel.read(head.stdout_bytes + head.stderr_bytes)
    return head, body[: head.stdout_bytes], body[head.stdout_bytes :]


def _timed_out(seconds: float, rest: str) -> str:
    return f"Execution timed out after {seconds:g} seconds{rest}.\n"
