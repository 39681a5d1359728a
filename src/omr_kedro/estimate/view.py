"""An estimate as a table, and what it rests on."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from omr_kedro.estimate.figures import Estimate, StageEstimate
from omr_kedro.llm.endpoint.spending import in_words


def show(estimate: Estimate, console: Console) -> None:
    """Print an estimate."""
    console.print(_table(estimate))
    if len(estimate.models) > 1:
        console.print(_models(estimate))
    for line in [_sample(estimate), *_hours_and_money(estimate), *estimate.notes]:
        console.print(f"  {line}", soft_wrap=True, highlight=False, markup=False)


def _table(estimate: Estimate) -> Table:
    table = Table(title="What is still to be paid; nothing was asked")
    table.add_column("stage", overflow="fold")
    for name in ("rows", "paid before", "calls", "prompt tokens", "reply tokens", "hours", "money"):
        table.add_column(name, justify="right")
    table.add_column("calls, prompts, replies are", overflow="fold")
    for stage in estimate.stages:
        kinds = ", ".join(kind for kind in (stage.calls_are, stage.prompts_are, stage.replies_are) if kind)
        table.add_row(stage.stage, *_numbers(stage), kinds)
    table.add_section()
    sums = (estimate.total(name) for name in ("paid", "calls", "prompt_tokens", "reply_tokens"))
    ends = _amount(estimate.total("hours")), _money(estimate.total("money"))
    table.add_row("all stages", "", *(_count(value) for value in sums), *ends, "", style="bold")
    return table


def _models(estimate: Estimate) -> Table:
    table = Table(title="The same by model")
    for name in ("model", "served as"):
        table.add_column(name, overflow="fold")
    for name in ("calls", "prompt tokens", "reply tokens", "hours", "money"):
        table.add_column(name, justify="right")
    for model in estimate.models:
        counts = (_count(value) for value in (model.calls, model.prompt_tokens, model.reply_tokens))
        table.add_row(model.model, model.served_as, *counts, _amount(model.hours), _money(model.money))
    return table


def _numbers(stage: StageEstimate) -> list[str]:
    counts = (stage.rows, stage.paid, stage.calls, stage.prompt_tokens, stage.reply_tokens)
    return [*(_count(value) for value in counts), _amount(stage.hours), _money(stage.money)]


def _count(value: float | None) -> str:
    return "?" if value is None else f"{value:,.0f}"


def _amount(value: float | None) -> str:
    return "?" if value is None else f"{value:,.1f}" if value >= 10 else f"{value:.2f}"


def _money(value: float | None) -> str:
    return "?" if value is None else in_words(value)


def _sample(estimate: Estimate) -> str:
    if estimate.sampled_shards == estimate.shards:
        return f"All {estimate.shards} shards were looked at ({estimate.sampled_rows:,} rows)."
    return (
        f"A sample of {estimate.sampled_shards} of {estimate.shards} shards was looked at "
        f"({estimate.sampled_rows:,} rows); --sample looks at more."
    )


def _hours_and_money(estimate: Estimate) -> list[str]:
    hours = {stage.model: stage.served_as for stage in estimate.stages if stage.hours is None}
    money = {stage.model: stage.served_as for stage in estimate.stages if stage.money is None}
    by = {f"Hours are {stage.hours_are} ({stage.served_as})." for stage in estimate.stages if stage.hours_are}
    return [
        *sorted(by),
        *(
            f"Hours of {served_as} are not known: set estimate.throughput.{model}, tokens a second of one server "
            "(`kedro status` shows them), or requests_per_minute in the model's limits for a hosted one."
            for model, served_as in hours.items()
        ),
        *(
            f"Money for {served_as} is not known: set prices.{model}.prompt and prices.{model}.completion, "
            "money for a million tokens."
            for model, served_as in money.items()
        ),
    ]
