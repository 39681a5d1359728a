"""Sentences that begin like a riddle name no subject: nobody finds by them what they are about."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import ROOT

_RIDDLE = re.compile(r"(?:What|Who|So many) ")
_PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """All docstrings of a file, with their lines; of attributes as well."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, _DOCUMENTED):
            for place, statement in enumerate(node.body):
                if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Constant):
                    continue
                documents = place == 0 or isinstance(node.body[place - 1], ast.AnnAssign | ast.Assign)
                if documents and isinstance(statement.value.value, str):
                    yield statement.lineno, statement.value.value


def paragraphs(page: Path) -> Iterator[tuple[int, str]]:
    """Paragraphs of a page outside of code, with their lines; an item of a list is one."""
    in_code, after_break = False, True
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            in_code = not in_code
        elif not in_code and line.strip():
            begins = re.sub(r"^(?:[-*] |\d+\. |[*_]+)+", "", line.strip())
            if after_break or begins != line.strip():
                yield number, begins
        after_break = not line.strip()


_PACKAGES = sorted(path.name for path in (ROOT / "src/omr_kedro").glob("[!_]*"))


@pytest.mark.parametrize("package", _PACKAGES)
def test_no_docstring_begins_like_a_riddle(package: str) -> None:
    place = ROOT / "src/omr_kedro" / package
    files = [place] if place.suffix == ".py" else sorted(place.rglob("*.py"))
    assert not [
        f"{path.relative_to(ROOT)}:{line}: {text[:60]}"
        for path in files
        for line, text in docstrings(path)
        if _RIDDLE.match(text)
    ]


def test_no_paragraph_of_a_page_begins_like_a_riddle() -> None:
    assert not [
        f"{page.relative_to(ROOT)}:{line}: {text[:60]}"
        for page in _PAGES
        for line, text in paragraphs(page)
        if _RIDDLE.match(text)
    ]
