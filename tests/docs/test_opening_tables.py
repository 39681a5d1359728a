"""The ways in which README opens a table, each run; `tests/libraries/install.sh` installs the libraries."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from omr_kedro.shards import TableStore
from omr_kedro.shards.formats import Format
from omr_kedro.tables import PROBLEMS
from tests.support.project import ROOT
from tests.support.tables import given

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
LIBRARIES = ["pandas", "polars", "duckdb", "datasets"]
LINES = {
    "pandas": "import pathlib; problems = pandas.concat("
    "pandas.read_json(path, lines=True) for path in pathlib.Path('table').glob('*.jsonl'))",
    "polars": "problems = polars.read_ndjson('table/*.jsonl')",
    "duckdb": "problems = duckdb.sql(\"SELECT * FROM 'table/*.jsonl'\")",
    "datasets": "problems = datasets.load_dataset('table', split='train')",
}
"""The same for a table of lines."""

ROW = {"problem_id": "p", "thread_id": "t", "problem": "$x$", "expected_answer": "1", "model": "m"}


def made(folder: Path, format: Format) -> None:
    """A table as a run leaves it, with all kinds of side files; one shard is empty."""
    store = TableStore(folder, format, PROBLEMS)
    store.save(given([{**ROW, "problem_id": str(number)} for number in range(5)], count=6))
    for name in ("open", "retired", "damaged"):
        (folder / f".{name}").mkdir(exist_ok=True)
        (folder / f".{name}" / "shard-00000-of-00006.jsonl").write_bytes(b'{"call_key": "k"}\n')


def opened(script: str, library: str, folder: Path) -> int:
    """Rows that a script finds, in a process of its own."""
    if find_spec(library) is None:
        pytest.skip(f"needs {library} (tests/libraries/install.sh)")
    variables = {"HOME": str(folder), "HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    code = f"{script}\nprint(len(problems))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


@pytest.mark.parametrize("block", BLOCKS, ids=LIBRARIES)
def test_readme_opens_the_problems(block: str, tmp_path: Path) -> None:
    made(tmp_path / "data/03_primary/offline/problems", "parquet")
    library = block.split()[1]
    assert opened(block, library, tmp_path) == 5


@pytest.mark.parametrize("library", LIBRARIES)
def test_tables_of_lines_open_likewise(library: str, tmp_path: Path) -> None:
    made(tmp_path / "table", "jsonl")
    assert opened(f"import {library}\n{LINES[library]}", library, tmp_path) == 5
