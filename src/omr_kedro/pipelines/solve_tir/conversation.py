"""Conversations of a model with a sandbox: turns of text and code until the model ends, or a limit does.

Two formats. `token_exact` is for servers of one's own: the model writes code between tags in its text, stops there, and
goes on from exactly the token ids that were, so that the server's cache holds all but the output. `chat_tools` is for
hosted ones: the model calls a tool, and gets a message of the role `tool` for each call. Both end in a conversation
that is valid: no call is left without an answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from omr_kedro.llm.calls import Completion, Request, Sampling, Steps
from omr_kedro.llm.calls.token_estimate import estimate_reply_tokens
from omr_kedro.llm.calls.token_ids import TokenIds
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

STOP, _LENGTH = "stop", "length"
LENGTH, EXECUTION_LIMIT, NO_TOKEN_IDS = "truncated", "execution_limit", "no_token_ids"
"""Ends of conversations other than the model's own."""

_MOST_STOPS = 64
"""Blocks of one reply that are no code, and at whose ends the server stops; a model that loops writes more."""
_END_TOKEN = re.compile(r"\s*(?:<[|\uff5c][^<>|\uff5c]{1,40}[|\uff5c]>|</s>|<eos>|<end_of_turn>)$")
"""The text of a token that ends a reply, as the families of models have it."""


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
    """Of a reply that came in several parts, all of them."""
    runs: list[Run]
    parts: int = 1
    """Calls that it came in."""


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

    @property
    def continued(self) -> int:
        """Times that a reply went on from where a part of it ended."""
        return sum(turn.parts - 1 for turn in self.turns)

    def add(self, completion: Completion, parts: int = 1) -> Turn:
        """Begin a turn."""
        turn = Turn(completion, [], parts)
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
    tokens_per_call: int | None = None
    """Of one call at most; None for no limit but that of the budget."""


async def token_exact(steps: Steps, first: Request, tags: CodeTags, limits: Limits) -> Conversation:
    """Converse by text and token ids."""
    talk, session = Conversation(), steps.session(first)
    asked = replace(first, stop=(tags.stop,), extra_body={**first.extra_body, **_EXACT})
    while True:
        said = await _in_parts(steps, asked, tags, limits, limits.tokens - talk.tokens)
        reply, asked = said.reply, said.asked
        turn = talk.add(reply, said.parts)
        code = tags.code_at_end(reply.text) if reply.stop_reason is not None else None
        if reply.cut or code is None:
            talk.ended = LENGTH if reply.cut else STOP
            return talk
        left = limits.executions - talk.executions
        if left <= 0:
            talk.ended = EXECUTION_LIMIT
            return talk
        outcome = await steps.run(session, code)
        turn.runs.append(_run(code, outcome))
        shown = said.untold + tags.output(outcome.text, left - 1 if limits.notices or left == 1 else None)
        ids = await steps.ask(_token_ids_of(shown, asked))
        if said.ids is None or ids.token_ids is None:
            talk.ended = NO_TOKEN_IDS
            return talk
        talk.output_tokens += len(ids.token_ids)
        if talk.tokens >= limits.tokens:
            talk.ended = LENGTH
            return talk
        asked = replace(asked, turn=asked.turn + 1, prompt_ids=said.ids + ids.token_ids)


@dataclass(frozen=True, slots=True)
class _Said:
    """A reply that came in one part or several."""

    reply: Completion
    """All of it."""
    asked: Request
    """The request for its last part."""
    parts: int
    ids: TokenIds | None
    """Of the prompt and the reply; None where the server did not give them."""
    untold: str = ""
    """The end of the reply that `ids` do not hold."""


async def _in_parts(steps: Steps, asked: Request, tags: CodeTags, limits: Limits, left: int) -> _Said:
    """The reply to a request, asked for in parts of so many tokens: what was generated is kept, part by part.

    A part goes on from the token ids of those before it. So when time runs out, or the process dies, a long reply is
    continued later from the last part that was journalled, and only the open one is generated again. It goes on as well
    where the server took the end of another block for that of code.

    Args:
        steps: answer.
        asked: the request for the first part.
        tags: the end of code ends the reply. A server does not see an end that stands in two parts; it is found here,
            and what was generated behind it is left out.
        limits: `tokens_per_call`.
        left: tokens of the whole reply.
    """
    said: _Said | None = None
    stops = 0
    while True:
        asked = replace(asked, sampling=_within(asked.sampling, left, limits.tokens_per_call))
        part = await steps.ask(asked)
        left -= part.completion_tokens
        said = _joined(said, part, asked, tags)
        stops += (at_no_code := _stopped_at_no_code(said.reply, tags))
        goes_on = stops <= _MOST_STOPS if at_no_code else _is_full(part, asked) and said.reply.stop_reason is None
        if not goes_on or left <= 0 or said.ids is None:
            return replace(said, reply=_without_end_token(said.reply))
        asked = replace(asked, turn=asked.turn + 1, prompt_ids=said.ids)


def _is_full(part: Completion, asked: Request) -> bool:
    """Whether a part has all tokens that it may have: a server whose context is full ends a reply before."""
    return part.finish_reason == _LENGTH and part.completion_tokens >= (asked.sampling.max_tokens or 0)


def _stopped_at_no_code(reply: Completion, tags: CodeTags) -> bool:
    """Whether the server took the end of another block for that of code: then the model was not done."""
    return reply.stop_reason == tags.stop and not reply.cut and tags.code_at_end(reply.text) is None


def _without_end_token(reply: Completion) -> Completion:
    """A reply without the text of the token by which the model has ended it; servers that hide no token show it."""
    if reply.cut or reply.stop_reason is not None:
        return reply
    return replace(reply, text=_END_TOKEN.sub("", reply.text))


def _joined(said: _Said | None, part: Completion, asked: Request, tags: CodeTags) -> _Said:
    """A reply with one more part."""
    prompt = asked.prompt_ids if asked.prompt_ids is not None else part.prompt_ids
    ids = None if prompt is None or part.token_ids is None else TokenIds(prompt) + part.token_ids
    part = replace(part, token_ids=None, prompt_ids=None)  # lists of them are large, and the turn is kept for long
    if said is None:
        return _Said(part, asked, 1, ids)
    before = said.reply
    text = before.text + part.text
    whole = replace(
        part,
        text=text,
        reasoning=before.reasoning or part.reasoning,
        completion_tokens=before.completion_tokens + part.completion_tokens,
        latency_s=before.latency_s + part.latency_s,
    )
    end = text.find(tags.stop, max(0, len(before.text) - len(tags.stop) + 1))
    cut = end + len(tags.stop)
    if end < 0 or end >= len(before.text) or tags.code_at_end(text[:cut]) is None:
        return _Said(whole, asked, said.parts + 1, ids)
    ended = replace(whole, text=text[:cut], finish_reason=STOP, stop_reason=tags.stop)
    return _Said(ended, asked, said.parts + 1, said.ids, text[len(before.text) : cut])


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
            sampling=_within(first.sampling, limits.tokens - talk.tokens, None),
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


def _within(sampling: Sampling, left: int, per_call: int | None) -> Sampling:
    """The sampling of a call: no more tokens than are left."""
    return replace(sampling, max_tokens=max(1, left if per_call is None else min(left, per_call)))


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
