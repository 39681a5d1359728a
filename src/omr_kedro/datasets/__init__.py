"""Catalog types: tables of shards, files from outside, prompts, chat models."""

from omr_kedro.datasets.chat_model import ChatModelDataset
from omr_kedro.datasets.prompt import PromptDataset
from omr_kedro.datasets.shards import ShardsDataset
from omr_kedro.datasets.source import SourceDataset

__all__ = ["ChatModelDataset", "PromptDataset", "ShardsDataset", "SourceDataset"]
