"""The section on adding a model, followed to the letter."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.docs.test_adding_a_stage import PROBLEMS, copy, run  # noqa: F401 (a fixture)
from tests.support.offline import OfflineModel
from tests.support.project import ROOT, Project

PAGE = ROOT / "docs" / "prompts-and-models.md"
MOST_FILES = 4
_BLOCK = re.compile(r"```(yaml|diff)\n(?:# |--- )(\S+)\n(.*?)```", re.DOTALL)


def follow(page: str, project: Path) -> list[str]:
    """Add to files, exchange lines; returns the files that were touched."""
    touched = []
    for kind, name, text in _BLOCK.findall(page):
        path = project / name
        old = path.read_text(encoding="utf-8")
        if kind == "yaml":
            new = f"{old}\n{text}"
        else:
            before, after = (
                "".join(f"{line[1:]}\n" for line in text.splitlines() if line[0] in kept) for kept in (" -", " +")
            )
            assert old.count(before) == 1, f"{name} no longer holds, once:\n{before}"
            new = old.replace(before, after)
        path.write_text(new, encoding="utf-8")
        touched.append(name)
    return touched


def models_of(project: Project, table: str) -> set[str]:
    return {row["model"] for row in project.table(table)}


def estimated(project: Project, *words: str) -> dict[str, dict[str, Any]]:
    shown = project.kedro(
        "estimate", "--env", "offline", "--json", *words, env={"PYTHONPATH": str(project.path / "src")}
    )
    assert shown.returncode == 0, shown.stderr
    return {model["model"]: model for model in json.loads(shown.stdout)["models"]}


@pytest.mark.slow
def test_the_section_gives_a_second_model_that_is_asked_priced_and_prepared(copy: Project) -> None:  # noqa: F811
    section = PAGE.read_text(encoding="utf-8").partition("## Adding a model")[2]
    run(copy, PROBLEMS)
    touched = sorted(set(follow(section, copy.path)))
    print(f"a second model touches {len(touched)} files: {', '.join(touched)}")
    assert len(touched) <= MOST_FILES

    again = run(copy, PROBLEMS)
    assert "decontaminate_completions: up to date" in again, "it is served under the same name, so nothing is new"
    prices = estimated(
        copy,
        "--params=models.comparison.name=another-judge,prices.problem_model.prompt=1,prices.problem_model.completion=2",
    )
    assert prices["problem_model"]["money"] == prices["problem_model"]["calls"] == 0
    judge = prices["comparison_model"]
    assert judge["served_as"] == "another-judge"
    assert judge["money"] == pytest.approx((judge["prompt_tokens"] + judge["reply_tokens"]) * 0.9 / 1e6)

    with OfflineModel(copy) as elsewhere:
        one = f"--params=models.comparison.endpoint={elsewhere.base_url},models.comparison.name=another-judge"
        shown = run(copy, PROBLEMS, one)
        assert set(elsewhere.asked) == {"judge_contamination"}, "only the judge is there"
        assert judge["calls"] == len(elsewhere.asked)
    assert "Replies came from another-judge" in shown
    assert models_of(copy, "decontaminate_completions") == {"another-judge"}
    assert models_of(copy, "extract_problems_completions") == {"offline-rules"}

    run(copy, "--pipelines", "model_preparation")
    manifest = json.loads((copy.path / "data/06_models/offline/manifest.json").read_text())
    assert set(manifest) == {"problem", "comparison", "cot", "tir", "judge", "summary", "genselect"}
