"""Commands that the documents show are commands that there are."""

from __future__ import annotations

import re
import shlex
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
from tests.support.project import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"```bash\n(.*?)```", re.DOTALL)
_INLINE = re.compile(r"`((?:kedro|make) [^`\n]*)`")


def _commands(page: Path) -> Iterator[str]:
    text = page.read_text(encoding="utf-8")
    for block in _BLOCK.findall(text):
        for line in block.splitlines():
            yield from (part.strip() for part in re.split(r"&&|\|\||;", line.partition("  #")[0]))
    yield from _INLINE.findall(_BLOCK.sub("", text))


def _shown(tool: str) -> list[tuple[str, str]]:
    return sorted(
        {(page.name, command) for page in PAGES for command in _commands(page) if command.startswith(f"{tool} ")}
    )


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
