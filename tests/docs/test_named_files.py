"""Files of the project that pages name are there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.project import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES.remove(ROOT / "docs/adding-a-stage.md")  # tests/docs/test_adding_a_stage.py makes the files that it names
_FILE = re.compile(r"`((?:\w[\w.-]*/)*[\w.-]+\.(?:py|yml|sh|ipynb))`")
_LINK = re.compile(r"\]\(([^)#:]+)\)")
_OF_THE_USER = re.compile(r"conf/(?:local|mine)/|^\S*runner\.yml$|^catalog_\w+\.yml$")
"""Written by people, or short for a file of each environment."""


def project_files() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def named(page: Path) -> list[str]:
    return [name for name in _FILE.findall(page.read_text(encoding="utf-8")) if not _OF_THE_USER.search(name)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    files = [f"/{name}" for name in project_files()]
    missing = [name for name in named(page) if not any(file.endswith(f"/{name}") for file in files)]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    targets = {link: page.parent.joinpath(link).resolve() for link in _LINK.findall(page.read_text(encoding="utf-8"))}
    files = {ROOT / name for name in project_files()}
    there = files.union(*(file.parents for file in files))
    assert [link for link, target in targets.items() if target not in there] == []


def test_the_pages_on_design_name_the_file_of_each_step() -> None:
    pages = sorted((ROOT / "docs/design").glob("*.md"))
    assert len(pages) == 4
    for page in pages:
        assert len(set(named(page))) >= 8, page.name
