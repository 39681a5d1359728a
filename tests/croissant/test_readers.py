"""Readers of others find in a published dataset what its card and its metadata say; see tests/croissant/install.sh."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from omr_kedro.publishing.card import dataset_card
from omr_kedro.publishing.croissant import croissant
from omr_kedro.publishing.facts import DescriptionOptions
from tests.publishing.facts import MESSAGES, facts

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
FOLDER = Path(os.environ.get("OMR_TEST_CROISSANT") or CACHE / "omr_kedro/croissant")

MLCROISSANT = """
import json, sys
import mlcroissant
found = mlcroissant.Dataset(jsonld="croissant.json")
issues = found.metadata.ctx.issues
rows = list(found.records(sys.argv[1]))
print(json.dumps({"errors": list(issues.errors), "warnings": list(issues.warnings), "rows": rows,
    "uses": found.metadata.data_use_cases, "limits": found.metadata.data_limitations,
    "missing": found.metadata.data_collection_missing_data}, default=lambda text: text.decode()))
"""
DATASETS = """
import json, sys
import datasets
rows = datasets.load_dataset(sys.argv[2], sys.argv[1], split="train")
print(json.dumps({"rows": rows.to_list(), "columns": str(rows.features)}))
"""


def read(script: str, folder: Path, config: str) -> Any:
    """What a reader prints of a config."""
    if not (FOLDER / "complete").exists():
        pytest.skip("needs mlcroissant and datasets (tests/croissant/install.sh)")
    variables = {"HOME": str(folder), "HF_HOME": str(folder / ".cache"), "HF_HUB_OFFLINE": "1"}
    command = [str(FOLDER / "bin/python"), "-c", script, config, str(folder)]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    options = DescriptionOptions(date="2026-11-30", creators=["A team"], citation="@misc{team}", title="Olympiads")
    found = facts(tmp_path, told='a "name" <b> \u202e', options=options)
    (tmp_path / "README.md").write_text(dataset_card(found))
    (tmp_path / "croissant.json").write_text(json.dumps(croissant(found)))
    return tmp_path


def test_mlcroissant_finds_no_fault_and_reads_every_row(dataset: Path) -> None:
    found = read(MLCROISSANT, dataset, "cot")
    assert (found["errors"], found["warnings"]) == ([], [])
    assert len(found["rows"]) == 5
    row = found["rows"][0]
    assert (row["cot/problem"], row["cot/pass_rate"], row["cot/votes_for"]) == ("cot 0", 0.5, 3)
    assert len(found["uses"]) == 3
    assert found["missing"].startswith("settle_cot: 3 rows dropped as ")
    assert len(read(MLCROISSANT, dataset, "rejected")["rows"]) == 4


def test_datasets_loads_each_config_by_the_card(dataset: Path) -> None:
    found = read(DATASETS, dataset, "cot")
    assert len(found["rows"]) == 5
    assert found["rows"][0] == {"problem": "cot 0", "pass_rate": 0.5, "votes_for": 3, "messages": MESSAGES}
    assert "List({'role': Value('string'), 'content': Value('string')})" in found["columns"]
    assert len(read(DATASETS, dataset, "rejected")["rows"]) == 4
