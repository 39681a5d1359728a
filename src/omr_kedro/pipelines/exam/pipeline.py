"""Gold rows -> marks, scores and verdicts of the models that the stages ask."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

from kedro.pipeline import Node, Pipeline

from omr_kedro.exam.gold import FILE_OF, GOLD
from omr_kedro.pipelines.exam import marking, nodes, report
from omr_kedro.pipelines.stages import AskingStage

Function = Callable[..., Any]


def create_pipeline() -> Pipeline:
    """Read gold rows, ask and mark each stage, report on all."""
    stages = [
        _stage("extract_problems", nodes.ask_exam_extract_problems, marking.mark_extract_problems),
        _label("proof", marking.mark_proof),
        _label("mcq", marking.mark_mcq),
        _label("binary", marking.mark_binary),
        _label("invalid", marking.mark_invalid),
        _stage("extract_answers", nodes.ask_exam_extract_answers, marking.mark_extract_answers),
        _stage("convert_proofs", nodes.ask_exam_convert_proofs, marking.mark_convert_proofs),
        _stage(
            "decontaminate",
            nodes.ask_exam_decontaminate,
            marking.mark_decontaminate,
            prompt="judge_contamination_prompt",
        ),
        _stage(
            "judge_answers",
            nodes.ask_exam_judge_answers,
            marking.mark_judge_answers,
            prompt="judge_answer_prompt",
            options="judge_cot",
        ),
        _stage(
            "summarise_solutions",
            nodes.ask_exam_summarise_solutions,
            marking.mark_summarise_solutions,
            prompt="summarise_solution_prompt",
            options="summarise_cot",
        ),
        _stage(
            "select_solutions",
            nodes.ask_exam_select_solutions,
            marking.mark_select_solutions,
            prompt="select_solution_prompt",
        ),
    ]
    marks = [name for _, marking in stages for name in marking.outputs]
    return Pipeline(
        [
            Node(
                nodes.read_gold,
                {"exam": "params:exam", **{name: f"exam_{name}_gold" for name in GOLD}},
                [f"exam_{name}_rows" for name in GOLD],
                name="read_gold",
            ),
            *(node for stage in stages for node in stage),
            Node(report.gather_marks, {name: name for name in marks}, "exam_marks", name="gather_marks"),
            Node(report.list_wrong, "exam_marks", "exam_wrong", name="list_wrong"),
            Node(report.report_exam, ["exam_marks", "params:exam", "params:prices"], "exam_report", name="report_exam"),
            Node(report.record_exam, ["exam_marks", "exam_report"], "exam_records", name="record_exam"),
        ],
        namespace="exam",
        prefix_datasets_with_namespace=False,
    )


def _label(label: str, mark: Function) -> tuple[Node, Node]:
    return _stage(f"classify_{label}", nodes.ask_exam_label, mark, options="classify_problems")


def _stage(name: str, ask: Function, mark: Function, *, prompt: str = "", options: str = "") -> tuple[Node, Node]:
    """The nodes of one stage.

    Args:
        name: of the stage.
        ask: makes the calls.
        mark: reads them.
        prompt: dataset of the prompt, where it is not `<name>_prompt`.
        options: section of the parameters, where it is not named like the stage.
    """
    prompt = prompt or f"{name}_prompt"
    rows = f"exam_{FILE_OF[name]}_rows"
    asking = AskingStage(f"exam_{name}", prompt=prompt, options=options or name, model=report.model_of(name))
    given = {"gold": rows, "completions": asking.completions, "prompt": prompt, "exam": "params:exam"}
    taken = [given[argument] for argument in signature(mark).parameters]
    return asking.ask(ask, rows), Node(mark, taken, f"exam_{name}_marks", name=f"mark_{name}", tags="by_shard")
