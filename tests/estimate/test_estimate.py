"""Estimates against what runs then really ask, counted at the server."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kedro.framework.project import pipelines, settings
from kedro.framework.startup import bootstrap_project
from kedro.pipeline import Pipeline
from rich.console import Console

from omr_kedro.estimate import Estimate, NothingToEstimateError, StageEstimate, estimate, show
from omr_kedro.estimate.estimate import choose, legs_of
from omr_kedro.estimate.figures import ASSUMED, COUNTED, MEASURED, sums_by_model
from omr_kedro.runners.errors import ParameterError
from omr_kedro.shards.identity import shard_names
from tests.support.offline import OfflineModel
from tests.support.project import Project
from tests.support.threads import make_threads

PROBLEMS, SOLUTIONS = ["problem_generation"], ["solution_generation"]
COT = ["split_problems", "solve_cot", "judge_cot", "settle_cot", "summarise_cot"]


def estimated(project: Project, names: Sequence[str] = PROBLEMS, sample: int | None = None, **params: Any) -> Estimate:
    bootstrap_project(project.path)
    with settings.SESSION_CLASS.create(
        project_path=project.path, env="offline", runtime_params=params, save_on_close=False
    ) as session:
        every = sum(pipelines.values(), start=Pipeline([]))
        chosen = sum((pipelines[name] for name in names), start=Pipeline([]))
        return estimate(every, chosen, session.load_context().catalog, sample)


def stages(found: Estimate) -> dict[str, StageEstimate]:
    return {stage.stage: stage for stage in found.stages}


def by_prompt(numbers: Iterable[tuple[str, float]]) -> Counter[str]:
    """Sums of stages that send one prompt: converted proofs are classified as other problems are."""
    sums: Counter[str] = Counter()
    for stage, number in numbers:
        sums[stage.replace("_converted", "")] += round(number)
    return +sums


def calls(found: Estimate) -> Counter[str]:
    return by_prompt((stage.stage, stage.calls) for stage in found.stages)


def asked(model: OfflineModel) -> Counter[str]:
    names = {
        "judge_contamination": "decontaminate",
        "judge_answer": "judge_cot",
        "summarise_solution": "summarise_cot",
        "judge_novelty": "judge_usefulness",
        "judge_significance": "judge_usefulness",
        "select_solution": "select_solutions",
        "summarise_selection": "summarise_selections",
    }
    return Counter(names.get(name, name) for name in model.asked)


def files(project: Project) -> set[Path]:
    return set((project.path / "data").rglob("*"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "project")


def test_rows_are_on_the_leg_of_the_last_split_that_they_have_come_by(project: Project) -> None:
    bootstrap_project(project.path)
    with settings.SESSION_CLASS.create(project_path=project.path, env="offline", save_on_close=False) as session:
        legs = legs_of(pipelines["__default__"].to_outputs("cot_summaries"), session.load_context().catalog)
    assert [leg.table for leg in legs] == ["threads", "solve_problems"]
    first, second = ({name for node in leg.nodes for name in node.outputs} for leg in legs)
    assert {"problems", "answer_quality", "decontaminate_completions"} <= first
    assert {"solve_cot_completions", "cot_summaries", "reference_answers"} <= second
    assert not first & second


@given(st.integers(1, 300), st.lists(st.sets(st.integers(0, 299)), max_size=3), st.integers(1, 400))
def test_a_sample_stands_for_all_shards_and_has_some_of_each_kind(
    shards: int, begun: list[set[int]], count: int
) -> None:
    names = shard_names(shards)
    sets = [{names[number] for number in some if number < shards} for some in begun]
    weights = choose(names, sets, count)
    assert sum(weights.values()) == pytest.approx(shards)

    def kind(name: str) -> tuple[bool, ...]:
        return tuple(name in some for some in sets)

    for one in {kind(name) for name in names}:
        alike = [name for name in names if kind(name) == one]
        taken = [name for name in alike if name in weights]
        assert sum(weights[name] for name in taken) == pytest.approx(len(alike))
    assert len(weights) <= count + len({kind(name) for name in names})


def test_before_a_run_the_first_stage_is_counted_the_rest_assumed_and_nothing_is_asked_or_written(
    project: Project,
) -> None:
    before = files(project)
    found = stages(estimated(project))
    first, later = found["extract_problems"], found["extract_answers"]
    assert (first.calls, first.paid, first.calls_are) == (10, 0, COUNTED)
    assert (later.paid, later.calls_are, later.replies_are) == (0, ASSUMED, ASSUMED)
    assert later.calls == pytest.approx(10 * 0.94 * 0.52 * 0.97**3)
    assert found["decontaminate"].calls == pytest.approx(found["decontaminate"].rows * 2 + 60), "30 controls"
    assert files(project) == before


def test_texts_that_are_there_before_a_run_count_in_prompts_that_are_not(project: Project) -> None:
    def each(words: int) -> float:
        threads = [{"forum_post": f"Find {n}.", "forum_discussions": f"Post 1:\n{'word ' * words}"} for n in range(40)]
        later = stages(estimated(project, raw_threads=project.write_threads(threads)))["extract_answers"]
        return later.prompt_tokens / later.calls

    assert each(words=600) - each(words=0) == pytest.approx(600 * 5 / 3, rel=0.02)


def test_after_a_run_everything_is_paid_for_and_a_stop_rule_tells_its_worth(project: Project) -> None:
    with OfflineModel(project) as model:
        project.run(endpoint=model.base_url, model="offline-rules")
        made = asked(model)
    found = estimated(project, ["__default__"])
    paid = by_prompt((stage.stage, stage.paid) for stage in found.stages)
    # Later turns of a conversation are asked for by token ids, which the server's count does not tell from others.
    assert paid.pop("solve_tir") == sum(
        row["kind"] == "model" and not row["part"] for row in project.table("solve_tir_completions")
    )
    assert paid == made - Counter(solve_tir=made["solve_tir"])
    assert found.total("calls") == found.total("money") == found.total("hours") == 0
    assert {stage.calls_are for stage in found.stages} == {COUNTED}
    assert [(sample.table, sample.rows) for sample in found.samples] == [("threads", 10), ("solve_problems", 7)]
    rule = stages(found)["solve_cot"].stop_rule
    assert rule
    drawn = [row["samples_drawn"] for row in project.table("cot_votes")]
    assert rule.ruled.calls == sum(drawn)
    assert rule.ruled.samples == pytest.approx(sum(drawn) / 7)
    assert (rule.fixed.calls, rule.fixed.samples) == (7 * 12, 12)
    tokens = [row["prompt_tokens"] + row["completion_tokens"] for row in project.table("solve_cot_completions")]
    assert rule.ruled.tokens == sum(tokens)
    assert rule.fixed.tokens > rule.ruled.tokens
    assert rule.told.startswith("counted: ")
    conversations = stages(found)["solve_tir"].stop_rule
    assert conversations
    assert conversations.ruled.samples * 7 == pytest.approx(
        sum(row["samples_drawn"] for row in project.table("tir_votes"))
    )
    assert conversations.ruled.calls == stages(found)["solve_tir"].paid
    assert conversations.fixed.samples == 12
    assert conversations.fixed.calls > conversations.ruled.calls
    # Problems that are to come are a number beside those that are there, each of which is in a shard of its own.
    examples = (project.path / "data/01_raw/example_threads.jsonl").read_text().splitlines()
    threads = project.write_threads([*map(json.loads, examples), *make_threads(20)])
    more = stages(estimated(project, SOLUTIONS, raw_threads=threads))["solve_cot"]
    to_come = 20 * 0.94 * (0.52 * 0.97**3 + 0.48) * 0.98
    assert round(more.paid) == sum(drawn)
    assert more.rows == pytest.approx(7 + to_come, rel=0.05)
    assert more.calls == pytest.approx(6 * to_come, rel=0.05)
    # Problems that were asked in another way go on with all samples that they had, and will need as many.
    path = project.path / "conf/base/prompts/solve_cot.yml"
    path.write_text(path.read_text().replace("user: |\n", "user: |\n  Take your time.\n\n"))
    solve, judge, summarise = estimated(project, COT).stages
    assert (solve.paid, solve.calls, solve.calls_are) == (0, sum(drawn), MEASURED)
    assert (judge.paid, judge.calls) == (made["judge_cot"], 0)
    assert (summarise.paid, summarise.calls) == (made["summarise_cot"], 0)


def test_before_a_run_solutions_are_estimated_with_the_stop_rule_and_without(project: Project) -> None:
    throughput = {"cot_model": 1000, "judge_model": 1000, "summary_model": 1000}
    found = estimated(project, COT, estimate={"throughput": throughput})
    assert list(stages(found)) == ["solve_cot", "judge_cot", "summarise_cot"]
    solve, judge, summarise = found.stages
    assert solve.rows == pytest.approx(10 * 0.94 * (0.52 * 0.97**3 + 0.48) * 0.98)
    assert solve.calls == pytest.approx(solve.rows * 6), "half of the most, as the rule declares"
    assert solve.reply_tokens == pytest.approx(solve.calls * 8000)
    assert judge.calls == pytest.approx(solve.rows * 3.2 + 60), "and 30 controls"
    assert summarise.calls == pytest.approx(solve.calls * 0.3 * 2)
    assert summarise.prompt_tokens > summarise.calls * 8000
    assert solve.stop_rule
    ruled, fixed = solve.stop_rule.ruled, solve.stop_rule.fixed
    assert ruled.samples == pytest.approx(6)
    assert fixed.samples == 12
    assert fixed.tokens == pytest.approx(2 * ruled.tokens)
    assert ruled.hours == pytest.approx(ruled.tokens / 1000 / 3600)
    out = Console(width=200, record=True, file=io.StringIO())
    show(found, out)
    said = out.export_text()
    assert "solve_cot with the stop rule: 6.0 samples a problem; 53 calls" in said
    assert "solve_cot without it, the most of each: 12.0 samples a problem; 106 calls" in said


def test_after_an_interrupted_run_of_solutions_the_samples_to_come_are_told_from_those_that_ended(
    project: Project,
) -> None:
    with OfflineModel(project) as model:
        params: dict[str, Any] = {"endpoint": model.base_url, "model": "offline-rules"}
        project.run(pipelines=PROBLEMS, **params)
        model.asked.clear()
        with pytest.raises(Exception, match="has spent what it may"):
            project.run(pipelines=SOLUTIONS, **params, spending={"total_tokens": 22_000})
        paid = asked(model)
        found = stages(estimated(project, SOLUTIONS, estimate={"few": 1}))
        model.asked.clear()
        project.run(pipelines=SOLUTIONS, **params)
        left = asked(model)
    assert set(paid) == {"solve_cot"}, "the limit ends the first stage half way"
    solve = found["solve_cot"]
    assert round(solve.paid) == paid["solve_cot"]
    assert solve.calls == pytest.approx(left["solve_cot"], rel=0.4)
    assert solve.calls_are == MEASURED


def test_after_a_changed_prompt_only_its_own_calls_are_to_be_paid(project: Project) -> None:
    project.run(pipelines=PROBLEMS)
    path = project.path / "conf/base/prompts/classify_mcq.yml"
    path.write_text(path.read_text().replace("system: |\n", "system: |\n  Take your time.\n"))
    found = estimated(project)
    with OfflineModel(project) as model:
        project.run(pipelines=PROBLEMS, endpoint=model.base_url, model="offline-rules")
        assert calls(found) == asked(model)
    assert stages(found)["classify_binary"].calls_are == MEASURED, "later stages rest on replies to the earlier prompt"
    assert any("earlier replies stand in" in note for note in found.notes)


def test_after_an_interrupted_run_the_rest_is_estimated_and_what_is_paid_is_not_counted_again(
    project: Project,
) -> None:
    # Without converted proofs, whose calls the server cannot tell from those about other problems.
    given: dict[str, Any] = {
        "raw_threads": project.write_threads(make_threads(120)),
        "convert_proofs": {"enabled": False},
    }
    with OfflineModel(project) as model:
        params: dict[str, Any] = {"endpoint": model.base_url, "model": "offline-rules", **given}
        with pytest.raises(Exception, match="has spent what it may"):
            project.run(pipelines=PROBLEMS, **params, spending={"total_tokens": 250_000})
        paid = asked(model)
        found = stages(estimated(project, **given))
        model.asked.clear()
        project.run(pipelines=PROBLEMS, **params)
        left = asked(model)
    assert paid["classify_mcq"], "the limit lasts for two stages and a part of the third"
    for name in ("extract_problems", "classify_proof", "classify_mcq"):
        assert (round(found[name].paid), round(found[name].calls)) == (paid[name], left[name])
    assert found["classify_binary"].calls == pytest.approx(left["classify_binary"], rel=0.25)


def test_after_a_pilot_the_whole_is_estimated_from_it(project: Project) -> None:
    threads = make_threads(240)
    pilot, whole = project.write_threads(threads[:80], "pilot.jsonl"), project.write_threads(threads, "whole.jsonl")
    with OfflineModel(project) as model:
        params: dict[str, Any] = {"endpoint": model.base_url, "model": "offline-rules"}
        project.run(pipelines=PROBLEMS, **params, raw_threads=pilot)
        found = estimated(project, raw_threads=whole)
        before = model.tokens
        model.asked.clear()
        project.run(pipelines=PROBLEMS, **params, raw_threads=whole)
        left, tokens = asked(model), model.tokens - before
    assert calls(found)["extract_problems"] == left["extract_problems"] == 160
    assert found.total("calls") == pytest.approx(left.total(), rel=0.15)
    said = [found.total("prompt_tokens"), found.total("reply_tokens")]
    assert sum(number or 0 for number in said) == pytest.approx(tokens, rel=0.15)
    enough = [stage for stage in found.stages if stage.paid >= 30]
    assert {(stage.prompts_are, stage.replies_are) for stage in enough} == {("server's counts", MEASURED)}


def test_a_run_in_another_workspace_tells_rates_and_lengths(project: Project) -> None:
    threads = project.write_threads(make_threads(120))
    project.run(pipelines=PROBLEMS, raw_threads=threads)
    conf = project.path / "conf/offline/globals.yml"
    conf.write_text(conf.read_text().replace("workspace: offline", "workspace: fresh"))
    found = stages(estimated(project, raw_threads=threads))
    later = found["classify_invalid"]
    assert (later.paid, later.calls_are, later.replies_are) == (0, MEASURED, MEASURED)
    assert later.calls == pytest.approx(later.rows)
    conf.write_text(conf.read_text().replace("name: offline-rules", "name: another-model"))
    assert stages(estimated(project, raw_threads=threads))["classify_invalid"].calls_are == ASSUMED


def test_a_sample_of_shards_tells_of_all(project: Project) -> None:
    threads = project.write_threads(make_threads(400))
    parameters: dict[str, Any] = {"raw_threads": threads, "prepare_threads": {"shards": 40}}
    found = estimated(project, sample=100, **parameters)
    (sampled,) = found.samples
    assert sampled.shards < sampled.of == 40
    assert sampled.rows >= 100
    assert calls(found)["extract_problems"] == pytest.approx(400, rel=0.3)
    assert estimated(project, sample=400, **parameters).samples[0].shards == 40


def test_a_stage_by_itself_is_priced_with_what_comes_before_it_estimated(project: Project) -> None:
    found = estimated(project, ["convert_proofs"])
    assert list(stages(found)) == ["convert_proofs"]
    assert found.stages[0].calls == pytest.approx(10 * 0.94 * 0.48)
    with pytest.raises(NothingToEstimateError, match="ask no model"):
        estimated(project, ["merge_problems"])


def test_prices_and_throughput_make_money_and_hours_of_tokens(project: Project) -> None:
    found = estimated(
        project,
        prices={"problem_model": {"prompt": 2, "completion": 5}},
        estimate={"throughput": {"problem_model": 100}, "reasoning_tokens": {"problem_model": 50}},
    )
    stage = found.stages[0]
    assert stage.money == pytest.approx((2 * stage.prompt_tokens + 5 * stage.reply_tokens) / 1e6)
    assert stage.hours == pytest.approx((stage.prompt_tokens + stage.reply_tokens) / 100 / 3600)
    assert stage.reply_tokens > 50 * stage.calls
    (model,) = found.models
    assert (model.model, model.served_as) == ("problem_model", "offline-rules")
    assert (model.calls, model.money, model.hours) == tuple(found.total(name) for name in ("calls", "money", "hours"))
    unknown = estimated(project)
    assert unknown.total("money") is unknown.total("hours") is None
    assert unknown.models[0].money is unknown.models[0].hours is None


@pytest.mark.parametrize("section", ["throughput", "tokenizer", "reasoning_tokens"])
def test_settings_of_a_model_that_is_not_there_are_refused(project: Project, section: str) -> None:
    with pytest.raises(ParameterError, match=f"estimate.{section}.no_such_model: the catalog has no chat model"):
        estimated(project, estimate={section: {"no_such_model": None if section == "tokenizer" else 5}})


def test_models_are_summed_up_apart() -> None:
    def stage(model: str, calls: float, money: float | None) -> StageEstimate:
        return StageEstimate("s", model, f"owner/{model}", 1, 0, calls, 10 * calls, calls, "", "", "", 0.0, "", money)

    models = sums_by_model(
        [stage("cot", 5, 1.0), stage("judge", 2, 3.0), stage("cot", 1, 0.5), stage("judge", 0, None)]
    )
    assert [(model.served_as, model.calls, model.prompt_tokens, model.money) for model in models] == [
        ("owner/cot", 6, 60, 1.5),
        ("owner/judge", 2, 20, 3.0),
    ]
    shown = Console(width=160, record=True, file=io.StringIO())
    show(Estimate([], models, []), shown)
    assert "owner/judge" in shown.export_text()
