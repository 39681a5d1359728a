"""A model's files and its tokenizer, in the catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from omr_kedro.datasets.explained import explained
from omr_kedro.datasets.hub import hub_snapshot
from omr_kedro.llm.serving.model_files import ModelFiles
from omr_kedro.text import TokenCounter

_TOKENIZER = "tokenizer.json"
# What servers read; not the copies of the weights in other formats that many repositories hold.
_MODEL_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken")


class ModelFilesDataset(AbstractDataset[NoReturn, ModelFiles]):
    """Loads `ModelFiles`: a model of the Hugging Face hub at a pinned revision, downloaded to the hub's cache.

    Interrupted downloads go on where they stopped, files are compared with the hub's checksums. A model without a
    revision is a local folder, or one that somebody else serves: nothing is downloaded.
    """

    def __init__(self, *, model: str, revision: str | None = None, metadata: dict[str, Any] | None = None) -> None:
        """Describe the model; `model` is `owner/name` on the hub, a folder, or any name of a hosted model."""
        self.metadata = metadata
        self._model = model
        self._revision = revision

    def load(self) -> ModelFiles:
        """The files, once all of them are there."""
        if self._revision is None:
            folder = Path(self._model)
            return ModelFiles(self._model, None, folder if folder.is_dir() else None)
        with explained():
            snapshot = hub_snapshot(self._model, self._revision, _MODEL_FILES, "model")
        return ModelFiles(self._model, snapshot.commit, snapshot.folder)

    def save(self, data: NoReturn) -> None:
        """Refuse."""
        raise DatasetError(f"{self._model} is input and is never written")

    def _describe(self) -> dict[str, Any]:
        return {"model": self._model, "revision": self._revision}


class TokenizerDataset(AbstractDataset[NoReturn, TokenCounter]):
    """Loads a `TokenCounter` of a model's `tokenizer.json`, which is all that is downloaded of it.

    `model` is `owner/name` on the hub with a `revision`, or a local folder or file. With neither a tokenizer nor a
    revision a token is counted for each byte: no byte-level tokenizer makes more, so limits hold, and texts are cut
    sooner than they need be.
    """

    def __init__(
        self, *, model: str | None, revision: str | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        """Say whose tokenizer; see the class."""
        self.metadata = metadata
        self._model = model
        self._revision = revision

    def load(self) -> TokenCounter:
        """The counter; the tokenizer is read when it first counts."""
        if self._model and self._revision:
            with explained():
                snapshot = hub_snapshot(self._model, self._revision, [_TOKENIZER], "model")
            return TokenCounter(snapshot.folder / _TOKENIZER, f"{self._model}@{snapshot.commit}")
        if self._model and (file := _tokenizer_file(Path(self._model))):
            return TokenCounter(file, self._model)
        return TokenCounter(None, "bytes")

    def save(self, data: NoReturn) -> None:
        """Refuse."""
        raise DatasetError("a tokenizer is input and is never written")

    def _describe(self) -> dict[str, Any]:
        return {"model": self._model, "revision": self._revision}


def _tokenizer_file(path: Path) -> Path | None:
    file = path / _TOKENIZER if path.is_dir() else path
    return file if file.is_file() else None
