"""Commands that the documents show are there, and run, but for those that say what they need."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from kedro.framework.cli.utils import KedroCliError
from kedro.framework.startup import bootstrap_project

from omr_kedro.cli import cli
from omr_kedro.pipeline_registry import register_pipelines
from tests.support.project import ROOT, Project

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
for page, test in {"adding-a-stage": "test_adding_a_stage.py", "your-own-project": "test_your_own_project.py"}.items():
    assert (ROOT / "tests/docs" / test).exists(), "does all that the page says, in its order"
    PAGES.remove(ROOT / f"docs/{page}.md")
_BLOCK = re.compile(r"```bash\n(.*?)```", re.DOTALL)
_INLINE = re.compile(r"`((?:kedro|make) [^`\n]*)`")
_NEEDS = re.compile(r"  #.*\bneeds (?:a|the|threads)\b")
"""How a line says that it takes more than a fresh clone: a key, a cluster, the network, somebody's file."""


def _lines(page: Path) -> Iterator[str]:
    for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        yield from block.splitlines()


def _parts(line: str) -> list[str]:
    return [part.strip() for part in re.split(r"&&|\|\||;", line.partition("  #")[0])]


def _inline(page: Path) -> list[str]:
    return _INLINE.findall(_BLOCK.sub("", page.read_text(encoding="utf-8")))


def _shown(tool: str) -> list[tuple[str, str]]:
    commands = {
        (page.name, command)
        for page in PAGES
        for command in [*(part for line in _lines(page) for part in _parts(line)), *_inline(page)]
    }
    return sorted((page, command) for page, command in commands if command.startswith(f"{tool} "))


def _runnable() -> list[str]:
    """Lines of blocks that need nothing, and what the text says about the offline environment."""
    lines = {line.partition("  #")[0].strip() for page in PAGES for line in _lines(page) if not _NEEDS.search(line)}
    offline = {
        command
        for page in PAGES
        for command in _inline(page)
        if re.search(r"--env (?:offline|<env>)", command) and "SlurmRunner" not in command
    }
    return sorted(line for line in lines | offline if line and line not in {"make test", "source .venv/bin/activate"})


@pytest.fixture(scope="module")
def fresh_run(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A fresh clone after `make run`, with the packages of this one."""
    project = Project.create(tmp_path_factory.mktemp("docs") / "project")
    (project.path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    for name in ("README.md", "requirements.lock"):
        (project.path / name).touch()
    (project.path / ".venv").mkdir()
    (project.path / ".venv/bin").symlink_to(Path(sys.executable).parent)
    (project.path / ".venv/.installed").touch()
    project.run()
    return project


@pytest.mark.parametrize("line", _runnable())
def test_what_needs_nothing_runs(fresh_run: Project, line: str) -> None:
    problem = fresh_run.table("problems")[0]["problem_id"]
    command = line.replace("<env>", "offline").replace("PROBLEM_ID", problem)
    script = f"set -e\nexport PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH\n{command}"
    done = subprocess.run(["bash", "-c", script], cwd=fresh_run.path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("page", "command"), _shown("make"))
def test_what_make_is_told_is_a_target(page: str, command: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{re.escape(command.split()[1])}:", makefile, re.MULTILINE), f"{page}: {command}"


@pytest.mark.parametrize(("page", "command"), _shown("kedro"))
def test_what_kedro_is_told_it_can_do(page: str, command: str) -> None:
    bootstrap_project(ROOT)
    name, *words = shlex.split(command.replace("<env>", "offline").replace("…", "1"))[1:]
    if name == "viz":
        return  # A plugin's, which a machine without a browser does not need.
    if not words or "[" in command:
        assert name in cli.commands, f"{page}: {command}"
        return
    try:
        context = cli.commands[name].make_context(name, words)
    except (click.UsageError, KedroCliError) as error:
        raise AssertionError(f"{page}: {command}: {error}") from error
    options = context.params
    assert _named(options, "env") <= {path.name for path in (ROOT / "conf").iterdir()}
    assert _named(options, "pipelines") <= set(register_pipelines())
    assert set(options.get("params") or {}) <= _settings(), f"{page}: {command}"


def _named(options: dict[str, Any], option: str) -> set[str]:
    value = options.get(option) or []
    return {value} if isinstance(value, str) else set(value)


def _settings() -> set[str]:
    """Names that `--params` may begin with: parameters, and what catalogs take from the command line."""
    names = set[str]()
    for path in (ROOT / "conf").rglob("*.yml"):
        text = path.read_text(encoding="utf-8")
        names |= set(re.findall(r"\$\{runtime_params:(\w+)", text))
        if path.name.startswith("parameters"):
            names |= set(yaml.safe_load(text) or {})
    return names
