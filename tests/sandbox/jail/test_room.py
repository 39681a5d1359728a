from __future__ import annotations

import sys
from pathlib import Path

from omr_kedro.sandbox.jail import room


def test_libraries_of_this_python_are_readable_and_this_project_is_not() -> None:
    import numpy as np  # noqa: PLC0415

    paths = [Path(path) for path in room.readable_paths("/")]
    for module in ("json", "numpy"):
        file = Path(sys.modules.get(module, np).__file__ or "").resolve()
        assert any(file.is_relative_to(path) for path in paths), file
    assert not any(Path(__file__).is_relative_to(path) for path in paths)
    assert not any(one.is_relative_to(other) for one in paths for other in paths if one != other)


def test_nothing_in_which_a_home_lies_is_readable() -> None:
    for path in room.readable_paths("/"):
        assert path not in room.readable_paths(f"{path}/someone")
