from __future__ import annotations

import errno
import re
import sys

import pyarrow as pa
import pytest
from kedro.io import DatasetError

from omr_kedro.hooks import terminal
from omr_kedro.hooks.terminal import explained
from omr_kedro.shards import DiskFullError, OmrError, TableStore
from omr_kedro.shards.errors import MissingTableError
from tests.support.tables import Given
from tests.support.users import open_folder, somebody_else


def caught(cause: BaseException) -> BaseException:
    """The error as Kedro raises it."""
    with pytest.raises(DatasetError) as raised:
        raise DatasetError("Failed while saving data") from cause
    return raised.value


def test_an_error_that_explains_itself_is_found_behind_those_of_kedro() -> None:
    error = OmrError("what happened, where, and what to do")
    assert explained(caught(caught(error))) is error
    assert explained(caught(ValueError("a bug"))) is None


def test_a_disk_that_is_full_is_explained_whoever_wrote_to_it() -> None:
    error = explained(caught(OSError(errno.ENOSPC, "No space left on device", "funnel.json")))
    assert isinstance(error, DiskFullError)
    assert "funnel.json cannot be written: No space left on device. All that was finished" in str(error)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(errno.EACCES, "Permission denied", "a.jsonl"),
            r"a\.jsonl: Permission denied .* Give yourself the right",
        ),
        (OSError(errno.EROFS, "Read-only file system", "t"), r"t cannot be written: Read-only.*name another place"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (OSError(errno.EIO, "Input/output error", "t.parquet"), r"t\.parquet.*network file system"),
        (pa.ArrowInvalid("page 7 is damaged"), "ArrowInvalid: page 7 is damaged"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "UnicodeDecodeError"),
        (RecursionError("maximum recursion depth exceeded"), "RecursionError"),
        (MissingTableError("The table x is not there"), "The table x is not there"),
    ],
)
def test_errors_of_the_system_and_of_data_become_one_sentence_with_a_place_and_a_remedy(
    error: BaseException, words: str
) -> None:
    assert re.search(words, str(explained(caught(error))))
    assert "Make room" not in str(explained(caught(error)))
    if not isinstance(error, OmrError) and getattr(error, "errno", None) != errno.EROFS:
        assert "outside of omr_kedro" in str(explained(caught(error)))


def test_a_table_of_somebody_else_is_explained_in_one_sentence() -> None:
    with open_folder() as folder:
        recipe = Given({"shard-00000-of-00001": [{"a": "x"}]})
        table = TableStore(folder / "table", "jsonl", pa.schema([("a", pa.string())]))
        table.save(recipe)
        (folder / "table").chmod(0o555)
        for path in (folder / "table").rglob("*"):
            path.chmod(0o555)
        changed = Given({"shard-00000-of-00001": [{"a": "y"}]})
        with somebody_else(), pytest.raises(OSError, match="Permission denied") as refused:
            table.save(changed)
    said = str(explained(caught(refused.value)))
    assert re.search(r"table/.*: Permission denied \(\w+\.py, line \d+\)\. Give yourself the right", said)


def test_what_steers_a_terminal_is_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    error = OmrError("HTTP 500: \x1b]0;owned\x07\x1b[2J \u202eevil")
    terminal._print_explained(sys.__excepthook__, OmrError, error, None)
    shown = capsys.readouterr().err
    assert "owned" in shown
    assert not {"\x1b", "\x07", "\u202e"} & set(shown.replace("\x1b[1;31m", "").replace("\x1b[0m", ""))
