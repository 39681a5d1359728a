"""Stages of a pipeline: the nodes of one that asks a model, and what the graph of nodes tells of each.

A stage gives every row that it gets one outcome. All that is its own is named after it: the nodes `ask_<stage>` and
`read_<stage>`, the prompt `<stage>_prompt`, the tables `<stage>_completions` and `<stage>_dropped`. The catalog has a
pattern for each of these datasets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, update_wrapper
from inspect import Parameter, signature
from itertools import takewhile
from typing import Any, NamedTuple

from kedro.pipeline import Node, Pipeline

ALL_SHARDS_TAG = "all_shards"
"""On a node `by_shard` that must see all shards at once, or whose table counts only as a whole: it runs in no job."""

_DROPPED = "_dropped"
_PER, _OF = "per_", "of_"
# The first is older than the rule, and a table in every workspace; the second has all columns of a solution.
_NAMED_OTHERWISE = {"threads_dropped": "prepare_threads", "cot_rejected": "settle_cot", "tir_rejected": "settle_tir"}


@dataclass(frozen=True)
class AskingStage:
    """The nodes of a stage that asks a model.

    A node's function gets its inputs by the names of its arguments: `prompt`, `model`, `options`, `completions`,
    `control_rows` and `controls` are the stage's own, the others are the tables that are given, in their order.
    Keyword-only ones are no inputs: they are bound beforehand (`bound`).
    """

    name: str
    prompt: str = ""
    """Dataset of the prompt, where it is not `<name>_prompt`."""
    options: str = ""
    """Section of the parameters, where it is not named like the stage."""
    model: str = "problem_model"
    """Entry of conf/base/catalog_models.yml."""

    @property
    def completions(self) -> str:
        """The table of its calls."""
        return f"{self.name}_completions"

    @property
    def control_rows(self) -> str:
        """Of a judge, the table of the controls that it is asked about (`judging_stage`)."""
        return f"{self.name}_control_rows"

    @property
    def controls(self) -> str:
        """Of a judge, the table of their marks."""
        return f"{self.name}_controls"

    def ask(self, function: Callable[..., Any], *tables: str) -> Node:
        """The node `ask_<name>`: makes the calls about the rows of the first table."""
        return Node(function, self.inputs(function, tables), self.completions, name=f"ask_{self.name}", tags="gpu")

    def read(
        self, function: Callable[..., Any], *tables: str, kept: Sequence[str], per: str = "", unit: str = ""
    ) -> Node:
        """The node `read_<name>`: settles the rows of the first table by the replies.

        Args:
            function: gives a table for each name of `kept`, then the rows that are not kept.
            tables: what it reads beside the stage's own.
            kept: tables of the rows that go on.
            per: what is counted in the funnel, where one row may give several; see `Stage.per`.
            unit: see `Stage.unit`.
        """
        tags = ["by_shard", *([_PER + per] if per else []), *([_OF + unit] if unit else [])]
        outputs = [*kept, self.name + _DROPPED]
        return Node(function, self.inputs(function, tables), outputs, name=f"read_{self.name}", tags=tags)

    def inputs(self, function: Callable[..., Any], tables: Sequence[str]) -> list[str]:
        """The datasets of a function's arguments, in their order; tables fill those that are not the stage's own."""
        own = {
            "prompt": self.prompt or f"{self.name}_prompt",
            "model": self.model,
            "options": f"params:{self.options or self.name}",
            "completions": self.completions,
            "control_rows": self.control_rows,
            "controls": self.controls,
        }
        taken = signature(function).parameters.values()
        arguments = [each.name for each in taken if each.kind is not Parameter.KEYWORD_ONLY]
        others = [argument for argument in arguments if argument not in own]
        if len(others) != len(tables):
            raise TypeError(f"stage {self.name}: {function.__name__} takes the tables {others}, not {list(tables)}")
        filled = own | dict(zip(others, tables, strict=True))
        return [filled[argument] for argument in arguments]


def bound(function: Callable[..., Any], **arguments: object) -> Callable[..., Any]:
    """A function for a node, with keyword arguments that tell which of several like stages it is for.

    It keeps name, annotations and docstring, by which Kedro tells nodes and validates parameters.
    """
    return update_wrapper(partial(function, **arguments), function)


class Stage(NamedTuple):
    """A stage, by the names of the datasets that its rows come from and go to."""

    name: str
    given: tuple[str, ...]
    """Tables that its rows come from; for the first stage, the files."""
    kept: tuple[str, ...]
    dropped: str
    """Table of the rows that it did not keep."""
    unit: str = ""
    """Name for one of its rows (`answer`, `sample`), where it is neither a problem nor a record."""
    per: str = ""
    """`thread` where one thread may give several rows: kept are the threads that gave some. Empty where each row that
    is kept gives one."""

    @property
    def tables(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.given, *self.kept, self.dropped)


def stages_of(pipelines: Iterable[Pipeline]) -> list[Stage]:
    """The stages of pipelines, in their order.

    A node that makes a table `<stage>_dropped` settles that stage's rows. Its other tables hold what was kept. Its rows
    come from its first input, and from those after it that are tables which another stage has kept; the first that is
    not is evidence. A tag `per_<unit>` says that a unit may give several rows; a tag `of_<unit>` says what a row is.
    """
    nodes = dict.fromkeys(node for pipeline in pipelines for node in pipeline.nodes)
    settling = [(node, name) for node in nodes for name in node.outputs if _is_dropped(name)]
    kept = {name for node, dropped in settling for name in node.outputs if name != dropped}
    return [_stage(node, dropped, kept) for node, dropped in settling]


def _stage(node: Node, dropped: str, kept: set[str]) -> Stage:
    return Stage(
        name=_NAMED_OTHERWISE.get(dropped, dropped.removesuffix(_DROPPED)),
        given=tuple(_rows_of(node, kept)),
        kept=tuple(name for name in node.outputs if name != dropped),
        dropped=dropped,
        per=_tagged(node, _PER),
        unit=_tagged(node, _OF),
    )


def _is_dropped(table: str) -> bool:
    return table.endswith(_DROPPED) or table in _NAMED_OTHERWISE


def _tagged(node: Node, prefix: str) -> str:
    return next((tag.removeprefix(prefix) for tag in node.tags if tag.startswith(prefix)), "")


def _rows_of(node: Node, kept: set[str]) -> Iterator[str]:
    first, *others = node.inputs
    yield first
    yield from takewhile(kept.__contains__, others)
