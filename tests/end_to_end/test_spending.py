"""A run that may spend little stops with what is left to do, and as many runs as it takes end as one run does."""

from __future__ import annotations

from pathlib import Path

from tests.support.offline import OfflineModel
from tests.support.project import PROBLEMS, Project
from tests.support.threads import make_threads


def test_runs_with_a_small_limit_end_as_one_run_without_any_and_pay_for_nothing_twice(tmp_path: Path) -> None:
    calm, poor = (Project.create(tmp_path / name) for name in ("calm", "poor"))
    threads = calm.write_threads(make_threads(12))
    with OfflineModel(calm) as model:
        calm.run(pipelines=PROBLEMS, endpoint=model.base_url, model="offline-rules", raw_threads=threads)
        calls, tokens = sorted(model.keys), model.tokens
    limit = tokens // 3
    stops = 0
    with OfflineModel(poor) as model:
        while True:
            before = model.tokens
            where = {"endpoint": model.base_url, "model": "offline-rules", "raw_threads": threads}
            process = poor.start(pipelines=PROBLEMS, **where, spending={"total_tokens": limit})
            process.join()
            if process.exitcode == 0:
                break
            assert limit / 2 < model.tokens - before < limit * 1.1, (poor.path / "run.log").read_text()[-2000:]
            stops += 1
        assert sorted(model.keys) == calls
    assert 2 <= stops <= 5
    assert poor.final_tables() == calm.final_tables()


def test_the_error_says_what_was_spent_what_is_left_and_how_to_go_on(project: Project) -> None:
    with OfflineModel(project) as model:
        params = f"endpoint={model.base_url},model=m,spending.total_tokens=20000"
        stopped = project.kedro("run", "--env", "offline", f"--params={params}")
    assert stopped.returncode == 1
    for words in (
        f"{model.tokens:,} of 20,000 tokens (",
        f"in {len(model.calls)} calls",
        "calls are left here",
        "the same command goes on from here",
        "--params=spending.total_tokens=",
    ):
        assert words in stopped.stderr
    assert "Traceback" not in stopped.stdout + stopped.stderr


def test_a_limit_in_money_without_a_price_is_refused_before_any_work(project: Project) -> None:
    refused = project.kedro("run", "--env", "offline", "--params=spending.money=5")
    assert refused.returncode == 1
    assert "set prices.problem_model.prompt" in refused.stderr
    assert not (project.path / "data/02_intermediate").exists()
