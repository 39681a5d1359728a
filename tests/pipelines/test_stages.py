"""Stages are declared by nodes, and found again in the graph of nodes."""

from __future__ import annotations

import pytest
from kedro.pipeline import Node, Pipeline

from omr_kedro.llm.calls import CallPlan, Model, Prompt
from omr_kedro.pipeline_registry import register_pipelines
from omr_kedro.pipelines.llm_stage import CallOptions
from omr_kedro.pipelines.report import create_pipeline as create_report
from omr_kedro.pipelines.stages import AskingStage, Stage, stages_of
from omr_kedro.shards import MappedShards, Shards


def ask_solve(problems: Shards, threads: Shards, prompt: Prompt, model: Model, options: CallOptions) -> CallPlan:
    raise NotImplementedError


def read_solve(problems: Shards, completions: Shards, threads: Shards) -> tuple[MappedShards, ...]:
    raise NotImplementedError


def vote(solutions: Shards, votes: Shards) -> tuple[MappedShards, ...]:
    raise NotImplementedError


SOLVE = AskingStage("solve", model="solver")


def solutions() -> Pipeline:
    return Pipeline(
        [
            Node(lambda problems: problems, "problems", "split_problems", name="split"),
            SOLVE.ask(ask_solve, "split_problems", "threads"),
            SOLVE.read(read_solve, "split_problems", "threads", kept=["solutions"], per="problem"),
            Node(lambda solutions: solutions, "solutions", "votes", name="count_votes"),
            Node(vote, ["solutions", "votes"], ["elected", "vote_dropped"], name="vote"),
        ]
    )


def test_the_nodes_of_a_stage_are_named_after_it_and_get_what_is_its_own_by_the_names_of_arguments() -> None:
    ask, read = SOLVE.ask(ask_solve, "problems", "threads"), SOLVE.read(read_solve, "problems", "threads", kept=["k"])
    assert (ask.name, ask.inputs, ask.outputs, ask.tags) == (
        "ask_solve",
        ["problems", "threads", "solve_prompt", "solver", "params:solve"],
        ["solve_completions"],
        {"gpu"},
    )
    assert (read.name, read.inputs, read.outputs, read.tags) == (
        "read_solve",
        ["problems", "solve_completions", "threads"],
        ["k", "solve_dropped"],
        {"by_shard"},
    )


def test_a_stage_may_share_prompt_and_settings_with_another() -> None:
    node = AskingStage("solve_again", prompt="solve_prompt", options="solve").ask(ask_solve, "problems", "threads")
    assert node.inputs == ["problems", "threads", "solve_prompt", "problem_model", "params:solve"]


@pytest.mark.parametrize("tables", [["problems"], ["problems", "threads", "votes"]])
def test_tables_that_a_function_does_not_take_are_refused(tables: list[str]) -> None:
    with pytest.raises(TypeError, match=r"stage solve: ask_solve takes the tables \['problems', 'threads'\], not"):
        SOLVE.ask(ask_solve, *tables)


def test_rows_come_from_the_first_table_and_evidence_from_others() -> None:
    assert stages_of([solutions()]) == [
        Stage("solve", ("split_problems",), ("solutions",), "solve_dropped", per="problem"),
        Stage("vote", ("solutions",), ("elected",), "vote_dropped"),
    ]


def test_a_second_funnel_is_counted_from_its_own_pipelines() -> None:
    report = create_report([solutions()], prefix="solution_")
    inputs = {"split_problems", "solutions", "elected", "solve_dropped", "vote_dropped"}
    assert report.inputs() == inputs
    assert report.all_outputs() == {"solution_funnel", "solution_funnel_reasons", "solution_funnel_plot"}
    assert {node.namespace for node in report.nodes} == {"solution_report"}


def test_the_stages_of_the_project_stand_in_the_order_of_its_pipelines() -> None:
    pipelines = register_pipelines()
    found = stages_of(pipelines.values())
    assert [(stage.name, stage.given, stage.kept) for stage in found] == [
        ("prepare_threads", ("raw_threads",), ("threads",)),
        ("extract_problems", ("threads",), ("extracted_problems",)),
        ("classify_proof", ("extracted_problems",), ("proofs", "non_proofs")),
        ("classify_mcq", ("non_proofs",), ("open_problems",)),
        ("classify_binary", ("open_problems",), ("non_binary_problems",)),
        ("classify_invalid", ("non_binary_problems",), ("valid_problems",)),
        ("extract_answers", ("valid_problems",), ("answered_problems",)),
        ("convert_proofs", ("proofs",), ("converted_proofs",)),
        ("classify_converted_mcq", ("converted_proofs",), ("open_converted_proofs",)),
        ("classify_converted_binary", ("open_converted_proofs",), ("non_binary_converted_proofs",)),
        ("classify_converted_invalid", ("non_binary_converted_proofs",), ("valid_converted_proofs",)),
        ("merge_problems", ("answered_problems", "valid_converted_proofs"), ("all_problems",)),
        ("assess_answers", ("all_problems",), ("assessed_problems",)),
        ("deduplicate", ("assessed_problems",), ("distinct_problems",)),
        ("decontaminate", ("distinct_problems",), ("problems",)),
        ("split_problems", ("problems",), ("solve_problems",)),
        ("solve_cot", ("solve_problems",), ("cot_samples",)),
        ("judge_cot", ("cot_graded_answers",), ("cot_answers",)),
        ("settle_cot", ("cot_samples",), ("cot_solutions",)),
        ("summarise_cot", ("cot_solutions",), ("cot_summaries",)),
        ("solve_tir", ("tir_problems",), ("tir_samples",)),
        ("judge_tir", ("tir_graded_answers",), ("tir_answers",)),
        ("settle_tir", ("tir_samples",), ("tir_solutions",)),
        ("extract_fragments", ("tir_solutions",), ("tir_fragments",)),
        ("judge_usefulness", ("tir_fragments",), ("tir_usefulness",)),
        ("group_candidates", ("solve_problems",), ("candidate_groups",)),
        ("select_solutions", ("candidate_groups",), ("right_selections",)),
        ("summarise_selections", ("right_selections",), ("selection_summaries",)),
    ]
    assert {stage.name: stage.per for stage in found if stage.per} == {
        "extract_problems": "thread",
        "solve_cot": "problem",
        "solve_tir": "problem",
        "group_candidates": "problem",
    }
    assert {stage.name: stage.unit for stage in found if stage.unit} == {
        "judge_cot": "answer",
        "settle_cot": "sample",
        "summarise_cot": "solution",
        "judge_tir": "answer",
        "settle_tir": "sample",
        "extract_fragments": "solution",
        "judge_usefulness": "solution",
        "select_solutions": "group",
        "summarise_selections": "selection",
    }
    assert stages_of([sum(pipelines.values(), start=Pipeline([]))]) != found, "a sum has no order of pipelines"
    sums = ("problem_generation", "solution_generation", "genselect_generation")
    parts = [stage for name in sums for stage in stages_of([pipelines[name]])]
    assert (set(parts), len(parts)) == (set(found), len(found))
