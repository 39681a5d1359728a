"""What holds for all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import settings

# How long an example takes says nothing about right or wrong, and much about what else the machine does. CI draws the
# same examples each time, so that a change is judged by what it changes; every other run draws new ones.
settings.register_profile("local", deadline=None, derandomize=False)
settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

_HERE = Path(__file__).parent
_SLOW_PLACES = [_HERE / "trials", _HERE / "vllm"]
"""Folders whose tests are all slow; see `markers` in pyproject.toml."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the place where they stand."""
    for item in items:
        if any(place in item.path.parents for place in _SLOW_PLACES):
            item.add_marker("slow")


@pytest.fixture(autouse=True)
def _leave_no_import_path() -> Iterator[None]:
    """Kedro's bootstrap puts a project's `src` on the path of this process and of all that it starts, for good."""
    with patch.dict(os.environ), patch.object(sys, "path", list(sys.path)):
        yield
