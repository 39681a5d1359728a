"""Against an endpoint with every fault at once, each row ends kept, dropped or failed, and none is lost."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from tests.support.offline import OfflineModel
from tests.support.project import PROBLEMS, Project
from tests.support.threads import make_threads

FAULTS = {
    "429": 0.1,
    "429 with Retry-After": 0.1,
    "500": 0.05,
    "hang": 0.02,
    "garbage": 0.02,
    "cut": 0.02,
    "empty": 0.03,
    "length": 0.03,
}
LENIENT: dict[str, Any] = {
    stage: {"max_failed_share": 1.0}
    for stage in ("extract_problems", "classify_problems", "extract_answers", "convert_proofs", "decontaminate")
}


@pytest.mark.slow
def test_every_row_has_an_outcome_whatever_the_endpoint_does(project: Project) -> None:
    conf = project.path / "conf/offline/globals.yml"
    conf.write_text(conf.read_text().replace("    timeout_s: 60", "    timeout_s: 2\n    max_tries: 4"))
    threads = project.write_threads(make_threads(60))
    with OfflineModel(project, faults=FAULTS) as model:
        where: dict[str, Any] = {"endpoint": model.base_url, "model": "offline-rules", "raw_threads": threads}
        project.run(pipelines=PROBLEMS, **where, **LENIENT)
    funnel = pd.read_csv(project.path / "data/08_reporting/offline/funnel.csv")
    assert (funnel["rows_in"] == funnel["kept"] + funnel["dropped"] + funnel["failed"]).all()
    assert funnel["rows_in"].iloc[0] == 60
    reasons = pd.read_csv(project.path / "data/08_reporting/offline/funnel_reasons.csv")
    failed = set(reasons[reasons["outcome"] == "failed"]["reason"])
    assert {"empty_reply", "truncated"} <= failed
    assert failed <= {
        "empty_reply", "truncated", "timeout", "server_error", "garbage", "connection", "unclear_judgement",
    }  # fmt: skip
    assert len(model.keys) > len(set(model.keys)), "failed tries are made again"
    assert set(model.answered.values()) <= {0, 1}, "what was answered is paid for once"
    rows = [row for name in ("extract_problems", "decontaminate") for row in project.table(f"{name}_completions")]
    assert all(row["error_kind"] or row["finish_reason"] for row in rows)


def test_an_endpoint_that_always_refuses_stops_the_run_with_the_cause(project: Project) -> None:
    threads = project.write_threads(make_threads(20))
    with OfflineModel(project, scripted=[400] * 20) as model:
        stopped = project.kedro(
            "run", "--env", "offline", f"--params=endpoint={model.base_url},model=m,raw_threads={threads}"
        )
        assert stopped.returncode == 1
        assert "`max_failed_share` (0.05) allows" in stopped.stderr
        assert "HTTP 400" in stopped.stderr


@pytest.mark.parametrize("stage", ["extract_problems", "classify_problems"])
def test_a_model_that_nobody_can_read_stops_the_run_before_the_next_stage_is_paid_for(
    project: Project, stage: str
) -> None:
    prompt = "classify_proof" if stage == "classify_problems" else stage
    with OfflineModel(project) as model:
        model.replace(prompt, "As an adviser I would rather speak of something else today.")
        stopped = project.kedro("run", "--env", "offline", f"--params=endpoint={model.base_url},model=m")
    assert stopped.returncode == 1
    assert f"{prompt}: " in stopped.stderr
    assert "unparsed" in stopped.stderr
    assert model.asked[-1] == prompt
