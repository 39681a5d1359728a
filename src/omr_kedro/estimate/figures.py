"""An estimate in figures: calls, tokens, hours and money of stages and models, and what each number rests on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from omr_kedro.llm.endpoint import Price
from omr_kedro.llm.engine import ChatModel

COUNTED, SAMPLED, MEASURED, ASSUMED = "counted", "sampled", "measured", "assumed"
_WEAKEST_LAST = (COUNTED, SAMPLED, MEASURED, ASSUMED)


@dataclass(frozen=True)
class Drawing:
    """All samples of a stage, those included that are paid for."""

    samples: float
    """Of each problem."""
    calls: float
    tokens: float
    """Of prompts and replies."""
    hours: float | None


@dataclass(frozen=True)
class StopRuleEstimate:
    """The worth of a stop rule: all samples with it, and without."""

    ruled: Drawing
    fixed: Drawing
    """With as many samples of each problem as the rule draws at most."""
    told: str
    """Where the number of samples with the rule comes from."""


@dataclass(frozen=True)
class StageEstimate:
    """One stage that asks a model. Numbers of the whole run, not of the sample."""

    stage: str
    model: str
    """Name in the catalog."""
    served_as: str
    """Name that the endpoint knows."""
    rows: float
    """Rows to be asked about, or asked about already."""
    paid: float
    """Calls that earlier runs have paid for."""
    calls: float
    """Calls to be made."""
    prompt_tokens: float
    reply_tokens: float
    """Both of the calls to be made."""
    calls_are: str
    prompts_are: str
    replies_are: str
    """Kinds of figures that the numbers rest on."""
    hours: float | None = None
    hours_are: str = ""
    money: float | None = None
    stop_rule: StopRuleEstimate | None = None
    """Of a stage that draws samples until a rule ends it."""


@dataclass(frozen=True)
class ModelEstimate:
    """All stages that ask one model."""

    model: str
    """Name in the catalog."""
    served_as: str
    """Name that the endpoint knows."""
    calls: float
    """Calls to be made."""
    prompt_tokens: float
    reply_tokens: float
    """Both of the calls to be made."""
    hours: float | None
    money: float | None
    """None where a stage does not know."""


@dataclass(frozen=True)
class Sample:
    """Shards that were looked at."""

    table: str
    """The table that they are shards of."""
    shards: int
    of: int
    """Shards of the whole table."""
    rows: int


@dataclass(frozen=True)
class Estimate:
    """Calls, tokens, hours and money that are still to be paid."""

    stages: list[StageEstimate]
    models: list[ModelEstimate]
    """The same by model, in the order in which they are first asked."""
    samples: list[Sample]
    """Of the first table, and of each that is split anew."""
    notes: list[str] = field(default_factory=list)
    """Assumptions with their sources, and what is not known."""

    def total(self, name: str) -> float | None:
        """Sum over the stages; None where a stage does not know."""
        return _sum(name, self.stages)


def _sum(name: str, stages: Iterable[StageEstimate]) -> float | None:
    values = [getattr(stage, name) for stage in stages if stage.calls or name == "paid"]
    return None if any(value is None for value in values) else float(sum(values))


def sums_by_model(stages: Sequence[StageEstimate]) -> list[ModelEstimate]:
    """The sums of the stages for each model."""
    asking: dict[tuple[str, str], list[StageEstimate]] = {}
    for stage in stages:
        asking.setdefault((stage.model, stage.served_as), []).append(stage)
    return [
        ModelEstimate(
            model=model,
            served_as=served_as,
            calls=sum(stage.calls for stage in own),
            prompt_tokens=sum(stage.prompt_tokens for stage in own),
            reply_tokens=sum(stage.reply_tokens for stage in own),
            hours=_sum("hours", own),
            money=_sum("money", own),
        )
        for (model, served_as), own in asking.items()
    ]


def weakest(kinds: set[str]) -> str:
    """The least certain of several kinds of numbers."""
    return max(kinds or {COUNTED}, key=_WEAKEST_LAST.index)


def cost(price: Price, prompt_tokens: float, reply_tokens: float) -> float | None:
    """Money for tokens; nothing costs nothing, whatever the price."""
    return 0.0 if not prompt_tokens + reply_tokens else price.of(prompt_tokens, reply_tokens)


def hours(model: ChatModel, tokens_per_s: float | None, calls: float, tokens: float) -> tuple[float | None, str]:
    """How long calls take, None if not known; and by what: a remote endpoint's rate limit, or the speed of a server."""
    per_minute = model.entry.limits.requests_per_minute
    if model.entry.base_url and per_minute:
        return calls / per_minute / 60, f"at {per_minute:g} requests a minute"
    if tokens_per_s and not model.entry.base_url:
        return tokens / tokens_per_s / 3600, f"of one server that takes {tokens_per_s:,g} tokens a second"
    return (None if calls else 0.0), ""
