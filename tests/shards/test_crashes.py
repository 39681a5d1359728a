from __future__ import annotations

import pytest

from omr_kedro.shards import unless_crashed
from omr_kedro.text.replies import final_text


def test_a_result_is_given_as_it_is() -> None:
    assert unless_crashed(str, divmod, 7, 2) == (3, 1)


@pytest.mark.parametrize("error", [TypeError, RecursionError, OverflowError, UnicodeDecodeError, ZeroDivisionError])
def test_whatever_a_reader_raises_becomes_one_short_line_that_steers_no_terminal(error: type[Exception]) -> None:
    words = "\x1b[2J\n" + "x" * 10_000

    def read(text: str) -> str:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, text) if error is UnicodeDecodeError else error(text)

    line = unless_crashed(str, read, words)
    assert line.startswith(f"{error.__name__} (")
    assert r"\x1b[2J\nxxx" in line
    assert line.isprintable()
    assert len(line) < 250


def test_the_line_names_the_place_in_our_own_code() -> None:
    assert "(replies.py, line " in unless_crashed(str, final_text, None)


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt, SystemExit])
def test_the_end_of_the_whole_process_is_no_rows_outcome(error: type[BaseException]) -> None:
    def read() -> None:
        raise error

    with pytest.raises(error):
        unless_crashed(str, read)
