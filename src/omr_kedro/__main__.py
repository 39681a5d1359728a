"""`python -m omr_kedro`, and the `omr-kedro` command of an installed package: `kedro run` without the words."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from kedro.framework.project import configure_project


def main(*args: Any, **kwargs: Any) -> Any:
    """Run the project's pipelines, with the options of `kedro run`; or one of its commands, as `status`."""
    configure_project(Path(__file__).parent.name)
    from omr_kedro.cli import cli  # noqa: PLC0415 (Kedro's commands want a configured project)

    kwargs.setdefault("standalone_mode", not hasattr(sys, "ps1"))
    return cli(*args, **kwargs)


if __name__ == "__main__":
    main()
