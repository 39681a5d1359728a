"""The dataset in the hands of trainers: their own loading and formatting code, where `install.sh` has installed it.

TRL is installed and trains a step. NeMo-RL, axolotl, verl and NeMo Gym are not: their views are compared with the
schemas that these projects document (`tests/publishing/test_views.py`), and loaded by `datasets`, as all of them do.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from omr_kedro.publishing.files import read_manifest
from tests.publishing import viewer
from tests.publishing.dataset import Dataset, names, posed
from tests.publishing.support import rejected, solution, with_code

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
FOLDER = Path(os.environ.get("OMR_TEST_TRAINERS", CACHE / "omr_kedro/trainers"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (FOLDER / "complete").exists(), reason="needs tests/trainers/install.sh"),
]
FREE, HELD = names(2, 0.3, held=False), names(1, 0.3, held=True)
VIEWS = ["sft_messages", "sft_prompt_completion", "sft_input_output", "nemo_rl", "axolotl", "verl_sft", "verl_rl"]
CONFIGS = ["cot", "tir", "problems", "rejected", *VIEWS, "nemo_gym", "preferences"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with solutions of both modes, and a card that names its configs."""
    made = Dataset(
        tmp_path_factory.mktemp("trainers"),
        [solution(n, FREE[0]) for n in range(2)],
        [posed(name) for name in (*FREE, *HELD)],
        [rejected(90, problem=FREE[0])],
        [with_code(n, FREE[1]) for n in range(2)],
        rl={"share": 0.3},
    )
    for view in (*VIEWS, "nemo_gym", "preferences"):
        made.view(view)  # type: ignore[arg-type]
    folder = made.folder / "dataset"
    configs = [
        {"config_name": name, "data_files": [{"split": "train", "path": f"data/{name}/train-*"}]} for name in CONFIGS
    ]
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump({'configs': configs})}---\n")
    return folder


def loaded(dataset: Path, *words: str) -> dict[str, Any]:
    """The line that `load.py` prints."""
    variables = {
        **os.environ,
        "HF_HOME": str(dataset.parent / "cache"),
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [str(FOLDER / "bin/python"), str(Path(__file__).with_name("load.py")), *words]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_every_config_is_loaded_with_all_its_rows(dataset: Path) -> None:
    told = loaded(dataset, str(dataset), *CONFIGS)
    for config in CONFIGS:
        manifest = read_manifest(dataset, config)
        assert manifest is not None
        assert told[config]["rows"] == manifest.rows > 0, config
        assert told[config]["columns"] == [feature["name"] for feature in manifest.features], config


def test_the_viewer_shows_every_config(dataset: Path) -> None:
    assert list(viewer.faults(dataset)) == []


def test_trl_trains_on_messages(dataset: Path) -> None:
    told = loaded(dataset, "--train", "sft", str(dataset), "sft_messages")
    assert told["texts"]["input_ids"].endswith("<think>\nThink 0.\n</think>\nSo it is $\\boxed{7}$.<|im_end|>\n")
    assert 0 < told["loss"] < 100


def test_trl_learns_completions_alone(dataset: Path) -> None:
    told = loaded(dataset, "--train", "sft", str(dataset), "sft_prompt_completion")
    assert told["learnt"] == "<think>\nThink 0.\n</think>\nSo it is $\\boxed{7}$.<|im_end|>\n"
    assert told["texts"]["input_ids"].startswith("<|im_start|>user\nSolve")


def test_trl_prefers_right_replies(dataset: Path) -> None:
    told = loaded(dataset, "--train", "dpo", str(dataset), "preferences")
    assert "Think 0." in told["texts"]["chosen_ids"]
    assert "Guess 90." in told["texts"]["rejected_ids"]
