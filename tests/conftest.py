"""What holds for all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from hypothesis import settings

# How long an example takes says nothing about right or wrong, and much about what else the machine does.
settings.register_profile("omr_kedro", parent=settings.default, deadline=None)
settings.load_profile("omr_kedro")


@pytest.fixture(autouse=True)
def _leave_no_import_path() -> Iterator[None]:
    """Kedro's bootstrap puts a project's `src` on the path of this process and of all that it starts, for good."""
    with patch.dict(os.environ), patch.object(sys, "path", list(sys.path)):
        yield
