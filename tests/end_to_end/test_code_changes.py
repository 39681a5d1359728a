"""Which tables are made anew when code was changed, and that nothing is asked for it: no call, no server, no job."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import orjson
import pytest

from tests.support.no_slurm import NoSlurm
from tests.support.project import ROOT, Project

SLURM = ("--runner=omr_kedro.runners.SlurmRunner",)
DRY = (*SLURM, "--runner-params=where=slurm,dry_run=true")
DISPATCHED = (*SLURM, "--runner-params=where=slurm")
LABELS = ("proof", "mcq", "binary", "invalid")
MADE = re.compile(r"(\w+): made (\d+) of \d+ shards")
JOBLESS = re.compile(r"(\w+): (\d+) of \d+ shards were made here and need no job")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with code of its own, after a run."""
    project = Project.create(tmp_path_factory.mktemp("finished") / "project")
    shutil.copytree(ROOT / "src/omr_kedro", project.path / "src/omr_kedro", ignore=shutil.ignore_patterns("*.pyc"))
    run(project)
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of it, in which nothing tells of its server."""
    copy = Project(tmp_path / "project")
    shutil.copytree(finished.path, copy.path)
    log(copy).unlink()
    return copy


@pytest.fixture
def slurm(tmp_path: Path) -> NoSlurm:
    return NoSlurm(tmp_path / "slurm")


def log(project: Project) -> Path:
    """Log of the server, which is there when one was started."""
    return project.path / "data/06_models/problem-offline-server.log"


def run(project: Project, *words: str, status: int = 0, env: Mapping[str, str] | None = None) -> str:
    """`kedro run`; returns what it prints."""
    environment = {"PYTHONPATH": str(project.path / "src"), "COLUMNS": "600", "OMR_VERBOSE": "1", **(env or {})}
    done = project.kedro("run", "--env", "offline", "--pipelines=problem_generation", *words, env=environment)
    shown = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == status, shown
    return shown


def edit(project: Project, name: str, before: str, after: str) -> None:
    path = project.path / "src/omr_kedro" / name
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{name} no longer holds, once: {before}"
    path.write_text(text.replace(before, after), encoding="utf-8")


def edit_a_parser(project: Project) -> None:
    edit(
        project,
        "text/labels.py",
        "    text = _LATEX_WRAPPER.sub",
        "    reply = str(reply)\n    text = _LATEX_WRAPPER.sub",
    )


def edit_what_renders_prompts(project: Project) -> None:
    edit(project, "llm/calls/prompt.py", "        return [*self._opening, {", "        return list(self._opening) + [{")


def made(shown: str) -> set[str]:
    """Tables of which shards were made in the process of the run."""
    return {name for name, _ in MADE.findall(shown)}


def tables(project: Project) -> dict[Path, bytes]:
    """Content of all shards."""
    return {path: path.read_bytes() for path in project.path.glob("data/0*/offline/*/shard-*")}


def plan(project: Project, group: str) -> Path:
    """The only job spec of a group."""
    (spec,) = project.path.glob(f"data/08_reporting/offline/slurm/{group}-*/spec.json")
    return spec


def test_comments_docstrings_and_layout_make_nothing_anew_and_plan_no_task(project: Project, slurm: NoSlurm) -> None:
    for path in (project.path / "src/omr_kedro").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        text = re.sub(r'^"""', '"""Edited: ', text, count=1)
        path.write_text(
            re.sub(r"^(def .*)$", r"# a comment\n\n\1", text, flags=re.MULTILINE) + "\n# the end\n", "utf-8"
        )
    assert made(run(project)) == set()
    shown = run(project, *DRY, env=slurm.environment)
    assert "2 groups, 0 model servers; submitted nothing" in shown
    assert shown.count("up to date") == 2
    assert not log(project).exists()


def test_a_better_parser_makes_anew_what_it_reads_and_asks_nothing(project: Project) -> None:
    before = tables(project)
    edit_a_parser(project)
    shown = run(project)
    assert made(shown) == {
        "proofs", "non_proofs", "open_problems", "non_binary_problems", "valid_problems",
        *(f"classify_{label}_dropped" for label in LABELS),
        "open_converted_proofs", "non_binary_converted_proofs", "valid_converted_proofs",
        *(f"classify_converted_{label}_dropped" for label in LABELS[1:]),
        "decontaminate_controls", "contamination", "contaminated_pairs", "contamination_review",
    }  # fmt: skip
    assert not re.search(r"[1-9]\d* calls to", shown)
    assert not log(project).exists()
    assert tables(project) == before


def test_requests_that_stay_the_same_are_not_asked_again_however_they_are_made(project: Project) -> None:
    before = tables(project)
    edit_what_renders_prompts(project)
    shown = run(project)
    assert {"extract_problems_completions", "decontaminate_completions"} <= made(shown)
    assert "extracted_problems" not in made(shown), "reading it takes no prompt"
    assert not re.search(r"[1-9]\d* calls to", shown)
    assert not log(project).exists()
    assert tables(project) == before


@pytest.mark.parametrize(
    ("change", "jobless"),
    [
        (edit_a_parser, [("extract_problems", "4")]),
        (edit_what_renders_prompts, [("extract_problems", "4"), ("decontaminate", "4")]),
    ],
)
def test_what_is_paid_for_needs_no_job(
    project: Project, slurm: NoSlurm, change: Callable[[Project], None], jobless: list[tuple[str, str]]
) -> None:
    before = tables(project)
    change(project)
    planned = run(project, *DRY, env=slurm.environment)
    assert "2 groups, 0 model servers; submitted nothing" in planned
    assert "4 shards are first made here" in planned
    shown = run(project, *DISPATCHED, env=slurm.environment)
    assert JOBLESS.findall(shown) == jobless
    assert slurm.calls == []
    assert not log(project).exists()
    assert tables(project) == before
    assert made(run(project)) == set(), "the tables are finished, and as a run without Slurm makes them"


def test_shards_with_calls_to_be_paid_for_go_to_jobs_and_no_others(project: Project, slurm: NoSlurm) -> None:
    edit_what_renders_prompts(project)
    folder = project.path / "data/07_model_output/offline/classify_mcq_completions"
    lost = next(path for path in sorted(folder.glob("shard-*")) if path.stat().st_size)
    lost.write_bytes(b"".join(lost.read_bytes().splitlines(keepends=True)[1:]))
    planned = run(project, *DRY, env=slurm.environment)
    assert "2 groups, 1 model servers; submitted nothing" in planned
    assert orjson.loads(plan(project, "extract_problems").read_bytes())["shares"] == [[lost.stem]]
    shutil.rmtree(plan(project, "extract_problems").parent)
    shown = run(project, *DISPATCHED, env=slurm.environment, status=1)
    assert JOBLESS.findall(shown) == [("extract_problems", "3")]
    assert set(slurm.calls) == {"sbatch"}
    assert orjson.loads(plan(project, "extract_problems").read_bytes())["shares"] == [[lost.stem]]
    assert not log(project).exists()


def test_a_dry_run_says_which_tables_are_not_there_yet_and_hides_no_error(project: Project, slurm: NoSlurm) -> None:
    (project.path / "data/03_primary/offline/similar_benchmarks/.complete.json").unlink()
    shown = run(project, *DRY, env=slurm.environment)
    assert "waits for its inputs: similar_benchmarks" in shown
    edit(
        project,
        "pipelines/merge_problems/nodes.py",
        "    return map_shards(_merged",
        "    1 / 0\n    return map_shards(_merged",
    )
    assert "ZeroDivisionError" in run(project, *DRY, env=slurm.environment, status=1)
