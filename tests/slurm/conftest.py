"""One Slurm cluster for all tests of this folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.support import slurm

_INSTALL = "tests/slurm/cluster.sh install"


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm.Cluster]:
    """Starting one takes seconds."""
    _require_slurm()
    cluster = slurm.Cluster.start(tmp_path_factory.mktemp("slurm"))
    yield cluster
    cluster.stop()


@pytest.fixture
def cluster(shared_cluster: slurm.Cluster) -> Iterator[slurm.Cluster]:
    """Both nodes idle. What a test breaks and does not repair fails that test alone."""
    yield shared_cluster
    try:
        shared_cluster.wait_idle()
    except RuntimeError:
        shared_cluster.restart()
        raise


def _require_slurm() -> None:
    root, ci = os.geteuid() == 0, bool(os.environ.get("CI"))
    if root and ci and not slurm.installed() and shutil.which("apt-get"):
        subprocess.run([slurm.SCRIPT, "install"], check=True)
    if root and slurm.installed():
        return
    reason = f"needs Slurm ({_INSTALL}) and root, who starts the daemons"
    if ci:
        pytest.fail(reason)
    pytest.skip(reason)
