from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from omr_kedro.answers.words import with_integers
from tests.support.growth import LARGE, SLOW_S, SMALL, readers
from tests.support.hostile_texts import UNITS, shapes

_ROOT = Path(__file__).parents[2]
_MOST_GROWTH = 2.5 * LARGE / SMALL
"""Of the time, where the text grows by `LARGE / SMALL`: linear readers stay near 1, quadratic ones reach 8."""


def _measured() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The measurements, and those that had to be ended."""
    # Traced, readers that step through a text would take several times as long as those that call the library.
    untraced = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    command = [sys.executable, "-m", "tests.support.growth"]
    found: list[dict[str, Any]] = []
    hung: list[dict[str, Any]] = []
    first = 0
    while first < len(readers()) and len(hung) < 5:
        done = subprocess.run([*command, str(first)], cwd=_ROOT, env=untraced, capture_output=True, check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert lines, done.stderr.decode()[-2000:]
        found += [line for line in lines if "small" in line]
        first = lines[-1]["reader"] + 1
        if done.returncode:
            hung.append(_named(lines[-1]))
    return found, hung


def _named(line: dict[str, Any]) -> dict[str, Any]:
    return {**line, "reader": list(readers())[line["reader"]]}


@pytest.mark.slow
def test_no_reader_of_foreign_text_fails_or_takes_more_than_linear_time() -> None:
    found, hung = _measured()
    assert not hung
    assert not [_named(line) for line in found if line["error"]]
    assert not [
        _named(line) for line in found if line["large"] and line["large"] > _MOST_GROWTH * max(line["small"], SLOW_S)
    ]


def test_every_parser_and_pattern_is_among_the_readers() -> None:
    names = readers()
    patterns = [name for name in names if "[" in name]
    assert len(names) - len(patterns) >= 26
    assert len(patterns) >= 100
    assert len(UNITS) >= 30
    for part in ("undefined_symbols", "read_answer", "parse_problems", "tidy", "without_quotes", "stated_answers"):
        assert any(part in name for name in names), part


def test_a_shape_has_the_size_that_it_is_asked_for() -> None:
    assert {len(make(1000)) for make in shapes().values()} == {1000}


def test_backslashes_are_no_reason_to_look_for_integers_at_every_place_four_times() -> None:
    assert with_integers("\x1e" * 100_000 + "x") == "\x1e" * 100_000 + "x"
