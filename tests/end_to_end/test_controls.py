"""Judges with controls in whole runs: one that is unfit is stopped before its verdicts count, a mended one goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pytest
from kedro.io import DatasetError

from tests.support.offline import OfflineModel
from tests.support.project import PROBLEMS, ROOT, Project

THRESHOLD = {"decontaminate": {"controls": {"threshold": 0.8}}}
TO_ANSWERS = [*PROBLEMS, "split_problems", "solve_cot", "judge_cot"]


def gold(file: str, *fields: str) -> dict[tuple[str, ...], bool]:
    """Gold verdicts by the texts of a pair, in either order."""
    rows = [orjson.loads(line) for line in (ROOT / f"data/01_raw/exam/{file}.jsonl").read_bytes().splitlines()]
    pairs = [(tuple(row[name] for name in fields), row["same"]) for row in rows]
    return {pair[::step]: same for pair, same in pairs for step in (1, -1)}


def knows_pairs() -> Callable[[Mapping[str, str]], str]:
    """A judge that is right about controls, and finds no benchmark's problem among others."""
    known = gold("decontaminate", "problem", "benchmark_problem")
    return lambda values: str(known.get((values["problem"], values["benchmark_problem"]), False))


def asked(project: Project, model: OfflineModel, pipelines: list[str], **params: Any) -> Counter[str]:
    before = Counter(model.asked)
    project.run(pipelines=pipelines, endpoint=model.base_url, model="offline-rules", **params)
    return Counter(model.asked) - before


def mend(project: Project, prompt: str) -> None:
    path = project.path / f"conf/base/prompts/{prompt}.yml"
    path.write_text(path.read_text().replace("system: |\n", "system: |\n  Take your time.\n"))


def is_made(project: Project, table: str) -> bool:
    return next(project.path.glob(f"data/*/offline/{table}/.complete.json"), None) is not None


def test_a_judge_that_always_says_yes_is_stopped_before_a_problem_is_removed(project: Project) -> None:
    with OfflineModel(project) as model:
        model.replace("judge_contamination", "True")
        with pytest.raises(DatasetError, match=r"decontaminate: the judge .*clean 0/15, contaminated 15/15"):
            asked(project, model, PROBLEMS, **THRESHOLD)
        assert [is_made(project, name) for name in ("similar_benchmarks", "decontaminate_completions")] == [True, True]
        unmade = ("decontaminate_controls", "contamination", "problems", "decontaminate_dropped")
        assert [is_made(project, name) for name in unmade] == [False] * 4
        stopped = Counter(model.asked)["judge_contamination"]

        model.replace("judge_contamination", knows_pairs())
        mend(project, "judge_contamination")
        assert asked(project, model, PROBLEMS, **THRESHOLD) == {"judge_contamination": stopped}
        assert asked(project, model, PROBLEMS, **THRESHOLD) == {}
    controls = project.table("decontaminate_controls")
    assert Counter(row["mark"] for row in controls) == {"right": 30}
    about = {row["row_id"] for row in project.table("decontaminate_completions")}
    assert {row["row_id"] for row in controls} <= about
    (stage,) = (row for row in project.load("funnel").to_dict("records") if row["stage"] == "decontaminate")
    assert stage["rows_in"] == project.load("distinct_problems").count == stage["rows_out"] + stage["dropped"]
    (line,) = project.load("decontaminate_control_report").to_dict("records")
    assert (line["rows"], line["balanced_accuracy"], line["verdict"]) == (30, 1.0, "fit")


def test_a_judge_of_answers_that_always_says_the_same_is_stopped_before_an_answer_counts(project: Project) -> None:
    with OfflineModel(project) as model:
        model.replace("judge_answer", "same")
        with pytest.raises(DatasetError, match=r"judge_cot: the judge .*different 0/15, same 15/15"):
            asked(project, model, TO_ANSWERS)
        assert is_made(project, "judge_cot_completions")
        assert not any(is_made(project, name) for name in ("judge_cot_controls", "cot_answers", "judge_cot_dropped"))
        assert asked(project, model, TO_ANSWERS, judge_cot={"controls": {"threshold": 0}}) == {}
    assert is_made(project, "cot_answers")
    ids = {row["answer_id"] for row in project.table("cot_answers")}
    assert not ids & {row["row_id"] for row in project.table("judge_cot_controls")}
