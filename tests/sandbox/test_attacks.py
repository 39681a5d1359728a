"""Attacks at both levels, by an ordinary user. A level that this machine does not give is skipped in its own words."""

from __future__ import annotations

import json

import pytest

from tests.sandbox.attacks import ATTACKS
from tests.sandbox.battlefield import as_ordinary_user, held_at
from tests.sandbox.support import folder_of_ordinary_user, refusals, run_as_ordinary_user

LEVELS = ("namespaces", "landlock")
Faults = dict[str, list[str]]


def battle(level: str, *names: str) -> Faults:
    with folder_of_ordinary_user() as folder:
        done = run_as_ordinary_user(folder, "-m", "tests.sandbox.battlefield", level, str(folder), *names)
    assert done.returncode == 0, done.stderr[-5000:]
    faults: Faults = json.loads(done.stdout)
    return faults


@pytest.fixture(scope="module")
def faults_by_level() -> dict[str, Faults]:
    return {}


@pytest.fixture
def faults(request: pytest.FixtureRequest, faults_by_level: dict[str, Faults]) -> Faults:
    """Faults of all attacks at a level, which are made once."""
    level = request.param
    if reason := refusals()[level]:
        pytest.skip(f"{level}: {reason}")
    if level not in faults_by_level:
        faults_by_level[level] = {}  # a battle that could not be fought is not fought again for each attack
        faults_by_level[level] = battle(level)
    return faults_by_level[level]


def attacks() -> list[object]:
    """Each attack at each level; those of a level go to one process, which fights once."""
    return [
        pytest.param(level, name, id=f"{level}-{name}", marks=pytest.mark.xdist_group(f"sandbox-{level}"))
        for level in LEVELS
        for name in held_at(level)
    ]


@pytest.mark.parametrize(("faults", "name"), attacks(), indirect=["faults"])
def test_an_attack_is_contained(faults: Faults, name: str) -> None:
    assert faults[name] == [], ATTACKS[name].holds


@pytest.mark.parametrize(
    "faults",
    [pytest.param(level, marks=pytest.mark.xdist_group(f"sandbox-{level}")) for level in LEVELS],
    indirect=True,
)
def test_the_driver_stays_small(faults: Faults) -> None:
    assert "the whole" not in faults


def test_attacks_are_made_by_an_ordinary_user_whoever_runs_the_tests() -> None:
    with folder_of_ordinary_user() as folder:
        done = run_as_ordinary_user(folder, "-c", "import os; print(*os.getresuid())")
    assert done.returncode == 0, done.stderr
    assert "0" not in done.stdout.split()


def test_root_makes_no_attack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 0)
    with pytest.raises(SystemExit, match="an ordinary user"):
        as_ordinary_user()


def test_at_least_one_level_can_be_had_here() -> None:
    assert "" in refusals().values()


def test_the_list_is_long_and_a_level_holds_nearly_all_of_it() -> None:
    assert len(ATTACKS) >= 150
    excepted = {name: attack.namespaces_only for name, attack in ATTACKS.items() if attack.namespaces_only}
    assert excepted == {"files.stat_home": "Landlock does not cover stat"}


def test_without_isolation_the_same_attacks_succeed() -> None:
    names = ["files.accounts", "files.append", "processes.shell", "network.loopback", "secrets.other_processes"]
    faults = battle("none", *names)
    assert [name for name in names if not faults[name]] == [], "what finds nothing here would find nothing anywhere"
