from __future__ import annotations

from io import StringIO

from rich.console import Console

from omr_kedro.lineage import Lineage, show


def test_forum_text_is_neither_markup_nor_escape_codes_and_is_wrapped_not_cut() -> None:
    post = "[bold]not bold[/bold] \x1b[31mred " + "word " * 100 + "end"
    thread = {
        "thread_id": "a" * 20,
        "source": "f.jsonl:1",
        "problem_source": None,
        "forum_discussions": "",
        "forum_post": post,
    }
    out = StringIO()
    show(Lineage("a" * 20, "thread", "shard", "a" * 20, thread, [], []), Console(file=out, width=60))
    printed = out.getvalue()
    assert "[bold]not bold[/bold] \\x1b[31mred" in printed
    assert " ".join(printed.split()).endswith("word end")
    assert max(map(len, printed.splitlines())) <= 60
