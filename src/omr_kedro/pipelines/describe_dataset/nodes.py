"""The card of the dataset and its Croissant metadata, from what was published and the run's reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa

from omr_kedro import __version__
from omr_kedro.publishing.card import dataset_card
from omr_kedro.publishing.croissant import croissant
from omr_kedro.publishing.facts import DatasetFacts, DescriptionOptions, Funnel, Origin, check_counts, records
from omr_kedro.publishing.limits import MEANINGS
from omr_kedro.publishing.manifest import Manifest

PROBLEMS = "problems"
"""The config whose rows say where problems come from, and under which licence."""


class PublishedConfig(Protocol):
    """A config that was published: see `publishing.publication.Published`."""

    @property
    def manifest(self) -> Manifest:
        """Its files and columns."""
        ...

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Its rows, of these columns alone."""
        ...


def describe_dataset(
    options: DescriptionOptions,
    published: Mapping[str, PublishedConfig],
    funnels: Sequence[Funnel],
    calls: pd.DataFrame,
    contamination: pd.DataFrame,
    judges: Sequence[pd.DataFrame],
    exam: pd.DataFrame | None,
    earlier: str | None,
) -> tuple[str, dict[str, Any]]:
    """The card and the metadata of a dataset.

    Args:
        options: words for it.
        published: its configs, by name.
        funnels: of problems, of solutions, and of comparisons if there are any.
        calls: `model_calls`.
        contamination: `contamination_report`.
        judges: reports on the pairs whose verdict is known, of each judge.
        exam: results of examinations of the models; None where there were none.
        earlier: the card before; None where there was none.

    Raises:
        CountsError: the files hold other rows than the funnel says.
    """
    order = {name: place for place, name in enumerate(MEANINGS)}
    manifests = sorted(
        (config.manifest for config in published.values()),
        key=lambda manifest: (order.get(manifest.config, len(order)), manifest.config),
    )
    check_counts(manifests, (stage for funnel in funnels for stage in funnel.stages))
    facts = DatasetFacts(
        options,
        __version__,
        manifests,
        funnels,
        records(calls),
        records(contamination),
        origins(published[PROBLEMS]),
        [row for report in judges for row in records(report) if row["rows"]],
        records(exam) if exam is not None else [],
    )
    return dataset_card(facts, earlier or ""), croissant(facts)


def origins(problems: PublishedConfig) -> list[Origin]:
    """Sources of the problems, with the licences of their rows, the most frequent first."""
    counts = Counter(
        (row["problem_source"] or "", row["license"])
        for batch in problems.batches(["problem_source", "license"])
        for row in batch.to_pylist()
    )
    return [Origin(*origin, count) for origin, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
