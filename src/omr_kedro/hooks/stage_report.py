"""One line for each stage of a run, as soon as its rows are settled; and a warning where it kept far too few."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline

from omr_kedro.datasets import ShardsDataset
from omr_kedro.hooks.inputs import chat_models, python_sandboxes
from omr_kedro.llm.endpoint.spending import in_words
from omr_kedro.llm.engine.progress import Tally
from omr_kedro.llm.engine.session import ModelSession
from omr_kedro.pipelines.report.expectations import Expectations, StageCounts, surprises
from omr_kedro.pipelines.stages import Stage, stages_of
from omr_kedro.runners.account import parameter
from omr_kedro.sandbox import Sandbox, Usage
from omr_kedro.screen import NAME_WIDTH, say
from omr_kedro.shards import Shards
from omr_kedro.shards.printable import printable_name

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StageLine:
    """State of a stage whose rows are settled."""

    counts: StageCounts
    rows_out: int
    tally: Tally | None = None
    """Calls of this process for the stage."""

    def __str__(self) -> str:
        counts, tally = self.counts, self.tally
        parts = [f"{counts.rows_in:,} in, {self.rows_out:,} out"]
        parts += [f"{counts.dropped:,} dropped"] if counts.dropped else []
        parts += [f"{counts.failed:,} failed"] if counts.failed else []
        if tally and tally.done:
            earlier = f" and {tally.reused:,} paid for before" if tally.reused else ""
            calls = tally.paid + tally.failed
            parts += [f"{calls:,} call{'' if calls == 1 else 's'}{earlier}", tally.used]
            parts += [f"{tally.code_runs:,} runs of code"] if tally.code_runs else []
            parts += (
                [f"{tally.failed:,} calls failed, last: {printable_name(tally.last_error)}"] if tally.failed else []
            )
        return f"{counts.stage:<{NAME_WIDTH}} {'; '.join(parts)}"


class StageReport:
    """Says how each stage went, once. The session makes it for each run."""

    def __init__(self) -> None:
        self.up_to_date: list[str] = []
        """Stages of which nothing was made, since all of it was there."""
        self.surprises: list[str] = []
        """Sentences on stages that kept far fewer rows than they should."""
        self._stages: dict[str, Stage] = {}
        self._waiting: dict[str, set[str]] = {}
        """Of each stage: the tables that are still to be saved."""
        self._expected = Expectations()
        self._catalog = DataCatalog()
        self._sessions: list[ModelSession] = []
        self._sandboxes: list[Sandbox] = []
        self._begun: list[int] = []
        """Of each session: the tallies that it had before this run."""

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Note the stages of the run."""
        self._expected = parameter(catalog, "expectations", Expectations)
        self._stages = {stage.name: stage for stage in stages_of([pipeline])}
        self._waiting = {stage.name: {*stage.kept, stage.dropped} for stage in self._stages.values()}
        self._sessions = [dataset.load().session for dataset in chat_models(pipeline, catalog).values()]
        self._sandboxes = [dataset.load() for dataset in python_sandboxes(pipeline, catalog).values()]
        self._begun = [len(session.tallies) for session in self._sessions]
        self._catalog = catalog

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, node: Node) -> None:  # noqa: ARG002 (Kedro gives by name)
        """Say how a stage went when the last of its tables is saved."""
        for name, waiting in self._waiting.items():
            if dataset_name in waiting:
                waiting.discard(dataset_name)
                if not waiting:
                    self._settled(self._stages[name])

    @property
    def tallies(self) -> list[Tally]:
        """Calls of this run, by table."""
        pairs = zip(self._sessions, self._begun, strict=True)
        return [tally for session, begun in pairs for tally in session.tallies[begun:]]

    def told_up_to_date(self) -> str:
        """A line on the stages of which nothing was made."""
        if len(self.up_to_date) == len(self._stages):
            return f"Up to date: all {len(self._stages)} stages; nothing was made."
        return f"Up to date, nothing made: {', '.join(self.up_to_date)}."

    def spent(self) -> str:
        """Calls, tokens and money of this run, in words; empty where no model was asked."""
        found = self.tallies
        if not found:
            return ""
        paid, reused = sum(tally.paid for tally in found), sum(tally.reused for tally in found)
        tokens = sum(tally.prompt_tokens + tally.completion_tokens for tally in found)
        money = [tally.price.of(tally.prompt_tokens, tally.completion_tokens) for tally in found]
        known = None if None in money else sum(amount or 0 for amount in money)
        parts = [f"{paid:,} calls, {tokens:,} tokens"]
        parts += [] if known is None else [f"{in_words(known)} in money"]
        parts += [f"{reused:,} calls taken from earlier runs"] if reused else []
        failed = sum(tally.failed for tally in found)
        return ", ".join([*parts, *([f"{failed:,} calls failed"] if failed else [])])

    @property
    def code_run(self) -> Usage:
        """Use that this process has made of the sandbox."""
        return sum((sandbox.metrics.usage for sandbox in self._sandboxes), Usage())

    def interrupted(self) -> None:
        """Say what a run that a person stopped has kept."""
        kept = self.spent() or "no call was made"
        say(f"Stopped by hand. Kept of this run: {kept}. The same command goes on from here.")

    def _settled(self, stage: Stage) -> None:
        rows_out = sum(_table(self._catalog, name).count for name in stage.kept)
        line = StageLine(_counts(stage, self._catalog), rows_out, self._of(stage))
        if _made(self._catalog, stage) == 0 and not line.tally:
            self.up_to_date.append(stage.name)
        else:
            say(str(line))
        for sentence in surprises(line.counts, self._expected):
            self.surprises.append(sentence)
            logger.warning("%s. Look at data and replies before you go on: `%s`.", sentence, stage.dropped)

    def _of(self, stage: Stage) -> Tally | None:
        return next((tally for tally in self.tallies if tally.name == stage.name), None)


def _table(catalog: DataCatalog, name: str) -> Shards:
    found = catalog.load(name)
    assert isinstance(found, Shards), f"{name} is a table"  # noqa: S101
    return found


def _made(catalog: DataCatalog, stage: Stage) -> int | None:
    """Shards of a stage's tables that this process has made; None where jobs did it."""
    datasets = [catalog.get(name) for name in (*stage.kept, stage.dropped)]
    counts = [dataset.made for dataset in datasets if isinstance(dataset, ShardsDataset)]
    return None if None in counts else sum(count or 0 for count in counts)


def _counts(stage: Stage, catalog: DataCatalog) -> StageCounts:
    dropped = _table(catalog, stage.dropped)
    outcomes = Counter(outcome for shard in dropped.values() for outcome in shard.column("outcome"))
    given = [catalog.get(name) for name in stage.given]
    if all(isinstance(dataset, ShardsDataset) for dataset in given):
        unit = stage.per or stage.unit or "problem"
        rows_in = sum(_table(catalog, name).count for name in stage.given)
    else:  # Files: counting their records again would be to read them again.
        unit = "record"
        rows_in = dropped.count + sum(_table(catalog, name).count for name in stage.kept)
    return StageCounts(stage.name, unit, rows_in, outcomes["dropped"], outcomes["failed"])
