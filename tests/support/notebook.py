"""A notebook, executed cell by cell, and the page of its outputs; run as a script, so that its process is its own.

python -m tests.support.notebook NOTEBOOK PAGE prints outputs as a terminal shows them, and writes them as HTML.
"""

from __future__ import annotations

import ast
import contextlib
import html
import io
import json
import sys
from pathlib import Path
from typing import Any

_HEAD = '<!doctype html><meta charset="utf-8"><title>A notebook</title>'


def main(notebook: Path, page: Path) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    with page.open("w", encoding="utf-8") as file:
        file.write(_HEAD)
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                printed, shown = _executed("".join(cell["source"]), names)
                print(printed, "" if shown is None else shown)
                file.write(f"<pre>{html.escape(printed)}</pre>{_as_html(shown)}\n")


def _executed(source: str, names: dict[str, Any]) -> tuple[str, Any]:
    """The output of a cell, and the value of its last expression, which Jupyter shows."""
    *before, last = ast.parse(source).body
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(ast.Module(before, []), "cell", "exec"), names)
        if isinstance(last, ast.Expr):
            shown = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        else:
            exec(compile(ast.Module([last], []), "cell", "exec"), names)
            shown = None
    return printed.getvalue(), shown


def _as_html(shown: Any) -> str:
    if shown is None:
        return ""
    picture = getattr(shown, "_repr_html_", None)
    return picture() if picture else f"<pre>{html.escape(repr(shown))}</pre>"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
