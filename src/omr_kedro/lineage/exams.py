"""Exams that are on disk: the last one of a workspace, and the record of each model and prompt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import Any

from kedro.io import CatalogProtocol, DatasetError
from kedro.pipeline import Pipeline

from omr_kedro.datasets import PromptDataset
from omr_kedro.exam import Marks
from omr_kedro.exam.records import ExamRecord, read_records
from omr_kedro.shards import OmrError, printable_name

Catalog = CatalogProtocol[Any, Any]

_LEAST_DIGITS = 4
"""Of a hash that is named by its beginning."""


class NoSuchExamError(OmrError):
    """There is no exam of this name, or several."""


def load_records(catalog: Catalog) -> list[ExamRecord]:
    """The records of all exams of a workspace."""
    files: dict[str, Callable[[], Any]] = {}
    with suppress(DatasetError):  # There are none.
        files = catalog.load("exam_records")
    values = []
    # Below this folder lie copies of files that somebody has edited.
    for name in sorted(name for name in files if "/" not in name):
        with suppress(DatasetError):
            values.append(files[name]())
    return read_records(values)


def last_marks(catalog: Catalog) -> dict[str, Marks]:
    """Marks of the last exam of a workspace, by stage; none where there was none."""
    marks: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
    if catalog.exists("exam_marks"):
        for row in catalog.load("exam_marks").rows():
            marks[row["stage"]][row["row_id"]] = row["gold_class"], row["mark"]
    return dict(marks)


def prompt_hashes(pipeline: Pipeline, catalog: Catalog) -> set[str]:
    """Hashes of the prompts that a pipeline asks with."""
    datasets = [catalog.get(name) for name in pipeline.inputs()]
    return {dataset.load().hash for dataset in datasets if isinstance(dataset, PromptDataset)}


def marks_of(name: str, records: Iterable[ExamRecord], current: Collection[str]) -> dict[str, Marks]:
    """Marks of one model, or of one version of a prompt, by stage.

    Args:
        name: of a model, or the beginning of a prompt's hash, or both as `model@hash`.
        records: of a workspace.
        current: hashes of the prompts as they are: of several records of a stage the current prompt's counts.

    Raises:
        NoSuchExamError: names the records that there are.
    """
    records = list(records)
    found: dict[str, list[ExamRecord]] = defaultdict(list)
    for record in records:
        if _is_named(record, name):
            found[record.stage].append(record)
    if not found:
        known = sorted({f"{record.model}@{record.prompt_hash[:6]}" for record in records})
        there = f"There are {', '.join(known)}" if known else "None is there: kedro run --pipelines exam"
        raise NoSuchExamError(
            f"No environment, and no model or prompt of an exam, is named {printable_name(name)}. {there}."
        )
    return {stage: _the_one(stage, name, several, current).marks for stage, several in found.items()}


def _is_named(record: ExamRecord, name: str) -> bool:
    model, at, version = name.rpartition("@")
    if at and record.model == model:
        return record.prompt_hash.startswith(version)
    return record.model == name or (len(name) >= _LEAST_DIGITS and record.prompt_hash.startswith(name))


def _the_one(stage: str, name: str, several: list[ExamRecord], current: Collection[str]) -> ExamRecord:
    chosen = several if len(several) == 1 else [record for record in several if record.prompt_hash in current]
    if len(chosen) != 1:
        names = ", ".join(f"{record.model}@{record.prompt_hash[:6]}" for record in several)
        raise NoSuchExamError(f"{printable_name(name)} names several exams of {stage}; name one of {names}.")
    return chosen[0]
