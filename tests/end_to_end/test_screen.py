"""The screen of a run: few lines that fit, on a terminal and in a pipe; details in a file."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.offline import OfflineModel
from tests.support.project import Project

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_NOISE = ("Completed", "Loading data", "Saving data", "made 4 of 4 shards", "Running node")


class Screen(NamedTuple):
    """Commands of one project: its first run on a terminal of 100 columns, the same again in a pipe."""

    project: Project
    first: str
    again: subprocess.CompletedProcess[str]


def on_a_terminal(project: Project, columns: int, *words: str) -> str:
    """Run `kedro` on a terminal of its own; returns what stays on it when live lines are gone."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    command = [str(Path(sys.executable).with_name("kedro")), *words]
    process = subprocess.Popen(
        command, cwd=project.path, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    shown = bytearray()
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)
    assert process.wait() == 0, shown.decode()
    lines = (line.rpartition("\x1b[2K")[2] for line in shown.decode().split("\n"))
    return "\n".join(_ESCAPE.sub("", line).replace("\r", "").rstrip() for line in lines)


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Screen:
    project = Project.create(tmp_path_factory.mktemp("screen") / "project")
    first = on_a_terminal(project, 100, "run", "--env", "offline")
    return Screen(project, first, project.kedro("run", "--env", "offline"))


def test_a_run_takes_at_most_a_hundred_and_twenty_lines_and_one_a_stage(screen: Screen) -> None:
    lines = screen.first.splitlines()
    assert len(lines) <= 120, screen.first
    assert not [line for line in lines if any(word in line for word in _NOISE)]
    assert any(re.match(r"extract_problems +10 in, 13 out; 1 dropped; 10 calls; [\d,]+ tokens", line) for line in lines)
    assert any(re.match(r"summarise_cot +35 in, 35 out; 32 calls; [\d,]+ tokens$", line) for line in lines), (
        "equal calls of one run are counted once, and are of no earlier run"
    )
    assert any(
        re.match(r"solve_tir +7 in, 56 out; 174 calls; [\d,]+ tokens; 112 runs of code$", line) for line in lines
    )
    assert all(len(line) <= 100 or line.startswith(("Reads ", "Replies came from")) for line in lines)


def test_details_stay_in_the_log_file(screen: Screen) -> None:
    log = (screen.project.path / "info.log").read_text()
    assert all(word in log for word in ("Completed", "made 4 of 4 shards", "10 calls to offline-rules", "sandbox: "))


def test_the_summary_counts_and_gives_a_lineage_command_that_works(screen: Screen) -> None:
    assert re.search(r"This run: 1,051 calls, [\d,]+ tokens\.", screen.first)
    (found,) = re.findall(r"kedro lineage (\w+) --env offline", screen.first)
    assert [row for row in screen.project.table("problems") if row["problem_id"].startswith(found)]
    assert "kedro viz run --env offline" in screen.first


def test_a_good_run_shows_problems_and_samples_apart_one_problem_solved_and_nothing_to_look_at(screen: Screen) -> None:
    shown = screen.first
    problems, solutions = shown.index("Funnel of problems"), shown.index("Funnel of solutions")
    assert problems < shown.index(" decontaminate  ", problems) < solutions < shown.index(" settle_cot  ", solutions)
    assert re.search(r" settle_cot +sample +68 +35 +23 +10 +35", shown)
    results, reports = shown.index("In data/03_primary/offline:"), shown.index("In data/08_reporting/offline:")
    for tables in (
        "cot_solutions, cot_summaries",
        "tir_solutions, tir_turns",
        "tir_usefulness",
        "cot_votes, tir_votes",
    ):
        assert results < shown.index(f" {tables}\n") < reports
    assert re.search(r"funnels: +funnel\.csv, solutions_funnel\.csv", shown[reports:])
    assert re.search(r" settle_tir +sample +56 +34 +22 +0 +34", shown)
    assert shown.count("simple rules in place of a language model") == 1, "however many models there are"
    assert re.search(r"solved in text: +\S", shown)
    assert re.search(r"and its answer: +30 \(correct; 6 of 12 samples have it\)", shown)
    assert re.search(r"solved with code:\n +the model says +\S.+\n +and runs +\S.+\n +the sandbox prints +\S", shown)
    assert re.search(r"Code in the sandbox: 112 runs \(4 with an error, 6 out of time\), ", shown)
    assert "sandbox: cells" not in shown
    assert "isolation" not in shown
    assert "WARNING" not in shown
    assert "LOOK AT THIS" not in shown


def test_a_run_of_solutions_alone_closes_with_their_funnel_and_one_of_them(screen: Screen) -> None:
    done = screen.project.kedro("run", "--env", "offline", "--pipelines", "solution_generation")
    assert done.returncode == 0, done.stderr
    assert "Funnel of solutions" in done.stdout
    assert "Funnel of problems" not in done.stdout
    assert "clean problems with answers" not in done.stdout
    assert "solved in text" in done.stdout


def test_ways_apart_are_told_below_their_stage(screen: Screen) -> None:
    assert "  11 on, 2 to convert_proofs" in screen.first


def test_a_run_without_work_says_so_once_in_plain_lines(screen: Screen) -> None:
    again = screen.again
    assert again.returncode == 0
    assert again.stdout.count("p to date") == 1
    assert "Up to date: all 28 stages; nothing was made." in again.stdout
    assert "\x1b" not in again.stdout + again.stderr
    assert "━" not in again.stdout
    assert "This run:" not in again.stdout


def test_a_judge_that_calls_all_pairs_contaminated_is_told_once_and_in_the_summary(project: Project) -> None:
    with OfflineModel(project) as model:
        model.replace("judge_contamination", "True")
        params = f"--params=endpoint={model.base_url},model=offline-rules"
        shown = project.kedro("run", "--env", "offline", "--pipelines=problem_generation", params)
    assert shown.returncode == 0, shown.stderr
    sentence = "decontaminate dropped 9 of 9 problems (100%; 22% was expected) and kept nothing"
    said = " ".join((shown.stdout + shown.stderr).split())
    assert re.search(rf"WARNING {re.escape(sentence)}", said)
    assert f"LOOK AT THIS: {sentence}" in said
    assert "No problem is left" in said
