"""A word before a run on stages whose model was never examined with its prompt, or is unfit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from kedro.framework.project import pipelines
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline

from omr_kedro.datasets import ChatModelDataset, PromptDataset
from omr_kedro.exam import ExamOptions, Verdict
from omr_kedro.exam.records import ExamRecord
from omr_kedro.lineage.exams import load_records
from omr_kedro.runners.account import parameter
from omr_kedro.shards import OmrError

EXAM = "exam"
"""The pipeline, and the section of the parameters."""


class NotExaminedError(OmrError):
    """A run asks models that were never examined, or are unfit, and `exam.before_runs` is `stop`."""


class Asked(NamedTuple):
    """A model and a prompt, as a record of an exam names them."""

    model: str
    prompt_hash: str


def exam_notice(pipeline: Pipeline, catalog: DataCatalog, command: str) -> str:
    """One line on the stages of a run whose model was never examined with its prompt, or is unfit; mostly empty.

    Args:
        pipeline: of the run.
        catalog: of the run.
        command: examines these models.

    Raises:
        NotExaminedError: there are such stages, and the parameters say that a run must not begin then.
    """
    options = parameter(catalog, EXAM, ExamOptions)
    asked = [] if options.before_runs == "off" else list(_asked(pipeline, catalog))
    if not asked:
        return ""
    line = notice_line(asked, load_records(catalog), command)
    if line and options.before_runs == "stop":
        raise NotExaminedError(f"{line}. Nothing was asked. To run all the same: --params=exam.before_runs=warn.")
    return line


def exam_command(run_params: Mapping[str, Any]) -> str:
    """The command that examines the models of a run."""
    env = run_params.get("env") or "base"
    same = " (with the same --params)" if run_params.get("runtime_params") else ""
    return f"kedro run --env {env} --pipelines {EXAM}{same}"


def notice_line(asked: Iterable[tuple[str, Asked]], records: Iterable[ExamRecord], command: str) -> str:
    """The line on these stages; empty where all were examined, and none is unfit."""
    verdicts = {Asked(record.model, record.prompt_hash): record.verdict for record in records}
    stages = {stage: verdicts.get(each) for stage, each in asked}
    unknown = sum(verdict is None for verdict in stages.values())
    unfit = [stage for stage, verdict in stages.items() if verdict == Verdict.UNFIT]
    parts = [f"{unknown} of {len(stages)} stages ask a model that was not examined for them"] if unknown else []
    parts += [f"{'the' if parts else 'The'} model is unfit for {', '.join(unfit)}"] if unfit else []
    return f"{'; '.join(parts)}: {command}" if parts else ""


def _asked(pipeline: Pipeline, catalog: DataCatalog) -> Iterator[tuple[str, Asked]]:
    """The stages of a run that an exam can examine: those that ask with a prompt which the exam asks with."""
    exam = pipelines[EXAM]
    if set(pipeline.nodes) <= set(exam.nodes):
        return
    examined = {name for node in exam.nodes for name in _prompts(node, catalog)}
    for node in pipeline.nodes:
        models = [each for name in node.inputs if isinstance(each := catalog.get(name), ChatModelDataset)]
        for name, prompt in _prompts(node, catalog).items():
            if name in examined and models:
                stage = node.name.rpartition(".")[2].removeprefix("ask_")
                yield stage, Asked(models[0].load().name, prompt.load().hash)


def _prompts(node: Node, catalog: DataCatalog) -> dict[str, PromptDataset]:
    if not node.name.rpartition(".")[2].startswith("ask_"):
        return {}
    return {name: each for name in node.inputs if isinstance(each := catalog.get(name), PromptDataset)}
