"""Spending of a run: from its parameters to the models that it asks, and across the tasks of its jobs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from kedro.io import CatalogProtocol, DatasetNotFoundError
from pydantic import BaseModel, ValidationError

from omr_kedro.datasets import ChatModelDataset
from omr_kedro.llm.endpoint import Prices, Spending, SpendingLimits, Spent
from omr_kedro.llm.engine import ChatModel
from omr_kedro.runners.errors import ParameterError
from omr_kedro.runners.submission import Progress, Submission

LOOK_EVERY_S = 10.0
"""How often a task looks at what the others have spent; less often where there are more than a hundred of them."""

Catalog = CatalogProtocol[Any, Any]
Parameter = TypeVar("Parameter", bound=BaseModel)


def parameter(catalog: Catalog, name: str, kind: type[Parameter]) -> Parameter:
    """A section of the parameters that no node takes; its defaults where it is not there.

    Raises:
        ParameterError: it does not hold what it should.
    """
    try:
        given = catalog.load(f"params:{name}")
    except DatasetNotFoundError:
        given = {}
    try:
        return kind.model_validate(given or {})
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, (name, *item['loc'])))}: {item['msg']}" for item in error.errors())
        raise ParameterError(f"Parameters (conf/<env>/parameters.yml, --params): {wrong}.") from None


def read_prices(catalog: Catalog) -> Prices:
    """Prices of the models of the catalog.

    Raises:
        ParameterError: there is a price of no model.
    """
    prices = parameter(catalog, "prices", Prices)
    check_models(catalog, "prices", prices.__pydantic_extra__ or {})
    return prices


def check_models(catalog: Catalog, section: str, names: Iterable[str]) -> None:
    """Refuse settings that are for no model.

    Args:
        catalog: of the run.
        section: of the parameters, for the message.
        names: those that it has settings for.

    Raises:
        ParameterError: says which of them is no chat model of the catalog.
    """
    for name in names:
        if not isinstance(catalog.get(name), ChatModelDataset):
            raise ParameterError(f"Parameters: {section}.{name}: the catalog has no chat model of this name.")


def open_account(catalog: Catalog, models: Mapping[str, ChatModel]) -> Spending:
    """Let the models share one account with the run's limits.

    Raises:
        ParameterError: the limits cannot be kept, since a price is not known.
    """
    spending = Spending(parameter(catalog, "spending", SpendingLimits))
    prices = read_prices(catalog)
    for name, model in models.items():
        price = prices.of(name)
        if spending.limits.money is not None and price.of(0, 0) is None:
            raise ParameterError(
                f"A limit in money (spending.money) needs the price of {name}: set prices.{name}.prompt and "
                f"prices.{name}.completion, money for a million tokens, in conf/<env>/parameters.yml or --params; or "
                "set spending.total_tokens instead."
            )
        model.session.charge(spending, price)
    return spending


class SiblingSpending:
    """Spending of a run's tasks, read from their progress files; without this life of the task that looks."""

    def __init__(self, submission: Submission, task: int, before: Progress) -> None:
        self._submission = submission
        self._task = task
        self._before = before
        self._looked_at = float("-inf")

    def look(self, spending: Spending) -> None:
        """Tell an account that has a limit, when it is time."""
        every = LOOK_EVERY_S * max(1.0, len(self._submission.tasks) / 100)
        if spending.limited and time.monotonic() - self._looked_at >= every:
            self._looked_at = time.monotonic()
            spending.siblings = self._sum()

    def _sum(self) -> Spent:
        spent = _spent(self._before)
        for other in Submission.submitted_to(self._submission.folder.parent):
            if other.spec.run_id == self._submission.spec.run_id:
                for task in other.tasks:
                    mine = other.folder == self._submission.folder and task == self._task
                    spent += Spent() if mine else _spent(other.progress(task) or Progress())
        return spent


def _spent(progress: Progress) -> Spent:
    return Spent(progress.paid, progress.prompt_tokens, progress.completion_tokens, progress.money)
