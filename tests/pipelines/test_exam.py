"""Every stage is examined with its own prompt and reading; right models and stubborn ones are told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import orjson
import pytest

from omr_kedro import tables
from omr_kedro.exam import ExamOptions, Mark
from omr_kedro.llm.calls import Prompt
from omr_kedro.pipelines.convert_proofs.nodes import ConversionOptions
from omr_kedro.pipelines.exam import create_pipeline
from omr_kedro.pipelines.exam.nodes import read_gold
from omr_kedro.pipelines.exam.report import gather_marks, list_wrong, report_exam
from omr_kedro.pipelines.llm_stage import CallOptions
from omr_kedro.pipelines.select_solutions.nodes import SelectionOptions
from omr_kedro.pipelines.summarise_cot.nodes import SummaryOptions
from omr_kedro.shards import BadInputError, Row, Shards, Source, TableStore
from tests.support.cot import chat_model
from tests.support.exam import (
    PROMPTS,
    STAGES,
    Examinee,
    changed,
    gold_file,
    gold_rows,
    prompt_of,
    right,
    write_gold,
)
from tests.support.project import ROOT
from tests.support.tables import as_shards, made, rows_made

NODES: Mapping[str, Callable[..., Any]] = {node.name.rpartition(".")[2]: node.func for node in create_pipeline().nodes}
OPTIONS = {
    "convert_proofs": ConversionOptions(enabled=False),
    "summarise_solutions": SummaryOptions(),
    "select_solutions": SelectionOptions(),
}
EXAM = ExamOptions()
ONE_LABEL = {
    **{f"classify_{label}": (label, f"not {label}") for label in ("proof", "mcq", "binary", "invalid")},
    "decontaminate": ("True", "False"),
    "judge_answers": ("same", "different"),
}


def gold_table(folder: Path, rows: Sequence[Row], file: str, exam: ExamOptions = EXAM) -> Shards:
    write_gold(folder, {file: rows})
    (table,) = read_gold(exam, **{file: Source(folder / f"data/01_raw/exam/{file}.jsonl")})
    return made(table)


def marks(folder: Path, stage: str, rows: Sequence[Row], examinee: Examinee, prompt: Prompt | None = None) -> Shards:
    """Marks of one stage, made as a run makes them; calls lie in the folder."""
    gold = gold_table(folder, rows, gold_file(stage))
    prompt = prompt or PROMPTS[prompt_of(stage)]
    plan = NODES[f"ask_exam_{stage}"](gold, prompt, chat_model(examinee.base_url), OPTIONS.get(stage, CallOptions()))
    store = TableStore(folder / f"{plan.name}_completions", "jsonl", tables.COMPLETIONS)
    store.save(plan)
    given = {"gold": gold, "completions": store.shards(), "prompt": prompt, "exam": EXAM}
    mark = NODES[f"mark_{stage}"]
    recipe = mark(*(given[argument] for argument in signature(mark).parameters))
    found = rows_made(recipe)
    for row in found:
        assert list(row) == tables.EXAM_MARKS.names
    return as_shards({"shard-00000-of-00001": found})


def verdict(marked: Shards) -> dict[str, Any]:
    (line,) = report_exam(marked, EXAM, {}).to_dict("records")
    return {str(name): value for name, value in line.items()}


@pytest.mark.parametrize("stage", STAGES)
def test_a_model_that_is_right_is_fit_in_every_stage(tmp_path: Path, stage: str) -> None:
    rows = gold_rows(gold_file(stage), 60)
    with Examinee({gold_file(stage): rows}) as examinee:
        marked = marks(tmp_path, stage, rows, examinee)
        assert set(examinee.asked) == {stage}
    line = verdict(marked)
    assert [row for row in marked.rows() if row["mark"] != Mark.RIGHT] == []
    assert (line["verdict"], line["rows"], line["unparsed"], line["model"]) == ("fit", 60, 0, "m")
    assert line["prompt_hash"] == PROMPTS[prompt_of(stage)].hash
    assert line["calls"] == len(examinee.calls)
    assert (line["prompt_tokens"], line["completion_tokens"]) == (10 * line["calls"], 5 * line["calls"])


@pytest.mark.parametrize(("stage", "label"), [(stage, label) for stage, both in ONE_LABEL.items() for label in both])
def test_one_that_always_gives_one_label_is_unfit(tmp_path: Path, stage: str, label: str) -> None:
    rows = gold_rows(gold_file(stage), 60)
    with Examinee({gold_file(stage): rows}, lambda *_: label) as examinee:
        line = verdict(marks(tmp_path, stage, rows, examinee))
    assert (line["verdict"], line["balanced_accuracy"], line["unparsed"]) == ("unfit", 0.5, 0)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("row", [1, 2])
def test_one_that_always_replies_the_same_is_unfit_everywhere(tmp_path: Path, stage: str, row: int) -> None:
    rows = gold_rows(gold_file(stage), 60)
    with Examinee({gold_file(stage): rows}, lambda asked, _: right(asked, rows[row])) as examinee:
        assert verdict(marks(tmp_path, stage, rows, examinee))["verdict"] == "unfit"


@pytest.mark.parametrize("stage", STAGES)
def test_a_reply_without_an_outcome_is_unparsed_and_shown(tmp_path: Path, stage: str) -> None:
    rows = gold_rows(gold_file(stage), 4)
    with Examinee({gold_file(stage): rows}, lambda *_: "Hm, \x1b[2J who knows? {{problem}}") as examinee:
        marked = marks(tmp_path, stage, rows, examinee)
    assert {row["mark"] for row in marked.rows()} == {Mark.UNPARSED}
    assert all(row["reason"] and row["given_class"] is None for row in marked.rows())
    assert all("who knows?" in row["reply"] for row in marked.rows())
    assert verdict(marked)["verdict"] == "unfit"


def test_a_judge_that_goes_by_the_order_is_wrong_and_not_unparsed(tmp_path: Path) -> None:
    rows = gold_rows("judge_answers", 4)
    count = iter(range(100))
    with Examinee({"judge_answers": rows}, lambda *_: ("same", "different")[next(count) % 2]) as examinee:
        found = list(marks(tmp_path, "judge_answers", rows, examinee).rows())
    assert {row["mark"] for row in found} <= {Mark.WRONG, Mark.RIGHT}
    assert "undecided" in {row["given"] for row in found}


@pytest.mark.parametrize("stage", STAGES)
def test_an_exam_is_paid_for_once_and_asks_only_what_has_changed(tmp_path: Path, stage: str) -> None:
    rows = gold_rows(gold_file(stage), 6)
    with Examinee({gold_file(stage): rows}) as examinee:

        def asked(rows: Sequence[Row], prompt: Prompt | None = None) -> int:
            before = len(examinee.calls)
            marks(tmp_path, stage, rows, examinee, prompt)
            return len(examinee.calls) - before

        whole = asked(rows[:4])
        assert whole >= 4
        assert asked(rows[:4]) == 0
        assert asked(rows) == whole // 2, "the new rows alone"
        assert asked(rows[:4], changed(PROMPTS[prompt_of(stage)])) == whole
        assert asked(rows) == 0, "what the prompt said before is kept"


def test_the_report_has_a_line_a_stage_and_the_wrong_rows_their_replies(tmp_path: Path) -> None:
    rows = gold_rows("classify_problems", 60)
    with Examinee({"classify_problems": rows}, lambda stage, _: "proof" if "proof" in stage else "mcq") as examinee:
        given = {
            f"exam_{stage}_marks": marks(tmp_path, stage, rows, examinee)
            for stage in ("classify_proof", "classify_mcq")
        }
    gathered = made(gather_marks(**given))
    report = report_exam(gathered, ExamOptions(required_of={"classify_mcq": 0.1}), {"problem_model": {"prompt": 1}})
    assert list(report["stage"]) == ["classify_proof", "classify_mcq"]
    assert list(report["verdict"]) == ["unfit", "fit"]
    assert list(report["by_class"]) == ["not proof 0/30, proof 30/30", "mcq 30/30, not mcq 0/30"]
    wrong = rows_made(list_wrong(gathered))
    assert len(wrong) == 60
    assert {(row["given"], row["reply"]) for row in wrong} == {("proof", "proof"), ("mcq", "mcq")}


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        ({"id": "pears-001"}, "must begin with one of extract_problems"),
        ({"same": "perhaps"}, "jsonl:2: same: "),
        ({"why": ""}, "jsonl:2: why: "),
        ({"benchmark_problem": None}, "jsonl:2: benchmark_problem: "),
        ({"id": "decontaminate-001"}, "this id stands at decontaminate.jsonl:1 already"),
    ],
)
def test_a_gold_row_that_cannot_be_used_is_named(tmp_path: Path, spoil: Row, complaint: str) -> None:
    first, second = gold_rows("decontaminate", 2)
    with pytest.raises(BadInputError, match=complaint):
        gold_table(tmp_path, [first, {**second, **spoil}], "decontaminate")


def test_a_sample_is_checked_as_all_rows_are(tmp_path: Path) -> None:
    first, second = gold_rows("decontaminate", 2)
    sample = ExamOptions(sample=1)
    assert gold_table(tmp_path, [first, second], "decontaminate", sample).count == 1
    with pytest.raises(BadInputError, match="this id stands at"):
        gold_table(tmp_path, [first, first], "decontaminate", sample)


def gold_of_project(stage: str) -> list[Row]:
    file = ROOT / f"data/01_raw/exam/{gold_file(stage)}.jsonl"
    return [orjson.loads(line) for line in file.read_bytes().splitlines()]


@pytest.mark.parametrize("stage", STAGES)
def test_on_the_gold_rows_of_the_project_a_model_that_is_right_is_fit(tmp_path: Path, stage: str) -> None:
    rows = gold_of_project(stage)
    with Examinee({gold_file(stage): rows}) as examinee:
        marked = marks(tmp_path, stage, rows, examinee)
    assert [(row["row_id"], row["given"], row["reason"]) for row in marked.rows() if row["mark"] != Mark.RIGHT] == []
    assert verdict(marked)["verdict"] == "fit"


@pytest.mark.parametrize("stage", STAGES)
def test_on_them_one_that_always_gives_the_most_frequent_reply_is_unfit(tmp_path: Path, stage: str) -> None:
    rows = gold_of_project(stage)
    ((reply, _),) = Counter(right(stage, row) for row in rows).most_common(1)
    with Examinee({gold_file(stage): rows}, lambda *_: reply) as examinee:
        assert verdict(marks(tmp_path, stage, rows, examinee))["verdict"] == "unfit"
