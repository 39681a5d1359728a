"""Facts about a run that the dataset's card, its Croissant metadata and its report tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from omr_kedro.publishing.manifest import Manifest
from omr_kedro.shards import OmrError

_SETTLE = "settle_"
"""How the names of the stages begin that decide which samples of a mode are solutions."""

_CHAINS = {"problems": "", "solutions": "solutions_", "comparisons": "genselect_"}
"""Beginnings of the names of the reports of each chain of stages, by what its rows are."""
FUNNEL_REPORTS = [f"{prefix}{name}" for prefix in _CHAINS.values() for name in ("funnel", "funnel_reasons")]

Record = Mapping[str, Any]
"""A row of a report."""


class CountsError(OmrError):
    """The dataset's files and the funnel do not agree."""


class DescriptionOptions(BaseModel):
    """Words for the dataset that only people know."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(default="Mathematical reasoning, made with omr_kedro", min_length=1)
    description: str = ""
    """A paragraph for the beginning of the card, in Markdown."""
    languages: list[str] = ["en"]
    """ISO 639 codes."""
    sources: list[str] = []
    """Datasets of the hub that the threads come from, as `owner/name`."""
    url: str | None = None
    """Address of the dataset, where it has one."""
    date: str | None = None
    """Day on which it is published, as `2026-11-30`."""
    creators: list[str] = []
    """Names of the organisations that publish it."""
    citation: str | None = None
    """BibTeX entry of what describes it."""
    seed: int = 0
    """Chooses the random rows of the report."""


class Funnel(NamedTuple):
    """A funnel, with the reasons for rows that were not kept."""

    rows: str
    """Name of its rows: `problems`, `solutions` or `comparisons`."""
    stages: Sequence[Record]
    reasons: Sequence[Record]


class Origin(NamedTuple):
    """A source of problems, with the licence of its rows."""

    source: str
    license: str
    problems: int


@dataclass(frozen=True)
class DatasetFacts:
    """A published dataset and the run that made it."""

    options: DescriptionOptions
    version: str
    """Of omr_kedro."""
    manifests: Sequence[Manifest]
    """In the order in which the card names them."""
    funnels: Sequence[Funnel]
    calls: Sequence[Record]
    """Calls and tokens by stage, model and prompt (`model_calls`)."""
    contamination: Sequence[Record]
    origins: Sequence[Origin]
    judges: Sequence[Record] = ()
    """Reports on pairs whose verdict is known, of each judge (`<stage>_control_report`)."""
    exam: Sequence[Record] = ()
    """Results of examinations of the models; empty where there were none."""

    @property
    def published(self) -> list[Manifest]:
        """The configs that have rows."""
        return [manifest for manifest in self.manifests if manifest.rows]

    @property
    def models(self) -> list[str]:
        """Models that answered, each once, in the order of the stages."""
        return list(dict.fromkeys(str(row["model"]) for row in self.calls))

    @property
    def licenses(self) -> list[str]:
        """Licences of the rows, each once."""
        return sorted({origin.license for origin in self.origins})


def records(frame: pd.DataFrame) -> list[Record]:
    """The rows of a report, None where a cell is empty."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def funnels_of(reports: Mapping[str, pd.DataFrame]) -> list[Funnel]:
    """The funnels that have any stage, with their reasons, from their reports (`FUNNEL_REPORTS`)."""
    found = [
        Funnel(rows, records(reports[f"{prefix}funnel"]), records(reports[f"{prefix}funnel_reasons"]))
        for rows, prefix in _CHAINS.items()
    ]
    return [funnel for funnel in found if funnel.stages]


def check_counts(manifests: Iterable[Manifest], stages: Iterable[Record]) -> None:
    """Fail the run when a config does not hold the rows that the funnel says were kept, or rejected.

    Raises:
        CountsError: names the configs and both counts.
    """
    rows = {manifest.config: manifest.rows for manifest in manifests}
    modes = {stage["stage"].removeprefix(_SETTLE): stage for stage in stages if stage["stage"].startswith(_SETTLE)}
    published = {mode: stage for mode, stage in modes.items() if mode in rows}
    wanted = {mode: int(stage["rows_out"]) for mode, stage in published.items()}
    if "rejected" in rows:
        wanted["rejected"] = sum(int(stage["dropped"]) + int(stage["failed"]) for stage in published.values())
    wrong = [
        f"  {config}: {rows[config]:,} rows in its files, {count:,} in the funnel"
        for config, count in wanted.items()
        if rows[config] != count
    ]
    if wrong:
        raise CountsError(
            "The dataset's files do not agree with the funnel:\n"
            + "\n".join(wrong)
            + "\nIts tables have changed since "
            "it was published: kedro run --pipelines publish. If that does not help, please report it."
        )
