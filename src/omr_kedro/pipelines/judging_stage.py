"""The nodes of a stage whose model judges, with controls among its rows (`controls`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kedro.pipeline import Node

from omr_kedro.pipelines.controls import draw_controls, mark_controls, report_controls
from omr_kedro.pipelines.marked_rows import Read
from omr_kedro.pipelines.stages import ALL_SHARDS_TAG, AskingStage, bound
from omr_kedro.shards import Row

CONTROL_REPORT = "_control_report"
"""Ending of the dataset with the figures of a judge."""


@dataclass(frozen=True)
class JudgingStage(AskingStage):
    """A stage that asks a judge: `ask_<name>` takes its `control_rows`, and whatever reads verdicts its `controls`."""

    gold: str = ""
    """File of the gold rows that controls are drawn from."""

    def draw(self, needs_judge: Callable[[Row], bool], rows: str) -> Node:
        """The node `draw_<name>_controls`; comes before the asking."""
        function = bound(draw_controls, needs_judge=needs_judge)
        return self._node(function, [rows, f"exam_{self.gold}_gold"], self.control_rows, f"draw_{self.name}_controls")

    def check(self, read: Read) -> list[Node]:
        """The nodes that mark the controls, let only a fit judge pass, and report; verdicts are read after them."""
        mark = bound(mark_controls, stage=self.name, read=read)
        report = bound(report_controls, stage=self.name, model=self.model)
        reported = Node(
            report,
            [self.controls, f"params:{self.options or self.name}", "params:prices"],
            self.name + CONTROL_REPORT,
            name=f"report_{self.name}_controls",
        )
        return [self._node(mark, [], self.controls, f"mark_{self.name}_controls"), reported]

    def _node(self, function: Callable[..., object], tables: list[str], output: str, name: str) -> Node:
        return Node(function, self.inputs(function, tables), output, name=name, tags=["by_shard", ALL_SHARDS_TAG])
