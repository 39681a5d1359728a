from __future__ import annotations

import json
from pathlib import Path

import pytest
from kedro.io import DatasetError

from omr_kedro.datasets import PromptDataset


def dataset(folder: Path, text: str | None) -> PromptDataset:
    path = folder / "ask.yml"
    if text is not None:
        path.write_text(text)
    return PromptDataset(filepath=str(path), fields=["problem"])


def test_a_prompt_is_loaded_by_the_name_of_its_file(tmp_path: Path) -> None:
    prompt = dataset(tmp_path, "user: 'Solve {{problem}}'").load()
    assert prompt.name == "ask"
    assert prompt.messages(problem="x") == [{"role": "user", "content": "Solve x"}]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "There is no prompt file"),
        ("user: [", "is not valid YAML"),
        ("user: 'Solve it'", "holds the fields [], but its stage fills in ['problem']"),
        ("user: '{{problem}}'\nsistem: x", "unknown keys ['sistem']"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str | None, complaint: str) -> None:
    with pytest.raises(DatasetError) as refused:
        dataset(tmp_path, text).load()
    assert complaint in str(refused.value)


def test_a_preview_is_the_files_content(tmp_path: Path) -> None:
    assert json.loads(dataset(tmp_path, "user: '{{problem}}'").preview()) == {"user": "{{problem}}"}
