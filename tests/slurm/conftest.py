"""Two clusters for all tests of this folder: a double, which is fast, and a real Slurm."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest

from tests.support import slurm
from tests.support.dispatch import ALL_STAGES, DOUBLE, FIRST_STAGES, REAL, Dispatch, Tables, Work, project_with_threads

_INSTALL = "tests/slurm/cluster.sh install"


@pytest.hookimpl(tryfirst=True)  # before xdist looks for groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deal the tests on a real Slurm out to two clusters, each of one process: most of their time they wait."""
    real = (item for item in items if item.get_closest_marker("slurm"))
    for item, cluster in zip(real, cycle(("slurm-1", "slurm-2")), strict=False):
        item.add_marker(pytest.mark.xdist_group(cluster))


@pytest.fixture(scope="session", params=[DOUBLE, REAL])
def shared_cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm.Cluster]:
    """Starting a real one takes seconds."""
    folder = tmp_path_factory.mktemp("slurm")
    if request.param == "real":
        _require_slurm()
    cluster = slurm.RealCluster(folder) if request.param == "real" else slurm.DoubleCluster(folder)
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def cluster(shared_cluster: slurm.Cluster) -> Iterator[slurm.Cluster]:
    """Both nodes idle. What a test breaks and does not repair fails that test alone."""
    yield shared_cluster
    try:
        shared_cluster.wait_idle()
    except RuntimeError:
        shared_cluster.start()
        raise


@pytest.fixture(scope="session")
def work(shared_cluster: slurm.Cluster) -> Work:
    """The whole on a real cluster, a part of it on the double."""
    return ALL_STAGES if isinstance(shared_cluster, slurm.RealCluster) else FIRST_STAGES


@pytest.fixture(scope="session")
def expected(work: Work, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """The tables of a run in one process."""
    return work.calmly(tmp_path_factory.mktemp("calm") / "project")


@pytest.fixture
def dispatch(cluster: slurm.Cluster, work: Work, tmp_path: Path) -> Dispatch:
    """A fresh project."""
    return Dispatch(cluster, project_with_threads(tmp_path / "project"), work)


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
