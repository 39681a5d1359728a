"""A chat model that a person has chosen for a purpose, as `models` in globals.yml describes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from kedro.io import DatasetError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

_OWN_FIELDS = frozenset(
    {
        "model", "messages", "temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "n", "stream",
        "response_format", "structured_outputs",
    }
)  # fmt: skip
"""Fields of a request's body that are said elsewhere; set here as well, rows and keys would not tell what was asked."""


def _leaves_own_fields(extra_body: dict[str, Any]) -> dict[str, Any]:
    if said_elsewhere := sorted(_OWN_FIELDS & extra_body.keys()):
        raise ValueError(f"{', '.join(said_elsewhere)}: say it in the stage's parameters or the model's entry instead")
    return extra_body


class ChosenModel(BaseModel):
    """A model, and what goes with it and with no other model in its place."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """As the endpoint knows it: `owner/name` on the Hugging Face hub, a folder, or any name of a hosted model."""
    revision: str | None = None
    """Commit of its files on the hub; None for a folder, or a hosted model."""
    tensor_parallel_size: int = Field(default=1, ge=1)
    """GPUs that share the weights."""
    context_tokens: int | None = Field(default=None, ge=1)
    """Longest call, prompt and reply together; None where it is not known."""
    server_args: dict[str, str | int | float | bool | None] = {}
    """Options of its server beside those of all servers, as `reasoning-parser`."""
    extra_body: Annotated[dict[str, Any], AfterValidator(_leaves_own_fields)] = {}
    """Fields of every request beside the usual ones, as `chat_template_kwargs`."""

    @classmethod
    def of(cls, given: str | Mapping[str, Any]) -> Self:
        """Read a description; a name alone is a model of which no more is known.

        Raises:
            DatasetError: says what is wrong with it.
        """
        try:
            return cls.model_validate({"name": given} if isinstance(given, str) else given)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
            raise DatasetError(f"a model (`models` in conf/<env>/globals.yml): {wrong}") from None

    def replaced_by(self, name: str, *, served_here: bool) -> ChosenModel:
        """Another model in this one's place: on the same GPUs and for the same calls, if it is served here at all."""
        if name == self.name:
            return self
        if not served_here:
            return ChosenModel(name=name)
        return ChosenModel(
            name=name, tensor_parallel_size=self.tensor_parallel_size, context_tokens=self.context_tokens
        )
