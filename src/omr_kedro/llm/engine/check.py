"""The check of an endpoint before anything is asked of it: address, key, model, one call of one token.

The call decides: a server that answers it is good, whatever it lists or does not list. The list of models is asked for
at the same time, and explains a refusal. A server that is only busy or slow is no error, since it may pass.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from difflib import get_close_matches
from urllib.parse import urlsplit

from omr_kedro.llm.calls.errors import STOPS, CallError, EndpointError
from omr_kedro.llm.calls.request import Completion
from omr_kedro.llm.endpoint.client import ChatClient
from omr_kedro.llm.endpoint.listing import Listing
from omr_kedro.llm.endpoint.network import is_this_machine
from omr_kedro.llm.endpoint.redaction import without_user
from omr_kedro.llm.engine import messages
from omr_kedro.llm.engine.model_entry import ModelEntry, bare_name
from omr_kedro.llm.engine.session import ModelSession
from omr_kedro.shards.printable import printable_line, printable_name

_LIST_S = 2.5
_CALL_S = 3.5
_GUESS_S = 1.0
"""These bound a check to less than five seconds."""
_OFFERED = 8
_WORDS = 300
_WRONG_PLACE = frozenset({"not_found", "gone", "garbage"})
"""Kinds that a wrong path gives, or a wrong model."""
_ONCE_PROVES_NOTHING = frozenset({"connection", "garbage"})
"""Kinds that may be one connection's: such a call is made once more."""


@dataclass(frozen=True)
class Reached:
    """The outcome of a check that found no fault."""

    seconds: float
    listed: int
    """Number of models that the endpoint lists; 0 where it lists none."""
    served: str = ""
    """The model that answered; empty where none did."""
    doubt: str = ""
    """Cause why no call was answered, where it may pass; empty when one was."""

    def __str__(self) -> str:
        """State of the endpoint, in one line."""
        listed = f"lists {self.listed:,} model{'s' if self.listed > 1 else ''} and " if self.listed else ""
        if self.doubt:
            return f"{listed}{self.doubt}"
        return f"{listed}answered a call of one token in {self.seconds:.1f} s, as {printable_name(self.served)}"


async def check_endpoint(session: ModelSession) -> Reached:
    """Check a remote model, in less than five seconds.

    Raises:
        EndpointError: no call would be answered; names address, cause, the server's own words and what to change.
    """
    entry = session.entry
    assert entry.base_url, "local servers are checked when they start"  # noqa: S101
    _check_address(entry, entry.base_url)
    async with await session.reach() as client:
        began = time.monotonic()
        listing, answer = await asyncio.gather(client.listing(_LIST_S), _answer(client))
    seconds = time.monotonic() - began
    if isinstance(answer, Completion):
        session.answered(answer.model)
        return Reached(seconds, len(listing.names), answer.model)
    if doubt := _doubt(entry, listing, answer):
        return Reached(seconds, len(listing.names), doubt=doubt)
    raise EndpointError(f"{await _refusal(session, listing, answer)} Nothing was paid for.")


def _check_address(entry: ModelEntry, url: str) -> None:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname is not None
        _ = parts.port  # out of range, or no number
    except ValueError:
        parts, good = None, False
    if good:
        return
    shown = printable_name(url.rpartition("@")[2])  # what stands before may be a password
    meant = ""
    if parts and "://" not in url:
        host = shown.partition("/")[0].partition(":")[0]
        meant = f" Did you mean {'http' if is_this_machine(host) or ':' in shown else 'https'}://{shown}?"
    raise EndpointError(
        f"The endpoint of {entry.name}, {shown}, is no address that begins with http:// or https://.{meant} "
        f"Change it: {entry.setting}."
    )


async def _answer(client: ChatClient) -> Completion | CallError:
    try:
        async with asyncio.timeout(_CALL_S):
            return await _probed(client)
    except TimeoutError:
        return CallError("timeout", f"no answer within {_CALL_S:g} s")
    except CallError as error:
        return error


async def _probed(client: ChatClient) -> Completion:
    try:
        return await client.probe()
    except CallError as error:
        if error.kind not in _ONCE_PROVES_NOTHING:
            raise
    return await client.probe()


def _doubt(entry: ModelEntry, listing: Listing, error: CallError) -> str:
    """Words for a refusal that may pass, or may be of this call alone; none for one that every call would meet."""
    if error.kind in STOPS or error.kind == "forbidden" or (error.kind == "connection" and listing.status is None):
        return ""
    listed = entry.name in listing.names
    if error.kind in _WRONG_PLACE and not (listed and error.kind == "garbage"):
        return ""
    if error.kind == "bad_request" and listing.names and not listed:
        return ""  # some servers say so that they have no such model
    return f"has not answered a call of one token ({_words(error)})"


async def _refusal(session: ModelSession, listing: Listing, error: CallError) -> str:
    entry = session.entry
    said = f"{entry.place}: {_words(error)}."
    if error.kind == "connection":
        return f"{said} Nothing answers there. See that it runs, and that the address is right: {entry.setting}."
    if error.kind in ("no_access", "forbidden"):
        return f"{said} {messages.key_advice(entry)}"
    if error.kind in STOPS and not (error.kind == "gone" and listing.names):
        return str(messages.wrong_endpoint(entry, error))
    return f"{said} {await _place_or_model(session, listing)} Change it: {entry.setting}."


async def _place_or_model(session: ModelSession, listing: Listing) -> str:
    """Words on a path or a model that is not there: which of them it is, as far as the list of models tells."""
    name = session.entry.name
    if name in listing.names:
        return "It lists this model, and does not answer calls to it."
    if listing.names:
        return _other_models(name, listing.names)
    if meant := await _better_address(session):
        return f"Nothing is served at this path; did you mean {meant}, which answers?"
    return f"Either the path is wrong (most end in /v1), or there is no model '{name}': it lists none."


def _other_models(name: str, listed: tuple[str, ...]) -> str:
    by_bare_name = {bare_name(each): each for each in listed}
    near = [by_bare_name[each] for each in get_close_matches(bare_name(name), by_bare_name)]
    question = f" Did you mean {' or '.join(map(printable_name, near))}?" if near else ""
    offered = list(dict.fromkeys([*near, *listed]))
    more = f" and {len(offered) - _OFFERED:,} more" if len(offered) > _OFFERED else ""
    names = ", ".join(map(printable_name, offered[:_OFFERED]))
    return f"It serves no model '{name}'.{question} It lists {names}{more}."


async def _better_address(session: ModelSession) -> str:
    """An address near by that lists models; empty where there is none."""
    url = without_user(session.entry.base_url or "").rstrip("/")
    shorter = url.removesuffix("/completions").removesuffix("/chat")
    guess = shorter if shorter != url else f"{url}/v1"
    async with await session.reach(guess) as client:
        listing = await client.listing(_GUESS_S)
    return printable_name(guess) if listing.names else ""


def _words(error: CallError) -> str:
    return printable_line(error.message, _WORDS)
