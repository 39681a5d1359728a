"""Completions as Parquet, as long replies are kept: nothing is lost on the way there, and everything reads them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.offline import OfflineModel
from tests.support.project import PROBLEMS, Project

STAGES = ("extract_problems", "convert_proofs", "decontaminate")


def keep_completions_as_parquet(project: Project) -> None:
    catalog = project.path / "conf/base/catalog.yml"
    text = catalog.read_text()
    entry = '"{stage}_completions":\n  <<: *table\n'
    assert text.count(entry) == 1
    catalog.write_text(text.replace(entry, entry + "  format: parquet\n"))


def suffixes(project: Project, stage: str) -> set[str]:
    folder = project.path / f"data/07_model_output/offline/{stage}_completions"
    return {path.suffix for path in Path(folder).glob("shard-*")}


@pytest.mark.slow
def test_a_table_of_completions_becomes_parquet_without_a_call_and_is_read_as_before(project: Project) -> None:
    with OfflineModel(project) as model:
        where: dict[str, Any] = {"endpoint": model.base_url, "model": "offline-rules"}
        project.run(pipelines=PROBLEMS, **where)
        asked, before = Counter(model.asked), project.final_tables()
        calls = {stage: project.table(f"{stage}_completions") for stage in STAGES}
        keep_completions_as_parquet(project)
        project.run(pipelines=PROBLEMS, **where)
        assert Counter(model.asked) == asked, "every reply was found in the former format"
        params = f"--params=endpoint={model.base_url},model=offline-rules"
        estimate = json.loads(
            project.kedro("estimate", "--env", "offline", "--json", "--pipelines", *PROBLEMS, params).stdout
        )
    assert project.final_tables() == before
    for stage in STAGES:
        assert suffixes(project, stage) == {".parquet"}
        assert project.table(f"{stage}_completions") == calls[stage]
    assert sum(stage["calls"] for stage in estimate["stages"]) == 0
    assert sum(stage["paid"] for stage in estimate["stages"]) == sum(asked.values())
    thread = calls["extract_problems"][0]["row_id"]
    lineage = json.loads(project.kedro("lineage", thread, "--env", "offline", "--json").stdout)
    (shown,) = lineage["steps"][1]["calls"]
    assert (shown["reply"], shown["note"]) == (calls["extract_problems"][0]["text"], "")
