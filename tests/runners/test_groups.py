from __future__ import annotations

from typing import Any

import pytest
from kedro.pipeline import Node, Pipeline

from omr_kedro.pipeline_registry import register_pipelines
from omr_kedro.runners.errors import RunnerConfigError
from omr_kedro.runners.groups import Group, find_groups
from omr_kedro.runners.resources import Resources, check_gpus, check_names, resolve


def node(name: str, inputs: list[str], *tags: str) -> Node:
    return Node(lambda *values: values[0], inputs=inputs, outputs=f"{name}_out", name=name, tags=list(tags))


def names(groups: list[Group]) -> list[list[str]]:
    return [[node.name for node in group.nodes] for group in groups]


def one_model(node: Node) -> str | None:
    return "model" if "gpu" in node.tags else None


def test_all_stages_of_one_model_are_one_group_up_to_the_steps_that_must_see_everything() -> None:
    before, after = find_groups(register_pipelines()["problem_generation"], one_model)
    assert before.nodes[0].name == "extract_problems.ask_extract_problems"
    assert before.nodes[-1].name == "assess_answers.drop_faulty"
    assert names([after]) == [["decontaminate.ask_decontaminate"]]
    assert "threads" in before.inputs
    assert {"distinct_problems", "decontaminate_control_rows"} <= after.inputs


def test_a_group_never_waits_for_its_own_result() -> None:
    pipeline = Pipeline([node("a", ["x"], "gpu"), node("report", ["a_out"]), node("b", ["a_out", "report_out"], "gpu")])
    assert names(find_groups(pipeline, one_model)) == [["a"], ["b"]]


def test_verdicts_are_read_outside_of_the_judges_jobs_once_all_of_its_controls_are_there() -> None:
    pipeline = Pipeline(
        [
            node("draw", ["x"], "by_shard", "all_shards"),
            node("ask", ["x", "draw_out"], "gpu"),
            node("mark", ["ask_out"], "by_shard", "all_shards"),
            node("read", ["ask_out", "mark_out"], "by_shard"),
        ]
    )
    assert names(find_groups(pipeline, one_model)) == [["ask"]]
    assert names(find_groups(pipeline, lambda node: node.name)) == [["ask"], ["read"]], "or in jobs of their own"


def test_nodes_without_a_model_go_with_the_group_that_they_read_from() -> None:
    pipeline = Pipeline(
        [
            node("first", ["x"], "by_shard"),
            node("a", ["first_out"], "gpu"),
            node("read", ["a_out"], "by_shard"),
            node("b", ["read_out"], "gpu"),
        ]
    )
    assert names(find_groups(pipeline, one_model)) == [["a", "read", "b"]]


def test_a_node_without_a_model_that_has_a_label_is_a_group_of_its_own() -> None:
    pipeline = register_pipelines()["problem_generation"]

    def label(node: Node) -> str | None:
        return "embeddings" if node.name == "decontaminate.retrieve_similar" else one_model(node)

    # `drop_duplicates`, which nobody would need jobs for, is in none of them.
    before, retrieval, after = find_groups(pipeline, label)
    assert before.nodes[-1].name == "assess_answers.drop_faulty"
    assert [node.name for node in retrieval.nodes] == ["decontaminate.retrieve_similar"]
    assert after.nodes[0].name == "decontaminate.ask_decontaminate"


def test_independent_branches_with_different_labels_are_groups_of_their_own() -> None:
    pipeline = Pipeline([node("a", ["x"], "gpu"), node("b", ["a_out"], "gpu"), node("c", ["a_out"], "gpu")])
    assert names(find_groups(pipeline, lambda node: node.name)) == [["a"], ["b"], ["c"]]


def test_nodes_that_are_not_dispatched_are_in_no_group() -> None:
    pipeline = Pipeline([node("a", ["x"], "gpu"), node("read", ["a_out"], "by_shard")])
    assert find_groups(pipeline, lambda node: None) == []


def test_the_particular_overrides_the_general() -> None:
    sections: dict[str, dict[str, Any]] = {
        "default": {"time": 60, "tasks": 3},
        "stage": {"tasks": 5},
        "stage.node": {"partition": "big"},
    }
    found = resolve(sections, ["model", "stage", "stage.node"])
    assert (found.time, found.tasks, found.partition) == ("60", 5, "big")


@pytest.mark.parametrize("wrong", [{"gpus": 4}, {"time": "soon"}, {"setup": ["a\nb"]}, {"tasks": 0}])
def test_settings_without_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(RunnerConfigError, match=next(iter(wrong))):
        resolve({"default": wrong}, [])


def test_sections_for_nothing_are_refused() -> None:
    with pytest.raises(RunnerConfigError, match="no node, pipeline or model clasify"):
        check_names({"clasify": {}}, {"classify"})


def test_a_server_never_gets_fewer_gpus_than_it_spreads_over() -> None:
    check_gpus("problem_model", 8, Resources(nodes=2, gpus_per_node=4))
    with pytest.raises(RunnerConfigError, match=r"over 8 GPUs .* a job has 4 "):
        check_gpus("problem_model", 8, Resources(gpus_per_node=4))


def test_gpus_that_would_stand_idle_are_told(caplog: pytest.LogCaptureFixture) -> None:
    check_gpus("problem_model", 2, Resources(gpus_per_node=4))
    assert "2 GPUs of each job will stand idle" in caplog.text
