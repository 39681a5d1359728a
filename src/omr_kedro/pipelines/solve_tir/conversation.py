"""Conversations of a model with a sandbox: turns of text and code until the model ends, or a limit does.

Two formats. `token_exact` is for servers of one's own: the model writes code between tags in its text, stops there, and
goes on from exactly the token ids that were, so that the server's cache holds all but the output. `chat_tools` is for
hosted ones: the model calls a tool, and gets a message of the role `tool` for each call. Both end in a conversation
that is valid: no call is left without an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from omr_kedro.llm.calls import Completion, Request, Sampling, Steps
from omr_kedro.llm.calls.token_estimate import estimate_reply_tokens
from omr_kedro.solutions.code_blocks import CodeTags

PYTHON_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "python",
        "description": "Runs Python code and gives what it prints. Names stay defined from call to call. "
        "sympy, numpy and the standard library are there; there are no files and no network.",
        "parameters": {
            "type": "object",
            "properties": {"code": {"type": "string", "description": "the code to run"}},
            "required": ["code"],
        },
    },
}
NO_CODE_LEFT = "Not run: no more code may be run. Give the final answer by what is known."
UNREADABLE_CALL = (
    'Not run: the arguments must be a JSON object such as {"code": "print(1 + 1)"}, and the tool is python.'
)
_EXACT = {"include_stop_str_in_output": True, "return_token_ids": True, "skip_special_tokens": False}

_CALLS = "tool_calls"
"""Finish reason of a turn that ends in calls of tools: no whole reply anywhere else."""

STOP = "stop"
LENGTH, EXECUTION_LIMIT, NO_TOKEN_IDS = "truncated", "execution_limit", "no_token_ids"
"""Ends of conversations other than the model's own."""


@dataclass(frozen=True, slots=True)
class Run:
    """A piece of code and its outcome."""

    code: str
    output: str
    status: str
    """How it ended (`sandbox.Status`); `not_run` where it was not run."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Turn:
    """A reply of the model, and the runs of the code that is in it."""

    completion: Completion
    runs: list[Run]


@dataclass
class Conversation:
    """A sample, turn by turn."""

    turns: list[Turn] = field(default_factory=list)
    ended: str = STOP
    """`stop` by the model itself, or why it was ended."""
    generated_tokens: int = 0
    output_tokens: int = 0
    """Tokens of output that the model was given: counted by the server (`token_exact`), else estimated."""

    @property
    def tokens(self) -> int:
        """Tokens of its budget that are used up."""
        return self.generated_tokens + self.output_tokens

    @property
    def runs(self) -> list[Run]:
        """All code, in its order."""
        return [run for turn in self.turns for run in turn.runs]

    @property
    def executions(self) -> int:
        """Pieces of code that were run."""
        return sum(run.status != _NOT_RUN for run in self.runs)

    def add(self, completion: Completion) -> Turn:
        """Begin a turn."""
        turn = Turn(completion, [])
        self.turns.append(turn)
        self.generated_tokens += completion.completion_tokens
        return turn


_NOT_RUN = "not_run"


@dataclass(frozen=True)
class Limits:
    """Budget of one conversation."""

    tokens: int
    """Of replies and output together."""
    executions: int
    notices: bool = False
    """Whether the model is told how many executions are left."""


async def token_exact(steps: Steps, first: Request, tags: CodeTags, limits: Limits) -> Conversation:
    """Converse by text and token ids."""
    talk, session = Conversation(), steps.session(first)
    asked = replace(first, stop=(tags.stop,), extra_body={**first.extra_body, **_EXACT})
    while True:
        asked = replace(asked, sampling=_within(first.sampling, limits.tokens - talk.tokens))
        reply = await steps.ask(asked)
        turn = talk.add(reply)
        code = None if reply.stop_reason is None else tags.code_at_end(reply.text)
        if reply.cut or code is None:
            talk.ended = LENGTH if reply.cut else STOP
            return talk
        left = limits.executions - talk.executions
        if left <= 0:
            talk.ended = EXECUTION_LIMIT
            return talk
        outcome = await steps.run(session, code)
        turn.runs.append(_run(code, outcome))
        shown = tags.output(outcome.text, left - 1 if limits.notices or left == 1 else None)
        ids = await steps.ask(_token_ids_of(shown, asked))
        prompt = asked.prompt_ids if asked.prompt_ids is not None else reply.prompt_ids
        if prompt is None or reply.token_ids is None or ids.token_ids is None:
            talk.ended = NO_TOKEN_IDS
            return talk
        talk.output_tokens += len(ids.token_ids)
        if talk.tokens >= limits.tokens:
            talk.ended = LENGTH
            return talk
        asked = replace(asked, turn=asked.turn + 1, prompt_ids=[*prompt, *reply.token_ids, *ids.token_ids])


async def chat_tools(steps: Steps, first: Request, limits: Limits) -> Conversation:
    """Converse by messages and calls of a tool."""
    talk, session = Conversation(), steps.session(first)
    messages, asked = list(first.messages), first
    while True:
        left = limits.executions - talk.executions
        tools = {"tools": [PYTHON_TOOL], "tool_choice": "auto" if left > 0 else "none"}
        asked = replace(
            asked,
            messages=messages,
            sampling=_within(first.sampling, limits.tokens - talk.tokens),
            extra_body={**first.extra_body, **tools},
        )
        reply = await steps.ask(asked)
        turn = talk.add(reply)
        calls = list(_calls(reply))
        cut = reply.cut and reply.finish_reason != _CALLS
        if cut or not calls or left <= 0:
            talk.ended = LENGTH if cut else EXECUTION_LIMIT if calls else STOP
            return talk
        messages = [*messages, _said(reply, calls, len(talk.runs))]
        for number, code in enumerate(calls, len(talk.runs)):
            if code is None:
                turn.runs.append(Run("", UNREADABLE_CALL, _NOT_RUN))
            elif talk.executions >= limits.executions:
                turn.runs.append(Run(code, NO_CODE_LEFT, _NOT_RUN))
            else:
                turn.runs.append(_run(code, await steps.run(session, code)))
            output = turn.runs[-1].output
            talk.output_tokens += estimate_reply_tokens(output)
            messages.append({"role": "tool", "tool_call_id": f"call_{number}", "content": output})
        if talk.tokens >= limits.tokens:
            talk.ended = LENGTH
            return talk
        asked = replace(asked, turn=asked.turn + 1)


def _within(sampling: Sampling, left: int) -> Sampling:
    """The sampling of a turn: no more tokens than are left."""
    most = left if sampling.max_tokens is None else min(sampling.max_tokens, left)
    return replace(sampling, max_tokens=max(1, most))


def _run(code: str, outcome: Completion) -> Run:
    return Run(code, outcome.text, outcome.finish_reason or "", outcome.latency_s)


def _token_ids_of(text: str, asked: Request) -> Request:
    """The request for the token ids of the output that stands behind a turn."""
    return Request(
        asked.row_id,
        [],
        Sampling(),
        asked.prompt_hash,
        part=f"{asked.part}output",
        sample_index=asked.sample_index,
        turn=asked.turn,
        tokenize=text,
    )


def _calls(reply: Completion) -> Iterator[str | None]:
    """The code of each call of a tool; None for one that cannot be run."""
    for call in orjson.loads(reply.tool_calls or "[]"):
        yield _code_of(call["arguments"]) if call["name"] == PYTHON_TOOL["function"]["name"] else None


def _code_of(arguments: str) -> str | None:
    try:
        given = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return None
    code = given.get("code") if isinstance(given, dict) else None
    return code if isinstance(code, str) else None


def _said(reply: Completion, calls: list[str | None], begin: int) -> dict[str, Any]:
    """The reply as the next turn sends it back: with its reasoning, which a template may need for its cache."""
    made = orjson.loads(reply.tool_calls or "[]")
    tool_calls = [
        {"id": f"call_{number}", "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
        for number, call in enumerate(made[: len(calls)], begin)
    ]
    reasoning = {"reasoning_content": reply.reasoning} if reply.reasoning else {}
    return {"role": "assistant", "content": reply.text or None, **reasoning, "tool_calls": tool_calls}
