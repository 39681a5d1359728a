"""Environments of others, each with what it needs from PyPI and nothing else; made once, in benchmarks/.venvs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_VENVS = Path(__file__).with_name(".venvs")


class NotMeasuredError(Exception):
    """Why there is no figure for a contender."""


def python_with(name: str, packages: Sequence[str]) -> str:
    """The Python of the environment of that name; the project's own when no packages are asked for.

    Raises:
        NotMeasuredError: with pip's last words.
    """
    if not packages:
        return sys.executable
    folder = _VENVS / name
    python, stamp = folder / "bin" / "python", folder / ".installed"
    wanted = "\n".join(packages)
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.lower().startswith("error")]
            raise NotMeasuredError(f"cannot be installed: {(errors or ['pip failed'])[-1][:150]}")
        stamp.write_text(wanted)
    return str(python)
