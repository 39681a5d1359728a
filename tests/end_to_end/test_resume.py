"""Nothing is paid for twice: what a second run, a changed prompt and a new thread ask for, counted at the server."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.offline import OfflineModel
from tests.support.project import PROBLEMS, Project
from tests.support.threads import make_threads


def run(project: Project, model: OfflineModel, **params: Any) -> Counter[str]:
    """Calls that one run made, by stage."""
    before = Counter(model.asked)
    project.run(pipelines=PROBLEMS, endpoint=model.base_url, model="offline-rules", **params)
    return Counter(model.asked) - before


def prompt_file(project: Project, name: str) -> Path:
    return project.path / f"conf/base/prompts/{name}.yml"


def add_to_system_text(path: Path, sentence: str) -> None:
    text = path.read_text()
    assert text.count("system: |\n") == 1
    path.write_text(text.replace("system: |\n", f"system: |\n  {sentence}\n"))


def test_a_second_run_makes_no_call_and_changes_no_table(project: Project) -> None:
    with OfflineModel(project) as model:
        first = run(project, model)
        tables = project.final_tables()
        second = run(project, model)
    assert first["extract_problems"] == 10
    assert second == Counter()
    assert project.final_tables() == tables


def test_a_changed_prompt_is_asked_again_and_nothing_whose_input_stayed_the_same(project: Project) -> None:
    with OfflineModel(project) as model:
        first = run(project, model)
        add_to_system_text(prompt_file(project, "classify_mcq"), "Take your time.")
        second = run(project, model)
    assert second == Counter({"classify_mcq": first["classify_mcq"]})


def test_what_depends_on_a_changed_reply_is_asked_again(project: Project) -> None:
    with OfflineModel(project) as model:
        run(project, model)
        before = len(model.texts)
        model.replace("convert_proofs", "Problem: Find the smallest prime above 90.")
        add_to_system_text(prompt_file(project, "convert_proofs"), "Take your time.")
        second = run(project, model)
        judged = [text for stage, text in zip(model.asked, model.texts, strict=True) if stage == "judge_contamination"]
    # What is made of proofs is classified as other problems are, and judged.
    classified = {"classify_mcq", "classify_binary", "classify_invalid"}
    assert set(second) == {"convert_proofs", "judge_contamination", *classified}
    assert len(model.texts) > before
    assert all("smallest prime above 90" in text for text in judged[-second["judge_contamination"] :])


def test_a_prompt_that_is_changed_back_costs_nothing(project: Project) -> None:
    path = prompt_file(project, "classify_mcq")
    original = path.read_text()
    with OfflineModel(project) as model:
        run(project, model)
        tables = project.final_tables()
        add_to_system_text(path, "Take your time.")
        run(project, model)
        path.write_text(original)
        assert run(project, model) == Counter()
    assert project.final_tables() == tables


def test_an_added_thread_pays_only_for_itself(project: Project) -> None:
    threads = make_threads(11)
    added = {"forum_post": "Find the value of $7x$ when $x = 4321$.", "forum_discussions": "Post 1:\nAnswer: 30247"}
    with OfflineModel(project) as model:
        run(project, model, raw_threads=project.write_threads(threads))
        before = len(model.texts)
        second = run(project, model, raw_threads=project.write_threads([added, *threads]))
    assert second["extract_problems"] == second["classify_proof"] == second["extract_answers"] == 1
    assert all("4321" in text for text in model.texts[before:])


def test_the_order_of_threads_and_copies_of_them_cost_nothing(project: Project) -> None:
    threads = make_threads(12)
    with OfflineModel(project) as model:
        run(project, model, raw_threads=project.write_threads(threads))
        again = run(project, model, raw_threads=project.write_threads([*reversed(threads), *threads[:3]]))
    assert again == Counter()
    assert [row["reason"] for row in project.table("threads_dropped")] == ["duplicate_thread"] * 3


def test_a_larger_limit_of_failures_asks_nothing_again(project: Project) -> None:
    with OfflineModel(project) as model:
        run(project, model)
        assert run(project, model, extract_problems={"max_failed_share": 0.5}) == Counter()
