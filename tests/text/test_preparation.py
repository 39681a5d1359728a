from __future__ import annotations

from omr_kedro.text import ForumThread, PreparationOptions, TokenCounter
from omr_kedro.text.preparation import prepared_thread

BYTES = TokenCounter(None, "bytes")
OLD = ForumThread(r"Find $ x\minus{}1$.", (r"$ x\equal{}2$",))


def test_macros_of_the_old_forum_become_signs() -> None:
    row = prepared_thread(OLD, "f:1", [], PreparationOptions(), BYTES)
    assert (row["forum_post"], row["forum_discussions"]) == ("Find $ x-1$.", "Post 1:\n$ x=2$")


def test_the_rule_of_the_original_leaves_them() -> None:
    row = prepared_thread(OLD, "f:1", [], PreparationOptions(rule="original"), BYTES)
    assert (row["forum_post"], row["forum_discussions"]) == (OLD.first, "Post 1:\n" + OLD.replies[0])
