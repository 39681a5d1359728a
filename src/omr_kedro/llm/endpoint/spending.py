"""Spending of a run: tokens and money that its calls take, and the limit at which they stop.

Rule
    No call is started once what was spent and what the calls in flight are expected to take reach the limit. Calls in
    flight are awaited and kept. So a limit is passed by no more than expectations are wrong: a prompt is estimated from
    its bytes, a reply as the mean of its stage so far (nothing before the stage's first reply).
Counted
    The server's own counts; where it says nothing, an estimate. Tries that failed in a way that a provider may charge
    (`errors.PAID_TRIES`) count by estimate: the prompt, and the length of the answer or else the stage's mean reply.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field

from omr_kedro.llm.calls.errors import PAID_TRIES, CallError, SpendingLimitError
from omr_kedro.llm.calls.prices import Price
from omr_kedro.llm.calls.request import Completion, Request
from omr_kedro.llm.calls.token_estimate import BYTES_PER_TOKEN, estimate_reply_tokens, estimate_request_tokens

GO_ON = (
    "Every finished call is kept: the same command goes on from here, and may spend as much again. Another limit: "
    "--params=spending.total_tokens=… or spending.money=… (null: none)."
)


class SpendingLimits(BaseModel):
    """Limits of what a run may spend."""

    model_config = ConfigDict(extra="forbid")

    total_tokens: int | None = Field(default=None, gt=0)
    """Tokens of prompts and replies together, of all stages and models."""
    money: float | None = Field(default=None, gt=0)
    """Limit in the currency of `prices`."""

    def tell(self) -> str:
        """The limits in words."""
        tokens = f"{self.total_tokens:,} tokens" if self.total_tokens is not None else ""
        money = f"{in_words(self.money)} in money" if self.money is not None else ""
        both = " and ".join(filter(None, (tokens, money)))
        return f"spends {both} at most" if both else "without a limit of spending"


@dataclass(frozen=True, slots=True)
class Spent:
    """Calls, and what they took."""

    calls: int = 0
    prompt_tokens: float = 0
    completion_tokens: float = 0
    money: float = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.money + other.money,
        )

    @property
    def tokens(self) -> float:
        """Prompts and replies together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass
class _StageSpending:
    in_flight: int = 0
    prompts_in_flight: float = 0
    replied: Spent = field(default_factory=Spent)
    wasted: Spent = field(default_factory=Spent)
    """Spending of tries of which nothing came, by estimate; no calls, so that replies keep their mean."""

    @property
    def mean_reply(self) -> float:
        """Tokens of a reply so far; 0 before the first."""
        return self.replied.completion_tokens / self.replied.calls if self.replied.calls else 0

    def expected(self, price: Price) -> Spent:
        """Expected spending of the calls in flight."""
        replies = self.in_flight * self.mean_reply
        return Spent(0, self.prompts_in_flight, replies, price.of(self.prompts_in_flight, replies) or 0)


class Spending:
    """The account of a run, shared by all models that a process asks."""

    def __init__(self, limits: SpendingLimits | None = None) -> None:
        self.limits = limits or SpendingLimits()
        self.siblings = Spent()
        """Spending of other processes of the same run, as far as it is known."""
        self._stages: dict[tuple[str, Price], _StageSpending] = {}
        self._lock = threading.Lock()

    @property
    def limited(self) -> bool:
        """Whether there is a limit."""
        return self.limits.total_tokens is not None or self.limits.money is not None

    @property
    def spent(self) -> Spent:
        """Spending of this process."""
        return sum((stage.replied + stage.wasted for stage in self._stages.values()), start=Spent())

    @property
    def reached(self) -> bool:
        """Whether no more calls may start."""
        at_last = self.siblings + self.spent
        for (_, price), stage in self._stages.items():
            at_last += stage.expected(price)
        tokens, money = self.limits.total_tokens, self.limits.money
        return (tokens is not None and at_last.tokens >= tokens) or (money is not None and at_last.money >= money)

    def tell(self) -> str:
        """Spending beside its limits, in words."""
        spent = self.siblings + self.spent
        parts = []
        if self.limits.total_tokens is not None:
            parts.append(f"{spent.tokens:,.0f} of {self.limits.total_tokens:,} tokens")
        if self.limits.money is not None:
            parts.append(f"{in_words(spent.money)} of {in_words(self.limits.money)} in money")
        return (
            f"{' and '.join(parts)} ({spent.prompt_tokens:,.0f} prompt + {spent.completion_tokens:,.0f} completion "
            f"tokens) in {spent.calls:,} calls"
        )

    @contextmanager
    def call(self, stage: str, price: Price, request: Request) -> Iterator[Charge]:
        """Take a call into account while it is in flight, and for good what the charge is told of.

        Raises:
            SpendingLimitError: the limit is reached; the call must not be made.
        """
        prompt = estimate_request_tokens(request) if self.limited else 0
        with self._lock:
            account = self._stages.setdefault((stage, price), _StageSpending())
            if self.limited and self.reached:
                raise SpendingLimitError(stage)
            account.in_flight += 1
            account.prompts_in_flight += prompt
        try:
            yield Charge(account, self._lock, price, request)
        finally:
            with self._lock:
                account.in_flight -= 1
                account.prompts_in_flight -= prompt


class Charge:
    """Charge for one call: its spending, counted as it becomes known."""

    def __init__(self, stage: _StageSpending, lock: threading.Lock, price: Price, request: Request) -> None:
        self._stage = stage
        self._lock = lock
        self._price = price
        self._request = request

    def replied(self, completion: Completion) -> None:
        """Count a reply, once for each call."""
        prompt, reply = completion.prompt_tokens, completion.completion_tokens
        if not prompt + reply:
            prompt = estimate_request_tokens(self._request)
            reply = estimate_reply_tokens(completion.text, completion.reasoning)
        with self._lock:
            self._stage.replied += Spent(1, prompt, reply, self._price.of(prompt, reply) or 0)

    def failed(self, error: CallError) -> None:
        """Count a try of which nothing came."""
        if error.kind not in PAID_TRIES:
            return
        prompt = estimate_request_tokens(self._request)
        with self._lock:
            reply = error.reply_bytes / BYTES_PER_TOKEN or self._stage.mean_reply
            self._stage.wasted += Spent(0, prompt, reply, self._price.of(prompt, reply) or 0)


def in_words(money: float) -> str:
    """An amount of money, small ones with more digits."""
    return f"{money:,.2f}" if money >= 10 else f"{money:.4f}"
