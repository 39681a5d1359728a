from __future__ import annotations

import re

from tests.support.project import ROOT


def test_hooks_before_a_commit_use_the_versions_that_ci_uses() -> None:
    hooks = set(re.findall(r"additional_dependencies: \[(.*)\]", (ROOT / ".pre-commit-config.yaml").read_text()))
    locked = set(re.findall(r"^[\w.-]+==[^ ]+", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert len(hooks) == 3
    assert hooks <= locked
