"""The fields of a request that a model's endpoint takes, as its answers show: OpenAI's protocol has many dialects.

A hosted model may refuse `temperature`, want `max_completion_tokens` for `max_tokens`, or know nothing of a field that
vLLM takes. A refusal (400, 422) alone shows nothing, since the row may be at fault, and no word of its body is
believed, since it may echo a post. The proof is that the same request is taken without the field. The server's `param`
only says where to look first.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from omr_kedro.llm.calls.errors import CallError
from omr_kedro.llm.calls.request import Completion

logger = logging.getLogger(__name__)

Body = dict[str, Any]
Ask = Callable[[Body], Awaitable[Completion]]
"""One try of a request; raises `CallError`."""
Spare = Callable[[Completion], None]
"""Takes the replies that were paid for on the way to a request's outcome."""

CONSTRAINTS = frozenset({"response_format", "structured_outputs"})
_OTHER_NAMES = {"max_tokens": "max_completion_tokens"}
"""Fields that are not given up but named otherwise: without a limit a reply may cost anything."""
_INDISPENSABLE = frozenset({"model", "messages", "prompt", *_OTHER_NAMES.values()})
_CODE = ("tools", "tool_choice", "stop")
"""Fields without which a conversation with the sandbox would quietly be one without code."""


class Dialect:
    """Knowledge of the fields that one model takes, shared by all who ask it.

    Keys of calls do not depend on it: they are made of what is asked for, not of what is sent.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._taken = set(_INDISPENSABLE)
        self._refused: tuple[str, ...] = ()

    def spoken(self, body: Body) -> Body:
        """The request as the model takes it, as far as is known."""
        return _without(body, self._refused) if self._refused else body

    def took(self, body: Body) -> None:
        """Note that a request was taken: none of its fields is ever suspected again."""
        self._taken.update(body)

    async def learn(self, body: Body, refusal: CallError, ask: Ask, spare: Spare) -> Completion:
        """Find out which fields of a refused request are at fault, and get its reply.

        Where the server names the fields, one try for each finds them. Elsewhere the request is asked without all that
        are suspected, and when that is taken, they are added one by one: at most as many paid replies as there are
        fields, once for a model. A row that is at fault itself mostly costs two more refusals.

        Args:
            body: the request that was refused.
            refusal: its error.
            ask: makes one try.
            spare: takes the replies that were paid for and are not the outcome.

        Raises:
            CallError: the refusal, where no field is at fault; `unable` where it is one that may not be left out; or
                another error of a try.
        """
        suspects = [name for name in body if name not in self._taken]
        found = await _by_name(suspects, body, refusal, ask) or await _by_elimination(suspects, body, ask, spare)
        if found is None:
            raise refusal
        completion, refused = found
        if await self._fits(_without(body, refused), refused, ask, spare):
            spare(completion)
            raise refusal
        # Another row may have shown meanwhile that a field is taken.
        refused = [name for name in refused if name not in self._taken]
        if needed := [name for name in refused if name in _CODE]:
            spare(completion)
            raise CallError("unable", f"it takes the call without `{'`, `'.join(needed)}` alone. {refusal.message}")
        self._refused += tuple(refused)
        self.took(_without(body, refused))
        for name in refused:
            logger.warning("%s does not take `%s`; %s", self._model, name, _consequence(name))
        return completion

    async def _fits(self, body: Body, refused: Sequence[str], ask: Ask, spare: Spare) -> bool:
        """Whether a limit was too large for its row and not refused: a small one is taken under its usual name.

        A server that ignores the other name takes every limit under it, and would have none from here on.
        """
        for name in _OTHER_NAMES.keys() & set(refused):
            small = {field: value for field, value in body.items() if field != _OTHER_NAMES[name]} | {name: 1}
            if reply := await _reply(small, ask):
                spare(reply)
                self.took(small)
                return True
        return False


_Found = tuple[Completion, Sequence[str]]
"""A reply, and the fields without which it was given."""


async def _by_name(suspects: Collection[str], body: Body, refusal: CallError, ask: Ask) -> _Found | None:
    """Leave out what the server names, until the request is taken."""
    named: list[str] = []
    while (name := refusal.param) is not None and name in suspects and name not in named:
        named.append(name)
        try:
            return await ask(_without(body, named)), named
        except CallError as error:
            refusal = _if_refused(error)
    return None


async def _by_elimination(suspects: Sequence[str], body: Body, ask: Ask, spare: Spare) -> _Found | None:
    """Leave out all suspects, then add them one by one."""
    # A field that has another name stays as it is at first: the other name may be the one that is refused.
    left_out = [name for name in suspects if name not in _OTHER_NAMES]
    reply = await _reply(_without(body, left_out), ask) if left_out else None
    if reply is None and len(left_out) < len(suspects):
        left_out = list(suspects)
        reply = await _reply(_without(body, left_out), ask)
    if reply is None:
        return None
    refused: list[str] = []
    for number, name in enumerate(left_out, start=1):
        if not refused and number == len(left_out):  # with all the others the request was taken, and with it refused
            return reply, [name]
        fuller = await _reply(_without(body, [*refused, *left_out[number:]]), ask)
        if fuller is None:
            refused.append(name)
        else:
            spare(reply)
            reply = fuller
    return reply, refused


async def _reply(body: Body, ask: Ask) -> Completion | None:
    """The reply to a request; None where it is refused."""
    try:
        return await ask(body)
    except CallError as error:
        _if_refused(error)
        return None


def _if_refused(error: CallError) -> CallError:
    if error.kind != "bad_request":
        raise error
    return error


def _without(body: Body, names: Collection[str]) -> Body:
    """The request without some fields; those that have another name get it."""
    rest = {name: value for name, value in body.items() if name not in names}
    rest |= {_OTHER_NAMES[name]: body[name] for name in names if name in _OTHER_NAMES and name in body}
    return rest


def _consequence(name: str) -> str:
    if name in CONSTRAINTS:
        return "from here on only the parser checks its labels."
    if other := _OTHER_NAMES.get(name):
        return f"it is sent as `{other}` from here on."
    return "it is not sent from here on, and the endpoint's own default holds."
