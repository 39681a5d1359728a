"""A prompt file, in the catalog."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import yaml
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import JSONPreview

from omr_kedro.datasets.explained import explained
from omr_kedro.llm.calls import Prompt, PromptError


class PromptDataset(AbstractDataset[NoReturn, Prompt]):
    """Loads a `Prompt` from a YAML file with `user`, and optionally `system`, `choices`, `examples`, `description`.

    ```yaml
    extract_problems_prompt:
      type: omr_kedro.datasets.PromptDataset
      filepath: conf/base/prompts/extract_problems.yml
      fields: [forum_post]      # what the stage fills in; checked against the template
    ```
    """

    def __init__(self, *, filepath: str, fields: list[str], metadata: dict[str, Any] | None = None) -> None:
        """Describe the file; `fields` are the names that the template must hold, no more and no fewer."""
        self.metadata = metadata
        self._filepath = Path(filepath)
        self._fields = fields

    def load(self) -> Prompt:
        """The prompt, checked."""
        with explained():
            return self._read()

    def save(self, data: NoReturn) -> None:
        """Refuse: prompts are written by people."""
        raise DatasetError(f"{self._filepath} is written by people, not by a run")

    def check(self) -> None:
        """Say before any work what is wrong with the file.

        Raises:
            PromptError: see `Prompt.from_mapping`; also for a missing file and for fields that the stage does not fill.
        """
        self._read()

    def _read(self) -> Prompt:
        try:
            content = yaml.safe_load(self._filepath.read_text("utf-8"))
        except FileNotFoundError:
            raise PromptError(f"There is no prompt file {self._filepath}.") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise PromptError(f"{self._filepath} is not valid YAML: {error}") from error
        prompt = Prompt.from_mapping(self._filepath.stem, content)
        if set(prompt.fields) != set(self._fields):
            raise PromptError(
                f"{self._filepath}: the template holds the fields {sorted(prompt.fields)}, "
                f"but its stage fills in {sorted(self._fields)}. Write them as {{{{name}}}} in 'user'."
            )
        return prompt

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "fields": self._fields}

    def preview(self) -> JSONPreview:
        """The file's content."""
        return JSONPreview(json.dumps(yaml.safe_load(self._filepath.read_text("utf-8")), ensure_ascii=False))
