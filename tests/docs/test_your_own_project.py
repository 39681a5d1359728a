"""The page on a project of one's own, followed to the letter."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kedro.framework.project import settings
from kedro.framework.startup import bootstrap_project
from omegaconf import OmegaConf

from omr_kedro.pipelines.prepare_threads.nodes import ThreadFields
from omr_kedro.shards.other_kinds import _COMMANDS
from tests.support.offline import OfflineModel
from tests.support.project import ROOT, Project

PAGE = (ROOT / "docs/your-own-project.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.slow
_BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def shell(line: str, folder: Path) -> str:
    """Run a line of the page; gives its output."""
    paths = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env={**os.environ, "PATH": paths}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def write(kind: str, text: str, folder: Path) -> None:
    """Write a file of the page; settings go into what is there already."""
    first, _, content = text.partition("\n")
    path = folder / first.removeprefix("# ")
    if kind == "yaml" and path.exists():
        merged = OmegaConf.merge(OmegaConf.load(path), OmegaConf.create(content))
        content = OmegaConf.to_yaml(merged)
    path.write_text(content, encoding="utf-8")


Followed = tuple[Project, OfflineModel, list[str]]


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    """The project after the page, its server, and what each line printed."""
    project = Project.create(tmp_path_factory.mktemp("own") / "project")
    (project.path / "threads.csv").write_text("id,body\n007,Find x.\n")
    elsewhere = project.path / "elsewhere"
    printed = []
    with OfflineModel(project) as model:
        for kind, text in _BLOCK.findall(PAGE.replace("http://127.0.0.1:9000/v1", model.base_url)):
            if kind != "bash":
                write(kind, text, project.path)
                continue
            folder = project.path
            if text.startswith("tar "):
                folder = elsewhere
                move(project, elsewhere)
            printed += [shell(line, folder) for line in text.splitlines() if "  # needs" not in line]
        yield project, model, printed


def move(project: Project, folder: Path) -> None:
    """Take along what the page says: the archive as `kedro package` makes it, threads, and tables."""
    folder.mkdir()
    with tarfile.open(folder / "conf-omr_kedro.tar.gz", "w:gz") as archive:
        archive.add(project.path / "conf", "conf")
    for name in ("data", "my_threads.jsonl"):
        subprocess.run(["cp", "-r", project.path / name, folder], check=True)


def test_the_threads_become_problems_of_the_model_that_was_named(followed: Followed) -> None:
    project, _, _ = followed
    (thread,) = project.table("threads", "mine")
    assert thread["forum_post"].startswith("Twin primes\n\nFind all primes")
    assert thread["forum_discussions"] == "Post 1:\nTry $3$.\n\nPost 2:\nThe answer is $3, 5$."
    assert (thread["problem_source"], thread["extra"]) == ("a forum", '{"id":17}')
    assert {row["model"] for row in project.table("all_problems", "mine")} == {"my-model"}


def test_the_run_on_the_other_machine_finds_all_that_was_paid_for(followed: Followed) -> None:
    project, model, printed = followed
    stages = [path.name for path in (project.path / "data/07_model_output/mine").glob("*_completions")]
    rows = [row for stage in stages for row in project.table(stage, "mine")]
    assert len(model.asked) == sum(row["kind"] == "model" for row in rows) > 0
    assert (project.path / "elsewhere/data/03_primary/mine/problems").is_dir()
    assert "Funnel" in printed[-1]


def test_the_command_for_a_csv_is_the_one_that_an_error_advises(followed: Followed) -> None:
    assert _COMMANDS[".csv"] in PAGE
    assert (followed[0].path / "threads.jsonl").read_text() == '{"id":"007","body":"Find x."}\n'


def test_the_parts_of_a_thread_that_the_page_names_are_those_that_there_are() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == set(ThreadFields.model_fields)


def test_conf_local_is_read_without_an_environment_and_by_none(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project")
    local = project.path / "conf/local/parameters.yml"
    local.write_text(yaml.safe_dump({"spending": {"total_tokens": 7}}))
    assert [limit(project, env) for env in (None, "demo")] == [7, None]


def limit(project: Project, env: str | None) -> int | None:
    bootstrap_project(ROOT)
    with settings.SESSION_CLASS.create(project_path=project.path, env=env, save_on_close=False) as session:
        found: int | None = session.load_context().params["spending"]["total_tokens"]
    return found
