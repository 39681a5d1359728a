"""A small soak; the large one is `python -m benchmarks.sandbox_soak`."""

from __future__ import annotations

from benchmarks.sandbox_soak import KINDS, MOST_GROWTH_MB, deal, soak

from omr_kedro.sandbox import Limits, Plan
from tests.sandbox.support import skip_without_isolation

CELLS = 300


def test_cells_of_all_kinds_are_dealt_in_an_order_that_is_always_the_same() -> None:
    names = deal(CELLS)
    assert len(names) == CELLS
    assert set(names) == set(KINDS)
    assert names == deal(CELLS)
    assert names != sorted(names)


async def test_every_cell_of_a_mixed_lot_is_answered_and_the_driver_does_not_grow() -> None:
    skip_without_isolation()
    plan = Plan(nice=0, modules=(), recycle_after=20)
    found = await soak(CELLS, plan, Limits(seconds=1, memory_mb=64))
    assert found.kinds.total() == CELLS
    assert set(found.kinds) == set(KINDS)
    assert found.lost == 0
    assert found.wrong == {}
    assert found.metrics["zygotes"] >= 2, "one was replaced under way"
    assert found.growth_mb <= MOST_GROWTH_MB
