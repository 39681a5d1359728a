"""Catalog types: tables of shards, files from outside, benchmarks, prompts, chat models and other resources."""

from typing import Protocol, runtime_checkable

from omr_kedro.datasets.benchmark import BenchmarkDataset
from omr_kedro.datasets.chat_model import ChatModelDataset
from omr_kedro.datasets.chat_template import ChatTemplateDataset
from omr_kedro.datasets.grading_workers import GradingWorkersDataset
from omr_kedro.datasets.model_files import ModelFilesDataset, TokenizerDataset
from omr_kedro.datasets.prompt import PromptDataset
from omr_kedro.datasets.published_files import PublishedFilesDataset
from omr_kedro.datasets.python_sandbox import PythonSandboxDataset
from omr_kedro.datasets.resource import ResourceDataset, SharedDataset
from omr_kedro.datasets.shard_count import ShardCountDataset
from omr_kedro.datasets.shards import ShardsDataset
from omr_kedro.datasets.source import SourceDataset
from omr_kedro.datasets.whole_files import WholeCSVDataset, WholeJSONDataset

__all__ = [
    "BenchmarkDataset",
    "ChatModelDataset",
    "ChatTemplateDataset",
    "Checked",
    "GradingWorkersDataset",
    "ModelFilesDataset",
    "PromptDataset",
    "PublishedFilesDataset",
    "PythonSandboxDataset",
    "ResourceDataset",
    "ShardCountDataset",
    "ShardsDataset",
    "SharedDataset",
    "SourceDataset",
    "TokenizerDataset",
    "WholeCSVDataset",
    "WholeJSONDataset",
]


@runtime_checkable
class Checked(Protocol):
    """A dataset that can tell before a run whether the run could use it."""

    def check(self) -> None:
        """Raise an `OmrError` that says what is wrong; do nothing that costs."""
        ...
