"""Refusals, with a filter in front that takes from this machine what others lack."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from omr_kedro.sandbox import Plan, Pool, SandboxRefusedError, probe
from tests.sandbox.support import skip_without_isolation

EPERM, ENOSYS = 1, 38
UNSHARE, MOUNT, LANDLOCK = "unshare", "mount", "landlock"
NUMBERS = {UNSHARE: (272, 97), MOUNT: (165, 40), LANDLOCK: (444, 444)}

WITHOUT = """
import struct, sys
from omr_kedro.sandbox.jail import kernel
program = [(0x20, 0, 0, 0)]
for word in sys.argv[1].split(","):
    number, error = map(int, word.split(":"))
    program += [(0x15, 0, 1, number), (0x06, 0, 0, 0x50000 | error)]
program.append((0x06, 0, 0, 0x7FFF0000))
kernel.forbid_new_privileges()
kernel.install_filter(b"".join(struct.pack("HBBI", *instruction) for instruction in program))
from omr_kedro.sandbox.__main__ import main
sys.exit(main())
"""


def report(**missing: int) -> tuple[int, str]:
    """Exit status and output of the report on a machine where these calls fail with these errors."""
    column = ["x86_64", "aarch64"].index(platform.machine())
    words = ",".join(f"{NUMBERS[name][column]}:{error}" for name, error in missing.items())
    done = subprocess.run([sys.executable, "-c", WITHOUT, words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def needs(level: str) -> None:
    if reason := probe().refusals[level]:
        pytest.skip(f"{level}: {reason}")


def test_this_machine_gives_a_level_and_says_which() -> None:
    skip_without_isolation()
    lines = probe().lines()
    assert lines[0] == f"sandbox: isolation by {probe().level}"
    assert f"  {probe().level}: works" in lines


@pytest.mark.parametrize(
    ("refused", "left", "words"),
    [
        ({"unshare": EPERM}, "landlock", "namespaces: unshare: Operation not permitted"),
        ({"mount": EPERM}, "landlock", "Operation not permitted"),  # a namespace is given, and its mounts are refused
        ({"landlock": ENOSYS}, "namespaces", "landlock: landlock: Function not implemented"),
    ],
)
def test_where_one_level_is_refused_the_other_is_left(refused: dict[str, int], left: str, words: str) -> None:
    needs(left)
    status, text = report(**refused)
    assert status == 0
    assert f"isolation by {left}" in text
    assert words in text


def test_without_either_it_refuses_and_names_the_ways_out() -> None:
    status, text = report(unshare=EPERM, landlock=ENOSYS)
    assert status == 1
    assert "refused" in text
    assert "unshare: Operation not permitted" in text
    assert "max_user_namespaces" in text
    assert "docs/sandbox.md" in text


def test_a_refused_pool_says_the_same() -> None:
    code = WITHOUT.partition("from omr_kedro.sandbox.__main__")[0] + (
        "import asyncio\nfrom omr_kedro.sandbox import Pool, SandboxRefusedError\n"
        "try: asyncio.run(Pool().session('key').run('1'))\n"
        "except SandboxRefusedError as error: print(error)\n"
    )
    column = ["x86_64", "aarch64"].index(platform.machine())
    words = f"{NUMBERS[UNSHARE][column]}:{EPERM},{NUMBERS[LANDLOCK][column]}:{ENOSYS}"
    done = subprocess.run([sys.executable, "-c", code, words], capture_output=True, text=True, check=False)
    assert "Tried: namespaces: unshare: Operation not permitted; landlock: landlock: Function" in done.stdout, (
        done.stderr
    )
    assert "Ways out" in done.stdout


async def test_on_other_systems_than_linux_a_sentence_says_so_in_place_of_every_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.delattr("os.sched_getaffinity")
    report = probe()
    assert report.level is None
    assert report.lines()[-1] == report.told
    assert "needs Linux, and this is macOS" in report.told
    for isolation in ("auto", "none"):
        with pytest.raises(SandboxRefusedError, match="needs Linux, and this is macOS"):
            await Pool(Plan(isolation)).start()
