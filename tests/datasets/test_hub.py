"""Each download runs in a process of its own: the hub's library reads its settings once, when it is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hub_server import HubServer

OLD, NEW = "a" * 40, "4fde851" + "0" * 33
ROWS = b'{"original_question": "Find x.", "original_answers": ["1"]}\n' * 40
REPO = "datasets/owner/threads"


@pytest.fixture
def hub() -> Iterator[HubServer]:
    files = {
        "part/a.jsonl": ROWS,
        "part/b.jsonl": b'{"original_question": "y", "original_answers": []}\n',
        "x.bin": b"0",
    }
    with HubServer({REPO: files}, [NEW, OLD]) as server:
        yield server


def _download(hub: HubServer | None, cache: Path, revision: str = NEW, repo: str = "owner/threads") -> str:
    code = f"""
from omr_kedro.datasets.hub import hub_snapshot
from omr_kedro.shards import BadInputError
try:
    snapshot = hub_snapshot({repo!r}, {revision!r}, ["part/*.jsonl"], "dataset")
    files = {{path.name: len(path.read_bytes()) for path in sorted(snapshot.folder.rglob("*")) if path.is_file()}}
    print(snapshot.commit, files)
except BadInputError as error:
    print("refused:", error)
"""
    env = {
        **os.environ,
        "HF_ENDPOINT": hub.url if hub else "http://127.0.0.1:9",
        "HF_HOME": str(cache),
        "HF_HUB_DISABLE_XET": "1",
        # The library tries an address that nobody answers for half a minute.
        "HF_HUB_OFFLINE": "0" if hub else "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


FOUND = f"{NEW} {{'a.jsonl': {len(ROWS)}, 'b.jsonl': 51}}"


def test_wanted_files_are_downloaded_once_and_found_again_without_the_hub(hub: HubServer, tmp_path: Path) -> None:
    assert _download(hub, tmp_path) == FOUND
    assert not any("x.bin" in path for path in hub.asked)
    asked = hub.asked.total()
    assert _download(hub, tmp_path) == FOUND
    assert hub.asked.total() == asked
    assert _download(None, tmp_path) == FOUND


def test_a_short_hash_is_looked_up_and_the_full_one_recorded(hub: HubServer, tmp_path: Path) -> None:
    assert _download(hub, tmp_path, "4fde851") == FOUND
    assert _download(None, tmp_path, "4fde851") == FOUND


def test_a_download_that_broke_off_goes_on_where_it_stopped(hub: HubServer, tmp_path: Path) -> None:
    large = ROWS * 9000  # the library writes blocks of ten megabytes
    hub.repos[REPO]["part/a.jsonl"] = large
    hub.cut["part/a.jsonl"] = 15_000_000
    result = _download(hub, tmp_path)
    if result.startswith("refused"):
        result = _download(hub, tmp_path)
    assert result == f"{NEW} {{'a.jsonl': {len(large)}, 'b.jsonl': 51}}"
    (resumed,) = hub.ranges
    assert int(resumed.removeprefix("bytes=").rstrip("-")) >= 10_000_000


@pytest.mark.parametrize(
    ("revision", "repo", "words"),
    [
        ("main", "owner/threads", "pinned by the hash"),
        ("bbbbbbb", "owner/threads", "no commits whose hash begins with bbbbbbb"),
        ("b" * 40, "owner/threads", "is not on the hub"),
        (NEW, "owner/nothing", "is not on the hub, or is private"),
    ],
)
def test_what_the_hub_does_not_have_is_said(
    hub: HubServer, tmp_path: Path, revision: str, repo: str, words: str
) -> None:
    said = _download(hub, tmp_path, revision, repo)
    assert said.startswith("refused:")
    assert words in said


def test_without_a_network_the_error_says_how_to_bring_the_files_by_hand(tmp_path: Path) -> None:
    said = _download(None, tmp_path)
    assert "the hub cannot be reached" in said
    assert f"hf download owner/threads --repo-type dataset --revision {NEW} --include 'part/*.jsonl'" in said


def test_a_file_that_differs_from_its_checksum_is_named(hub: HubServer, tmp_path: Path) -> None:
    hub.corrupt.add("part/b.jsonl")
    said = _download(hub, tmp_path)
    assert "1 files differ from the hub's checksums, among them part/b.jsonl" in said
