"""Parameters of the environments, as a session reads them."""

from __future__ import annotations

import pytest
from kedro.framework.project import settings
from kedro.framework.startup import bootstrap_project

from tests.support.project import ROOT


@pytest.mark.parametrize(("system", "enabled"), [("linux", True), ("darwin", False), ("win32", False)])
def test_offline_code_is_run_where_there_is_linux(monkeypatch: pytest.MonkeyPatch, system: str, enabled: bool) -> None:
    bootstrap_project(ROOT)
    monkeypatch.setattr("omr_kedro.settings.sys.platform", system)
    with settings.SESSION_CLASS.create(project_path=ROOT, env="offline", save_on_close=False) as session:
        assert session.load_context().params["solve_tir"].enabled is enabled


def test_a_person_may_say_otherwise() -> None:
    bootstrap_project(ROOT)
    given = {"solve_tir": {"enabled": False}}
    create = settings.SESSION_CLASS.create
    with create(project_path=ROOT, env="offline", runtime_params=given, save_on_close=False) as session:
        assert session.load_context().params["solve_tir"].enabled is False
