"""Messages for calls that end before their time: the event, the place, and what to do next."""

from __future__ import annotations

from omr_kedro.llm.calls.errors import CallError, EndpointError, SpendingLimitError, TooManyFailuresError
from omr_kedro.llm.calls.plan import CallPlan
from omr_kedro.llm.endpoint.spending import GO_ON, Spending
from omr_kedro.llm.engine.progress import Tally
from omr_kedro.llm.engine.session import ModelEntry


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


def refused_everything(entry: ModelEntry, seconds: float, error: CallError) -> EndpointError:
    """The endpoint has answered 'later' for too long."""
    return EndpointError(
        f"{entry.place} refused every call for {seconds:.0f} s (last: {error.message}). "
        f"Lower `requests_per_minute` or `max_in_flight` in {entry.setting}, or wait. "
        "Every finished call is kept: the same command resumes."
    )


def wrong_endpoint(entry: ModelEntry, error: CallError) -> EndpointError:
    """No call will succeed: the key or the model's name is wrong."""
    if error.kind == "no_access":
        advice = f"The endpoint does not accept the key. Check the key that {entry.setting} names."
    else:
        advice = (
            f"The endpoint does not serve the model '{entry.name}': hosted ones are retired within weeks. "
            f"Change the model or the endpoint: {entry.setting}."
        )
    return EndpointError(f"{entry.place}: {error.message}\n{advice} Every finished call is kept.")
