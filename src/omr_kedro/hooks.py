"""What happens around a run: models are checked and their servers stopped, errors are made readable, results shown."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import TracebackType
from typing import Any

import pandas as pd
import rich
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog, DatasetError
from kedro.pipeline import Node, Pipeline
from kedro.validation import ParameterValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from omr_kedro.datasets import ChatModelDataset, Checked, ShardsDataset
from omr_kedro.runners.account import open_account
from omr_kedro.shards import OmrError
from omr_kedro.shards.files import disk_full


class Preflight:
    """Says before any work, and before anything is paid for, what a prompt, a file or a model lacks."""

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Check all that the run takes from outside, and say everything that is wrong with it at once."""
        wrong: list[OmrError] = []
        # That runner knows where a model will be served, and looks there.
        served_here = run_params["runner"] not in {"SlurmRunner (slurm)", "SlurmRunner (dry run)"}
        for check in _checks(pipeline, catalog, served_here=served_here):
            try:
                check()
            except OmrError as error:
                wrong.append(error)
        if wrong:
            several = OmrError("Several things are in the way:\n" + "\n".join(f"- {error}" for error in wrong))
            raise wrong[0] if len(wrong) == 1 else several


class Allowance:
    """Holds the calls of a run to what it may spend (parameters `spending` and `prices`)."""

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Open one account for all models of this process."""
        named = {
            name: dataset for name in pipeline.inputs() if isinstance(dataset := catalog.get(name), ChatModelDataset)
        }
        open_account(catalog, {name: dataset.load() for name, dataset in named.items()})


class ModelServers:
    """Stops each local server after the last node that needs it."""

    def __init__(self) -> None:
        self._users: list[tuple[ChatModelDataset, set[str]]] = []

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Note which nodes ask which model."""
        self._users = [
            (model, {node.name for node in pipeline.nodes if any(catalog.get(name) is model for name in node.inputs)})
            for model in _models(pipeline, catalog)
        ]

    @hook_impl
    def after_dataset_saved(self, node: Node) -> None:
        """Stop a server when its last asking node has ended: the calls are made while that node's table is saved."""
        for model, users in self._users:
            if node.name in users:
                users.discard(node.name)
                if not users:
                    model.release()

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Stop all servers."""
        self._stop_all()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Stop all servers."""
        self._stop_all()

    def _stop_all(self) -> None:
        for model, _ in self._users:
            model.release()


class Terminal:
    """Fits what is printed to the person or the file that it goes to."""

    @hook_impl
    def after_context_created(self) -> None:
        """Whole lines for files and pipes, and no forty frames of traceback around an error that explains itself."""
        if not sys.stdout.isatty():
            rich.reconfigure(width=160)
        sys.excepthook = partial(_print_explained, sys.excepthook)


class RunSummary:
    """Says what a run has made, and where it is."""

    @hook_impl
    def after_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Close the run with what a person wants to know."""
        if "dry run" in run_params["runner"]:
            return
        env = run_params.get("env") or "base"
        if "funnel" in pipeline.all_outputs():
            _show_funnel(pipeline, catalog, env)
        elif "raw_data_summary" in pipeline.all_outputs():
            _show_preparation(catalog, env)
        else:
            _show_tables(pipeline, catalog)


_RESULTS = {
    "problems": "clean problems with answers:",
    "contamination": "judged benchmark pairs:",
    "contamination_review": "pairs without a clear verdict:",
    "contamination_report": "contamination by benchmark:",
    "answer_quality_summary": "what is doubtful about answers:",
    "funnel": "the funnel:",
    "funnel_reasons": "what was not kept, by reason:",
    "funnel_plot": "the funnel as a plot:",
}


def _show_funnel(pipeline: Pipeline, catalog: DataCatalog, env: str) -> None:
    rich.get_console().print(_funnel_table(catalog.load("funnel")))
    for name, what in _RESULTS.items():
        _say(f"  {what:<34} {_where(catalog, name)}")
    for model in _models(pipeline, catalog):
        note = f" ({model.note})" if model.note else ""
        _say(f"Replies came from {model.load().name}{note}.")
    _say(f"Look at the lineage: kedro viz run --env {env}")


def _show_preparation(catalog: DataCatalog, env: str) -> None:
    rich.get_console().print(_plain_table("What became of the dump", catalog.load("raw_data_summary")))
    _say(f"  Next: kedro run --env {env} --params=raw_threads={_where(catalog, 'forum_threads')}")


def _show_tables(pipeline: Pipeline, catalog: DataCatalog) -> None:
    """What a part of the pipeline has made, in its order."""
    for name in (name for node in pipeline.nodes for name in node.outputs):
        if isinstance(catalog.get(name), ShardsDataset):
            _say(f"  {name:<34} {catalog.load(name).count:>9,} rows  {_where(catalog, name)}")


def _say(line: str) -> None:
    rich.get_console().print(line, soft_wrap=True, highlight=False)


def _checks(pipeline: Pipeline, catalog: DataCatalog, *, served_here: bool) -> Iterator[Callable[[], None]]:
    """What to call before a run: models first, since without one nothing else matters."""
    if served_here:
        yield from (model.check_installed for model in _models(pipeline, catalog))
    datasets = _inputs(pipeline, catalog)
    parameters = [catalog.load(name) for name in sorted(pipeline.inputs()) if name.startswith("params:")]
    for item in sorted([*datasets, *parameters], key=lambda item: not isinstance(item, ChatModelDataset)):
        if isinstance(item, Checked):
            yield item.check


def _inputs(pipeline: Pipeline, catalog: DataCatalog) -> list[Any]:
    return [catalog.get(name) for name in sorted(pipeline.inputs())]


def _models(pipeline: Pipeline, catalog: DataCatalog) -> list[ChatModelDataset]:
    return [dataset for dataset in _inputs(pipeline, catalog) if isinstance(dataset, ChatModelDataset)]


def _where(catalog: DataCatalog, name: str) -> str:
    dataset = catalog.get(name)
    return str(dataset._describe().get("filepath")) if dataset else name


def _funnel_table(funnel: pd.DataFrame) -> Table:
    table = Table(title="Funnel: rows in = kept + dropped + failed")
    for name in ("stage", "unit"):
        table.add_column(name)
    numbers = ("rows_in", "kept", "dropped", "failed", "rows_out")
    for name in numbers:
        table.add_column(name.replace("_", " "), justify="right")
    for row in funnel.to_dict("records"):
        table.add_row(row["stage"], row["unit"], *(f"{row[name]:,}" for name in numbers))
    return table


def _plain_table(title: str, frame: pd.DataFrame) -> Table:
    table = Table(title=title)
    for name in frame.columns:
        table.add_column(name.replace("_", " "), justify="right" if name == "rows" else "left")
    for row in frame.fillna("").itertuples(index=False):
        table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in row))
    return table


def _explained(error: BaseException | None) -> BaseException | None:
    while error is not None:
        if isinstance(error, OmrError | ParameterValidationError):
            return error
        if isinstance(error, OSError):
            return disk_full(error, error.filename or "A file")
        error = error.__cause__ if isinstance(error, DatasetError) else None
    return None


def _print_explained(
    otherwise: Callable[..., Any], kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if explained := _explained(error):
        console = Console(stderr=True, soft_wrap=True, highlight=False)
        console.print("\n[bold red]Stopped.[/]", Text(str(explained)))
    else:
        otherwise(kind, error, trace)
