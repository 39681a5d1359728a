from __future__ import annotations

import pytest

from omr_kedro.sandbox import Limits, Metrics, Result, Status


@pytest.mark.parametrize("name", ["seconds", "characters", "memory_mb", "scratch_mb"])
def test_limits_within_which_nothing_could_run_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Limits(**{name: 0})


def test_metrics_count_cells_by_their_end() -> None:
    metrics = Metrics()
    for status in (*Status, Status.COMPLETED):
        metrics.add(Result(status, seconds=0.5, waited_seconds=0.25))
    metrics.add_end(cpu_seconds=1.5, peak_kb=2048)
    metrics.add_end(cpu_seconds=0.5, peak_kb=1024)
    row = metrics.row()
    names = ("cells", "errors", "timeouts", "kills", "crashes", "state_lost", "unavailable")
    assert [row[name] for name in names] == [9, 1, 1, 1, 2, 1, 1]
    assert (row["seconds"], row["waited_seconds"], row["cpu_seconds"], row["peak_memory_mb"]) == (4.5, 2.25, 2.0, 2.0)


def test_only_what_tells_of_the_cell_may_be_kept() -> None:
    assert {status for status in Status if not Result(status).settled} == {Status.UNAVAILABLE}
