"""What a person is told when calls come to an end before their time: what happened, where, and what to do."""

from __future__ import annotations

from omr_kedro.llm.asking import Asking
from omr_kedro.llm.errors import CallError, EndpointError, SpendingLimitError, TooManyFailuresError
from omr_kedro.llm.model import ChatModel
from omr_kedro.llm.progress import Tally
from omr_kedro.llm.spending import GO_ON


def too_many_failures(asking: Asking, tally: Tally) -> TooManyFailuresError:
    """More calls failed than the run allows."""
    return TooManyFailuresError(
        f"{asking.name}: {tally.failed} of {tally.done} calls to {_where(asking.model)} failed, "
        f"more than `max_failed_share` ({asking.max_failed_share:g}) allows. Last: {tally.last_error}\n"
        "Every finished call is kept: mend the cause and run the same command again, "
        "which asks only for what is missing."
    )


def budget_spent(asking: Asking, tally: Tally) -> SpendingLimitError:
    """The run has spent what it may; to be said when the calls in flight have ended."""
    left = max(tally.expected - tally.done, 0)
    return SpendingLimitError(
        f"{asking.name}: this run has spent what it may: {asking.model.endpoint.spending.tell()}. "
        f"About {left:,} calls are left here, besides those of later stages. {GO_ON}"
    )


def refused_everything(model: ChatModel, seconds: float, error: CallError) -> EndpointError:
    """The endpoint has answered 'later' for too long."""
    return EndpointError(
        f"{_where(model)} refused every call for {seconds:.0f} s (last: {error.message}). "
        f"Lower `requests_per_minute` or `max_in_flight` in {model.setting}, or wait. "
        "Every finished call is kept: the same command resumes."
    )


def wrong_endpoint(model: ChatModel, error: CallError) -> EndpointError:
    """No call will succeed: the key or the model's name is wrong."""
    if error.kind == "no_access":
        advice = f"The endpoint does not accept the key. Check the key that {model.setting} names."
    else:
        advice = (
            f"The endpoint does not serve the model '{model.model}': hosted ones are retired within weeks. "
            f"Change the model or the endpoint: {model.setting}."
        )
    return EndpointError(f"{_where(model)}: {error.message}\n{advice} Every finished call is kept.")


def _where(model: ChatModel) -> str:
    return f"{model.model} at {model.base_url or 'the local server'}"
