"""Messages for calls that end before their time: the event, the place, and what to do next."""

from __future__ import annotations

from omr_kedro.llm.calls.errors import CallError, EndpointError, Kind, SpendingLimitError, TooManyFailuresError
from omr_kedro.llm.calls.plan import CallPlan
from omr_kedro.llm.endpoint.spending import GO_ON, Spending
from omr_kedro.llm.engine.model_entry import ModelEntry
from omr_kedro.llm.engine.progress import Tally


def too_many_failures(plan: CallPlan, entry: ModelEntry, tally: Tally) -> TooManyFailuresError:
    """More calls failed than the run allows."""
    return TooManyFailuresError(
        f"{plan.name}: {tally.failed} of {tally.done} calls to {entry.place} failed, "
        f"more than `max_failed_share` ({plan.max_failed_share:g}) allows. Last: {tally.last_error}\n"
        "Every finished call is kept: mend the cause and run the same command again, "
        "which asks only for what is missing."
    )


def limit_reached(plan: CallPlan, spending: Spending, tally: Tally) -> SpendingLimitError:
    """The run has spent what it may; to be said when the calls in flight have ended."""
    left = max(tally.expected - tally.done, 0)
    return SpendingLimitError(
        f"{plan.name}: this run has spent what it may: {spending.tell()}. "
        f"About {left:,} calls are left here, besides those of later stages. {GO_ON}"
    )


def no_answer(entry: ModelEntry, seconds: float, error: CallError, *, ever: bool) -> EndpointError:
    """The endpoint has answered nothing for longer than its patience; `ever` says whether it had answered before."""
    patience = f"limits.{'patience_s' if ever else 'start_patience_s'}"
    if error.kind in ("throttled", "overloaded"):
        event = f"has refused every call for {seconds:.0f} s"
        advice = "Lower `requests_per_minute` or `max_in_flight`, or wait."
    else:
        event = f"has answered nothing for {seconds:.0f} s"
        advice = "See whether it runs: kedro check."
    since = "" if ever else ", and has answered none since the run began"
    return EndpointError(
        f"{entry.place} {event}{since} (last: {error.message}). {advice} "
        f"How long it is waited for is `{patience}`: {entry.setting}. "
        "Every finished call is kept: the same command resumes."
    )


def healed(table: str, shard_id: str, found: int, asked: int) -> str:
    """A shard of completions was damaged, and all that is still there of its replies was looked for."""
    return f"{table}, {shard_id}: {found:,} replies of the damaged shard are there still, {asked:,} are asked again."


def wrong_endpoint(entry: ModelEntry, error: CallError) -> EndpointError:
    """No call will succeed, whatever it asks."""
    advice = _ADVICE[error.kind].format(name=entry.name, setting=entry.setting, key=key_advice(entry))
    return EndpointError(f"{entry.place}: {error.message}\n{advice} Every finished call is kept.")


def key_advice(entry: ModelEntry) -> str:
    """The variable that a key of this endpoint comes from, and whether there is one."""
    variable = entry.key_variable
    if not variable:
        return f"The endpoint does not accept the key. Check the one of {entry.setting}."
    if not entry.api_key:
        return f"The endpoint wants a key: set the environment variable {variable}."
    return f"The endpoint does not accept the key: check the environment variable {variable}."


_ADVICE: dict[Kind, str] = {
    "no_access": "{key}",
    "no_money": "The account has no balance or quota left. Top it up, and run the same command again.",
    "moved": "The endpoint sends its callers to another address. Prompts and keys follow to no other host: "
    "if it is the right one, name it yourself: {setting}.",
    "untrusted": "Nothing was sent: this machine does not trust the endpoint's certificate. Certificates of your own "
    "organisation go into a file that the variable SSL_CERT_FILE names.",
    "unable": "The endpoint lets its model run no code in this way. A vLLM of your own knows tools when it is started "
    "with enable-auto-tool-choice and tool-call-parser (server_args in globals.yml), and does without them by "
    "solve_tir.conversation=token_exact; solve_tir.enabled=false leaves solutions with code out.",
    "forbidden": "The endpoint refuses every call. {key} Check what it may use, and the address: {setting}.",
    **dict.fromkeys(
        ("not_found", "gone"),
        "The endpoint does not serve the model '{name}': hosted ones are retired within weeks. "
        "Change the model or the endpoint: {setting}.",
    ),
}
