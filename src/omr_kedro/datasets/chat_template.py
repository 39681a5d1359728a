"""A tokenizer's chat template, in the catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from omr_kedro.datasets.explained import explained
from omr_kedro.datasets.hub import hub_snapshot
from omr_kedro.publishing.chat_template import CONFIG, FILE, ChatTemplate


class ChatTemplateDataset(AbstractDataset[NoReturn, ChatTemplate | None]):
    """Loads the `ChatTemplate` of a tokenizer, downloading nothing else of it; None where no tokenizer is named."""

    def __init__(
        self, *, model: str | None, revision: str | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        """Say whose template.

        Args:
            model: `owner/name` on the hub, or a local folder.
            revision: commit on the hub; null for a folder.
            metadata: passed on to Kedro-Viz and other plugins.
        """
        self.metadata = metadata
        self._model = model
        self._revision = revision

    def load(self) -> ChatTemplate | None:
        """The template.

        Raises:
            DatasetError: the tokenizer has none, or cannot be reached.
        """
        if self._model is None:
            return None
        with explained():
            if self._revision is None:
                return ChatTemplate.of_folder(Path(self._model), self._model)
            snapshot = hub_snapshot(self._model, self._revision, [CONFIG, FILE], "model")
            return ChatTemplate.of_folder(snapshot.folder, f"{self._model}@{snapshot.commit}")

    def save(self, data: NoReturn) -> None:
        """Refuse."""
        raise DatasetError("a chat template is input and is never written")

    def _describe(self) -> dict[str, Any]:
        return {"model": self._model, "revision": self._revision}
