from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.sandbox.jail import frames

MOST = 100
texts = st.binary(max_size=MOST)


@given(st.integers(0, 3), texts, texts, st.integers(0, 3))
def test_a_packed_reply_is_read_back(kind: int, stdout: bytes, stderr: bytes, cut: int) -> None:
    data = frames.pack_reply(kind, stdout, stderr, cut)
    head = frames.read_head(data[: frames.REPLY_HEAD.size], MOST)
    body = data[frames.REPLY_HEAD.size :]
    assert body[: head.stdout_bytes] == stdout
    assert body[head.stdout_bytes :] == stderr
    assert (head.kind, head.stdout_cut, head.stderr_cut) == (kind, bool(cut & 1), bool(cut & 2))


@given(st.binary(min_size=frames.REPLY_HEAD.size, max_size=frames.REPLY_HEAD.size))
def test_a_hostile_head_announces_no_more_than_its_bounds_or_is_broken(data: bytes) -> None:
    try:
        head = frames.read_head(data, MOST)
    except frames.BrokenFrameError:
        return
    assert 0 <= head.stdout_bytes <= MOST
    assert 0 <= head.stderr_bytes <= MOST
    assert head.kind in range(4)


@given(st.integers(0, 2**32 - 1), st.text())
def test_a_cell_of_any_text_is_packed(number: int, code: str) -> None:
    data = frames.pack_cell(number, code)
    assert frames.CELL_HEAD.unpack(data[: frames.CELL_HEAD.size]) == (number, len(data) - frames.CELL_HEAD.size)
    assert data[frames.CELL_HEAD.size :].decode() == code.encode("utf-8", "replace").decode()


def test_a_cell_beyond_measure_is_refused() -> None:
    frames.pack_cell(1, "x" * frames.MOST_CODE_BYTES)
    with pytest.raises(ValueError, match="1,048,577"):
        frames.pack_cell(1, "x" * (frames.MOST_CODE_BYTES + 1))
