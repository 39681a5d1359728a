"""Models are brought to the cluster and checked, before a job waits for a GPU."""

from __future__ import annotations

import logging
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from omr_kedro.llm.serving import ModelFiles, check_servable

logger = logging.getLogger(__name__)


class ServingOptions(BaseModel):
    """How the model will be served."""

    model_config = ConfigDict(extra="forbid")

    tensor_parallel_size: int = Field(default=1, ge=1)
    """GPUs that share the weights."""
    context_tokens: int = Field(default=32_768, ge=1)
    """Length of the longest call, prompt and reply together."""


def check_model(problem: ModelFiles, options: ServingOptions) -> dict[str, Any]:
    """The manifest of the downloaded models: names, revisions, files, and what a server will find in them.

    Raises:
        ModelFilesError: a model cannot be served; lists all that is wrong.
    """
    manifest = problem.manifest()
    if problem.folder is None:
        logger.info("%s is served elsewhere: nothing to download.", problem.name)
        return {"problem": manifest}
    facts = check_servable(problem, options.tensor_parallel_size, options.context_tokens)
    logger.info(
        "%s at %s can be served on %d GPUs: %.1f GB of weights, %s.",
        problem.name, problem.revision or "no revision", options.tensor_parallel_size, facts["weight_bytes"] / 1e9,
        facts["architecture"],
    )  # fmt: skip
    return {"problem": {**manifest, **facts}}
