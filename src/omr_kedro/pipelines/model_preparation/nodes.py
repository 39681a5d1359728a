"""Models are brought to the cluster and checked, before a job waits for a GPU."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from omr_kedro.llm.serving import ModelFiles, ModelFilesError, check_servable

logger = logging.getLogger(__name__)


class PreparationOptions(BaseModel):
    """Which models are prepared."""

    model_config = ConfigDict(extra="forbid")

    purposes: list[str] | None = None
    """As `models` in globals.yml names them; all when null."""


def check_models(
    model_files: Mapping[str, Callable[[], ModelFiles]], options: PreparationOptions
) -> dict[str, dict[str, Any]]:
    """The manifest of the downloaded models, by purpose: name, revision, files, and what a server will find in them.

    Args:
        model_files: a function for each purpose, which downloads what is missing.
        options: which of them.

    Raises:
        ModelFilesError: lists the models that cannot be served, and all that is wrong with each.
    """
    purposes = list(model_files) if options.purposes is None else options.purposes
    if unknown := sorted(set(purposes) - set(model_files)):
        raise ModelFilesError(
            f"model_preparation.purposes: there is no model for {', '.join(unknown)}; known: {', '.join(model_files)}."
        )
    manifest: dict[str, dict[str, Any]] = {}
    wrong: list[str] = []
    for purpose in purposes:
        files = model_files[purpose]()
        try:
            manifest[purpose] = _checked(purpose, files)
        except ModelFilesError as error:
            wrong.append(f"models.{purpose}: {error}")
    if wrong:
        raise ModelFilesError("\n".join(wrong))
    return manifest


def _checked(purpose: str, files: ModelFiles) -> dict[str, Any]:
    manifest = files.manifest()
    if files.folder is None:
        logger.info("%s: %s is served elsewhere: nothing to download.", purpose, files.name)
        return manifest
    facts = check_servable(files)
    logger.info(
        "%s: %s at %s can be served on %d GPUs: %.1f GB of weights, %s.",
        purpose, files.name, files.revision or "no revision", files.tensor_parallel_size, facts["weight_bytes"] / 1e9,
        facts["architecture"],
    )  # fmt: skip
    return {**manifest, **facts}
