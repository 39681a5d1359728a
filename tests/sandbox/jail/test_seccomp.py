"""The filter as a program: run here by a small machine of our own; the kernel runs it in every other test."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from omr_kedro.sandbox.jail import seccomp
from omr_kedro.sandbox.jail.seccomp import ALLOWED, filter_program, for_process

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
I386 = 0x40000003
ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x50001, 0x50026
PID = 4711
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


def verdict(program: bytes, architecture: int, number: int, *arguments: int) -> int:
    """The verdict of a filter on a call: classic BPF, as far as the filter uses it."""
    words = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("<iIQ6Q", number, architecture, 0, *(word & 0xFFFFFFFFFFFFFFFF for word in words))
    steps = [struct.unpack("HBBI", program[at : at + 8]) for at in range(0, len(program), 8)]
    at = held = 0
    while True:
        code, if_true, if_false, value = steps[at]
        at += 1
        if code == 0x06:
            return int(value)
        if code == 0x20:
            held = struct.unpack_from("<I", data, value)[0]
        else:
            tests = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}
            at += if_true if tests[code] else if_false


@pytest.fixture(params=ARCHITECTURES)
def machine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def judge(machine: str, number: int, *arguments: int, writable: bool = True) -> int:
    program = for_process(filter_program(writable=writable, machine=machine), PID)
    return verdict(program, ARCHITECTURES[machine], number, *arguments)


def column(machine: str) -> int:
    return list(ARCHITECTURES).index(machine)


def test_exactly_the_listed_numbers_pass_whatever_their_arguments(machine: str) -> None:
    passed = {number for number in range(600) if judge(machine, number, -1, -1, -1) == ALLOW}
    listed = {**ALLOWED, **{name: row[:2] for name, row in seccomp._OPEN.items()}}
    assert passed == {numbers[column(machine)] for numbers in listed.values()} - {None}


def test_numbers_stand_for_their_names(machine: str) -> None:
    if not HEADERS[machine].exists():
        pytest.skip(f"{HEADERS[machine]} is not there")
    text = HEADERS[machine].read_text()
    numbers = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+) (\d+)\b", text)}
    numbers.setdefault("newfstatat", numbers.get("fstatat", -1))
    listed = {name: pair[column(machine)] for name, pair in ALLOWED.items()}
    assert {name: number for name, number in listed.items() if number is not None and numbers[name] != number} == {}


def test_signals_go_to_the_process_itself(machine: str) -> None:
    kill = seccomp._KILL[column(machine)]
    assert judge(machine, kill, PID, 9) == ALLOW
    assert {judge(machine, kill, pid, 9) for pid in (PID + 1, 0, 1, -1, -PID)} == {EPERM}


def test_limits_are_its_own(machine: str) -> None:
    limit = seccomp._PRLIMIT[column(machine)]
    assert {judge(machine, limit, pid) for pid in (0, PID)} == {ALLOW}
    assert judge(machine, limit, PID + 1) == EPERM


def test_a_new_way_to_start_threads_is_not_there_and_the_old_one_is_forbidden(machine: str) -> None:
    assert judge(machine, 435) == ENOSYS
    assert judge(machine, {"x86_64": 56, "aarch64": 220}[machine], 17) == EPERM


def test_files_are_emptied_only_where_files_are_written(machine: str) -> None:
    openat = {"x86_64": 257, "aarch64": 56}[machine]
    assert judge(machine, openat, -100, 0, 0o1000) == ALLOW
    assert judge(machine, openat, -100, 0, 0o1000, writable=False) == EPERM
    assert judge(machine, openat, -100, 0, 0o1101, writable=False) == EPERM
    assert judge(machine, openat, -100, 0, 0, writable=False) == ALLOW


def test_bits_above_the_lower_half_change_nothing(machine: str) -> None:
    assert judge(machine, seccomp._KILL[column(machine)], (1 << 32) | 1, 9) == EPERM
    assert judge(machine, seccomp._IOCTL[column(machine)], 0, (1 << 32) | 0x5412) == EPERM


def test_calls_of_another_kind_end_the_process() -> None:
    program = filter_program(writable=True, machine="x86_64")
    assert verdict(program, I386, 4) == KILL
    assert verdict(program, ARCHITECTURES["x86_64"], 0x40000000 + 1) == KILL


def test_a_machine_without_numbers_is_refused() -> None:
    with pytest.raises(OSError, match="riscv64"):
        filter_program(writable=True, machine="riscv64")
