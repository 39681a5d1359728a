"""The section `estimate` of the parameters: what is taken as given, where nothing was measured."""

from __future__ import annotations

from typing import Annotated, Any

from kedro.io import CatalogProtocol
from pydantic import BaseModel, ConfigDict, Field

from omr_kedro.runners.account import check_models


class AssumedRate(BaseModel):
    """Rows of a table for each row that it is made from."""

    model_config = ConfigDict(extra="forbid")

    rate: float = Field(ge=0)
    source: str
    """Where the number comes from; shown with the estimate."""


class EstimateOptions(BaseModel):
    """How an estimate is made."""

    model_config = ConfigDict(extra="forbid")

    sample: int = Field(default=1000, ge=1)
    """Rows of the first table that are looked at, at least. A sample is some shards, whole: which thread is in which
    shard is chance."""
    few: int = Field(default=30, ge=1)
    """Fewer rows or calls measure nothing."""
    tokenizer: dict[str, str | None] = {}
    """`tokenizer.json`, or its folder, by the model's name in the catalog; without it the model is looked for in the
    cache of Hugging Face."""
    throughput: dict[str, float | None] = {}
    """Tokens a second of one model server, prompts and replies together, by the model's name in the catalog."""
    reasoning_tokens: dict[str, Annotated[float, Field(ge=0)]] = {}
    """Tokens that a model thinks before each reply, where no reply was measured yet, by its name in the catalog; none
    where it is not listed."""
    field_tokens: dict[str, Annotated[float, Field(ge=0)]] = {}
    """Tokens that fill a field of a prompt, where no such text is there yet; those of the prompt's worked examples
    where it is not listed."""
    rows: dict[str, AssumedRate] = {}
    """Rates by table; what is not listed is taken as one row for each."""

    def check_models(self, catalog: CatalogProtocol[Any, Any]) -> None:
        """Refuse settings of models that the catalog does not have.

        Raises:
            ParameterError: names them.
        """
        for section in ("tokenizer", "throughput", "reasoning_tokens"):
            check_models(catalog, f"estimate.{section}", getattr(self, section))
