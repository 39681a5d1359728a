from __future__ import annotations

import pytest

from omr_kedro.sandbox import Limits, Metrics, Result, Status, Usage


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


def test_use_adds_up_and_the_largest_session_of_all_stays_the_largest() -> None:
    both = Usage(cells=2, errors=1, seconds=0.5, peak_memory_mb=90) + Usage(
        cells=3, kills=1, seconds=2, peak_memory_mb=70
    )
    assert both == Usage(cells=5, errors=1, kills=1, seconds=2.5, peak_memory_mb=90)
    assert both + Usage() == both


def test_use_in_words_names_the_ends_that_there_were() -> None:
    assert str(Usage(cells=1, seconds=0.2, peak_memory_mb=60)) == "1 run, 0 s together, 60 MB at most"
    usage = Usage(1234, errors=9, timeouts=3, kills=2, crashes=1, state_lost=1, unavailable=1, seconds=1800)
    assert str(usage).startswith(
        "1,234 runs (9 with an error, 3 out of time, 2 killed, 1 crashed, 2 not run), 1,800 s together"
    )


def test_only_what_tells_of_the_cell_may_be_kept() -> None:
    assert {status for status in Status if not Result(status).settled} == {Status.UNAVAILABLE}
