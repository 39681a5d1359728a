"""Prices of tokens: values, by which spending is counted wherever it is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Price(BaseModel):
    """Money for a million tokens; None where it is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: float | None = Field(default=None, ge=0)
    completion: float | None = Field(default=None, ge=0)

    def of(self, prompt_tokens: float, completion_tokens: float) -> float | None:
        """Cost of these tokens; None where it is not known."""
        if self.prompt is None or self.completion is None:
            return None
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


class Prices(BaseModel):
    """The section `prices` of the parameters: money for a million tokens, by the model's name in the catalog."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Price | None]

    def of(self, model: str) -> Price:
        """The price of a model; one that is not known where there is no entry."""
        return (self.__pydantic_extra__ or {}).get(model) or Price()
