from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.project import ROOT, Project

NOTEBOOK = ROOT / "notebooks" / "look_at_a_run.ipynb"


def test_the_notebook_runs_after_a_first_run_and_shows_what_it_promises(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project")
    project.run()
    folder = project.path / "notebooks"
    folder.mkdir()
    shutil.copy(NOTEBOOK, folder)
    # The last expression of a cell is what Jupyter shows.
    runner = """
import ast, json, sys
names = {"__name__": "__main__"}
for cell in json.load(open(sys.argv[1]))["cells"]:
    if cell["cell_type"] == "code":
        *before, last = ast.parse("".join(cell["source"])).body
        exec(compile(ast.Module(before, []), "cell", "exec"), names)
        if isinstance(last, ast.Expr):
            print(eval(compile(ast.Expression(last.value), "cell", "eval"), names))
        else:
            exec(compile(ast.Module([last], []), "cell", "exec"), names)
"""
    done = subprocess.run(
        [sys.executable, "-c", runner, NOTEBOOK.name], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for shown in ("extract_problems", "no_problem", "has_answer_extracted", "example_threads.jsonl"):
        assert shown in done.stdout, done.stdout[-3000:]


def test_the_notebook_holds_no_output() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") for cell in cells)
