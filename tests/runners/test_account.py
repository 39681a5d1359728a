from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kedro.io import DataCatalog

from omr_kedro.datasets import ChatModelDataset
from omr_kedro.llm.endpoint import Price, Spending, SpendingLimits, Spent
from omr_kedro.runners import job
from omr_kedro.runners.account import SiblingSpending, open_account, read_prices
from omr_kedro.runners.errors import ParameterError
from omr_kedro.runners.submission import Progress, Submission
from tests.runners.test_status import report, submission
from tests.support.project import Project
from tests.support.threads import make_threads


def catalog(**sections: Any) -> DataCatalog:
    made = DataCatalog()
    for name in ("one", "two"):
        made[name] = ChatModelDataset(model=name, base_url="http://127.0.0.1:9/v1")
    for name, value in sections.items():
        made[f"params:{name}"] = value
    return made


def test_models_of_a_run_share_an_account_and_have_prices_of_their_own() -> None:
    made = catalog(spending={"total_tokens": 5}, prices={"one": {"prompt": 1, "completion": 2}})
    models = {name: made.load(name) for name in ("one", "two")}
    spending = open_account(made, models)
    assert {model.session.spending for model in models.values()} == {spending}
    assert (models["one"].session.price, models["two"].session.price) == (Price(prompt=1, completion=2), Price())
    assert spending.limits == SpendingLimits(total_tokens=5)


def test_without_such_parameters_nothing_is_limited() -> None:
    assert not open_account(catalog(), {}).limited


@pytest.mark.parametrize(
    ("sections", "complaint"),
    [
        ({"spending": {"total_token": 5}}, r"spending\.total_token: Extra inputs"),
        ({"prices": {"one": {"prompt": -1}}}, r"prices\.one\.prompt: Input should be greater"),
        ({"prices": {"three": {"prompt": 1}}}, r"prices\.three: the catalog has no chat model"),
        ({"spending": {"money": 1}, "prices": {"one": {"prompt": 1}}}, r"set prices\.one\.prompt"),
    ],
)
def test_parameters_that_cannot_be_used_are_named(sections: dict[str, Any], complaint: str) -> None:
    made = catalog(**sections)
    with pytest.raises(ParameterError, match=complaint):
        open_account(made, {"one": made.load("one")})


def test_prices_may_be_null() -> None:
    assert read_prices(catalog(prices={"one": None, "two": {"prompt": None}})).of("one") == Price()


def test_a_task_counts_what_all_tasks_of_its_run_have_spent_and_its_own_earlier_lives(tmp_path: Path) -> None:
    first, retry = submission(tmp_path, [["s0"], ["s1"]]), submission(tmp_path, [["s1"]], token="two", attempt=1)
    other_run = submission(tmp_path, [["s0"]], token="three", run_id="before")
    report(first, 0, paid=1, prompt_tokens=10, completion_tokens=1, money=0.5)
    report(first, 1, paid=2, prompt_tokens=20, completion_tokens=2)
    report(other_run, 0, paid=99, prompt_tokens=99)
    report(retry, 0, paid=4, prompt_tokens=40, completion_tokens=4)
    limited = Spending(SpendingLimits(total_tokens=1))
    SiblingSpending(retry, 0, before=Progress(paid=3, prompt_tokens=30, completion_tokens=3)).look(limited)
    assert limited.siblings == Spent(6, 60, 6, 0.5)
    unlimited = Spending()
    SiblingSpending(retry, 0, Progress()).look(unlimited)
    assert unlimited.siblings == Spent(), "nothing is read where nothing is limited"


def test_tasks_of_a_job_keep_one_limit_and_say_that_it_is_reached(tmp_path: Path) -> None:
    """Two tasks, one after the other, as Slurm would run them."""
    project = Project.create(tmp_path / "project")
    threads = project.write_threads(make_threads(24))
    project.run(pipelines=["prepare_threads"], raw_threads=threads)
    params = f"raw_threads={threads},spending.total_tokens=30000"
    written = project.kedro(
        "run", "--env", "offline", "--runner=omr_kedro.runners.SlurmRunner", "--runner-params=dry_run=true",
        f"--params={params}",
    )  # fmt: skip
    assert written.returncode == 0, written.stderr
    (spec,) = (project.path / "data/08_reporting/offline/slurm").glob("*/spec.json")
    made = Submission.read(spec.parent)
    made.submitted("1")
    assert len(made.tasks) == 2
    ended = [job.main([str(spec), str(task)]) for task in made.tasks]
    assert ended == [1, 1]
    results = [made.result(task) for task in made.tasks]
    progress = [made.progress(task) for task in made.tasks]
    assert [result and result.state for result in results] == ["spent", "spent"]
    first, second = (item.prompt_tokens + item.completion_tokens for item in progress if item)
    assert first > 20_000
    assert second < first / 5, "the first has left little"
    assert 27_000 < first + second <= 30_000 + 1_500, "each process may pass the limit by one call"
    assert results[1]
    assert f"this run has spent what it may: {first + second:,} of 30,000 tokens" in results[1].error
