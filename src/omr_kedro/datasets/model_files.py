"""Files of models and a tokenizer, in the catalog."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from huggingface_hub import try_to_load_from_cache
from kedro.io import AbstractDataset, DatasetError

from omr_kedro.datasets.chosen_model import ChosenModel
from omr_kedro.datasets.explained import explained
from omr_kedro.datasets.hub import hub_snapshot
from omr_kedro.llm.calls.token_estimate import BYTES_PER_TOKEN
from omr_kedro.llm.serving.model_files import ModelFiles
from omr_kedro.text import TokenCounter

_TOKENIZER = "tokenizer.json"
# Servers read these; not the copies of the weights in other formats that many repositories hold.
_MODEL_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken")


class ModelFilesDataset(AbstractDataset[NoReturn, dict[str, Callable[[], ModelFiles]]]):
    """Loads for each purpose a function that gives the `ModelFiles` of its model.

    Whoever calls the function gets files that are complete: those of a model of the Hugging Face hub at a pinned
    revision, downloaded to the hub's cache. Interrupted downloads go on where they stopped, files are compared with the
    hub's checksums. A model without a revision is a local folder, or one that somebody else serves: nothing is
    downloaded.
    """

    def __init__(
        self,
        *,
        models: Mapping[str, str | Mapping[str, Any]],
        instead: str | Mapping[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Describe the models.

        Args:
            models: a model for each purpose; see `ChosenModel`.
            instead: one model for all purposes, where there is one.
            metadata: passed on to Kedro-Viz and other plugins.

        Raises:
            DatasetError: a description cannot be used.
        """
        self.metadata = metadata
        self._models = {purpose: ChosenModel.of(instead or model) for purpose, model in models.items()}

    def load(self) -> dict[str, Callable[[], ModelFiles]]:
        """The functions, by purpose; loading downloads nothing."""
        return {purpose: partial(_files_of, model) for purpose, model in self._models.items()}

    def save(self, data: NoReturn) -> None:
        """Refuse."""
        raise DatasetError("the files of a model are input and never written")

    def _describe(self) -> dict[str, Any]:
        return {purpose: f"{model.name}@{model.revision}" for purpose, model in self._models.items()}


def _files_of(model: ChosenModel) -> ModelFiles:
    made = partial(
        ModelFiles,
        model.name,
        tensor_parallel_size=model.tensor_parallel_size,
        context_tokens=model.context_tokens,
    )
    if model.revision is None:
        folder = Path(model.name)
        return made(revision=None, folder=folder if folder.is_dir() else None)
    snapshot = hub_snapshot(model.name, model.revision, _MODEL_FILES, "model")
    return made(revision=snapshot.commit, folder=snapshot.folder)


class TokenizerDataset(AbstractDataset[NoReturn, TokenCounter]):
    """Loads a `TokenCounter` of a model's `tokenizer.json`, which is all that is downloaded of it.

    `model` is `owner/name` on the hub with a `revision`, or a local folder or file; or a mapping, as of a chat model,
    with its name and revision. With neither a tokenizer nor a revision a token is counted for each byte: no byte-level
    tokenizer makes more, so limits hold, and texts are cut sooner than they need be.

    Without `download` nothing is fetched: where the hub's cache has no tokenizer, as with hosted models, tokens are
    estimated from bytes.
    """

    def __init__(
        self,
        *,
        model: str | Mapping[str, Any] | None,
        revision: str | None = None,
        download: bool = True,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Say whose tokenizer; see the class."""
        self.metadata = metadata
        if isinstance(model, Mapping):
            chosen = ChosenModel.of(model)
            model, revision = chosen.name, chosen.revision
        self._model: str | None = model
        self._revision = revision
        self._download = download

    def load(self) -> TokenCounter:
        """The counter; the tokenizer is read when it first counts."""
        if self._model and self._revision and self._download:
            with explained():
                snapshot = hub_snapshot(self._model, self._revision, [_TOKENIZER], "model")
            return TokenCounter(snapshot.folder / _TOKENIZER, f"{self._model}@{snapshot.commit}")
        if self._model and (file := _tokenizer_file(Path(self._model))):
            return TokenCounter(file, self._model)
        return TokenCounter(None, "bytes") if self._download else _cached(self._model or "", self._revision)

    def save(self, data: NoReturn) -> None:
        """Refuse."""
        raise DatasetError("a tokenizer is input and is never written")

    def _describe(self) -> dict[str, Any]:
        return {"model": self._model, "revision": self._revision}


def _tokenizer_file(path: Path) -> Path | None:
    file = path / _TOKENIZER if path.is_dir() else path
    return file if file.is_file() else None


def _cached(model: str, revision: str | None) -> TokenCounter:
    found = None
    with suppress(ValueError):  # the name is no repository's
        found = try_to_load_from_cache(model, _TOKENIZER, revision=revision)
    if isinstance(found, str):
        return TokenCounter(Path(found), f"{model}@{revision}")
    return TokenCounter(None, "estimated from bytes", BYTES_PER_TOKEN)
