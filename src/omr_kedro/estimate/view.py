"""An estimate as a table, and what it rests on."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from omr_kedro.estimate.figures import Estimate, ModelEstimate, Sample, StageEstimate
from omr_kedro.llm.endpoint.spending import in_words
from omr_kedro.screen import add_numbers, stage_rows


def show(estimate: Estimate, console: Console) -> None:
    """Print an estimate."""
    console.print(_table(estimate))
    if len(estimate.models) > 1:
        console.print(_models(estimate))
    rules = [line for stage in estimate.stages for line in _with_and_without(stage)]
    samples = map(_sample, estimate.samples)
    for line in [*rules, *samples, *_kinds(estimate), *_hours_and_money(estimate), *estimate.notes]:
        console.print(f"  {line}", soft_wrap=True, highlight=False, markup=False)


def _table(estimate: Estimate) -> Table:
    table = stage_rows("What is still to be paid; nothing was asked")
    add_numbers(table, "rows", "paid\nbefore", *_AMOUNTS)
    for stage in estimate.stages:
        table.add_row(stage.stage, *_counts(stage.rows, stage.paid), *_amounts(stage))
    table.add_section()
    sums = (estimate.total(name) for name in ("paid", "calls", "prompt_tokens", "reply_tokens"))
    ends = _time(estimate.total("hours")), _money(estimate.total("money"))
    table.add_row("all stages", "", *_counts(*sums), *ends, style="bold")
    return table


_UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_AMOUNTS = ("calls", "prompt\ntokens", "reply\ntokens", "time", "money")


def _models(estimate: Estimate) -> Table:
    table = stage_rows("The same by model", "model")
    add_numbers(table, *_AMOUNTS)
    for model in estimate.models:
        table.add_row(model.model, *_amounts(model))
        if model.served_as != model.model:
            table.add_row(f"  {model.served_as}")
    return table


def _amounts(item: StageEstimate | ModelEstimate) -> list[str]:
    return [*_counts(item.calls, item.prompt_tokens, item.reply_tokens), _time(item.hours), _money(item.money)]


def _kinds(estimate: Estimate) -> list[str]:
    """A line for each kind of figures, with the stages that rest on it."""
    by: dict[str, list[str]] = {}
    for stage in estimate.stages:
        kinds = zip(
            ("calls", "prompts", "replies"), (stage.calls_are, stage.prompts_are, stage.replies_are), strict=True
        )
        by.setdefault(", ".join(f"{name} {kind}" for name, kind in kinds if kind), []).append(stage.stage)
    stages = {kinds: "all stages" if len(by) == 1 else ", ".join(names) for kinds, names in by.items()}
    return [f"Figures are: {kinds} ({names})." for kinds, names in stages.items()]


def _counts(*values: float | None) -> list[str]:
    return [_count(value) for value in values]


def _count(value: float | None) -> str:
    if value is None:
        return "?"
    if value < 1e5:
        return f"{value:,.0f}"
    unit, name = next((unit, name) for unit, name in _UNITS if value >= unit)
    return f"{value / unit:,.0f} {name}" if value >= 100 * unit else f"{value / unit:,.1f} {name}"


def _time(hours: float | None) -> str:
    """Hours in the unit that a person would take."""
    if hours is None:
        return "?"
    if hours * 60 < 1:
        return f"{hours * 3600:.0f} s"
    return f"{hours * 60:.0f} min" if hours < 2 else f"{hours:,.1f} h" if hours < 100 else f"{hours:,.0f} h"


def _money(value: float | None) -> str:
    return "?" if value is None else in_words(value)


def _sample(sample: Sample) -> str:
    if sample.shards == sample.of:
        return f"All {sample.of} shards of {sample.table} were looked at ({sample.rows:,} rows)."
    return (
        f"A sample of {sample.shards} of {sample.of} shards of {sample.table} was looked at "
        f"({sample.rows:,} rows); --sample looks at more."
    )


def _with_and_without(stage: StageEstimate) -> list[str]:
    """Two lines on the worth of a stop rule: all samples with it and without; none for a stage that has no rule."""
    found = stage.stop_rule
    if found is None:
        return []
    ruled, fixed = (
        f"{each.samples:,.1f} samples a problem; {_count(each.calls)} calls, {_count(each.tokens)} tokens, "
        f"{_time(each.hours)}"
        for each in (found.ruled, found.fixed)
    )
    paid = ", with those paid before" if stage.paid else ""
    return [
        f"{stage.stage} with the stop rule: {ruled}{paid} ({found.told}).",
        f"{stage.stage} without it, the most of each: {fixed}.",
    ]


def _hours_and_money(estimate: Estimate) -> list[str]:
    hours = {stage.model: stage.served_as for stage in estimate.stages if stage.hours is None}
    money = {stage.model: stage.served_as for stage in estimate.stages if stage.money is None}
    by = {f"Time is {stage.hours_are} ({stage.served_as})." for stage in estimate.stages if stage.hours_are}
    return [
        *sorted(by),
        *(
            f"The time of {served_as} is not known: set estimate.throughput.{model}, tokens a second of one server "
            "(`kedro status` shows them), or requests_per_minute in the model's limits for a hosted one."
            for model, served_as in hours.items()
        ),
        *(
            f"Money for {served_as} is not known: set prices.{model}.prompt and prices.{model}.completion, "
            "money for a million tokens."
            for model, served_as in money.items()
        ),
    ]
