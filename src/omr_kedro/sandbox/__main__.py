"""`python -m omr_kedro.sandbox`: the isolation that this machine gives. Exit status 1 where a sandbox would refuse."""

from __future__ import annotations

import sys

from omr_kedro.sandbox.probe import probe


def main() -> int:
    """Print the report."""
    report = probe()
    print("\n".join(report.lines()))  # noqa: T201 (what it is for)
    return 0 if report.level else 1


if __name__ == "__main__":
    sys.exit(main())
