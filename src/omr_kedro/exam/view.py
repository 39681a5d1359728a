"""An exam, and a comparison of two, on the screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from omr_kedro.exam.comparison import Comparison
from omr_kedro.exam.intervals import Interval
from omr_kedro.exam.scores import Verdict
from omr_kedro.llm.endpoint.spending import in_words
from omr_kedro.screen import add_numbers, stage_rows
from omr_kedro.shards.printable import printable

_COLOURS = {Verdict.FIT: "green", Verdict.DOUBTFUL: "yellow", Verdict.UNFIT: "red"}
_SHOWN_ROWS = 8


def exam_table(lines: Sequence[Mapping[str, Any]]) -> Table:
    """The report of an exam as a table of 80 columns: a row a stage."""
    table = stage_rows("The exam: balanced accuracy on the gold rows, with its 95 % interval")
    add_numbers(table, "rows", "score", "interval", "unparsed", "cost")
    table.add_column("verdict", no_wrap=True)
    for line in lines:
        verdict = Verdict(line["verdict"])
        table.add_row(
            line["stage"],
            f"{line['rows']:,}",
            _share(line["balanced_accuracy"]),
            _ends(Interval(line["balanced_accuracy"], line["low"], line["high"])),
            f"{line['unparsed']:,}",
            _cost(line["cost"]),
            Text(verdict, _COLOURS[verdict]),
        )
    return table


def advice(lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A sentence for each stage whose model is not fit: by what it failed, and what a person can do."""
    for line in lines:
        if line["verdict"] != Verdict.FIT:
            yield f"{line['stage']} is {line['verdict']}: {_found(line)}. {_remedy(line)}"


def _found(line: Mapping[str, Any]) -> str:
    share = _share(line["balanced_accuracy"])
    mean = f"{share} in the mean of its classes" if "," in line["by_class"] else share
    return f"{printable(line['by_class'])} right, {mean}, and {_share(line['required'])} is required"


def _remedy(line: Mapping[str, Any]) -> str:
    if line["unparsed"] * 2 > line["rows"] * (1 - line["accuracy"]):
        return "Most of its mistakes are replies that could not be read: look at their reasons, and at max_tokens."
    if line["verdict"] == Verdict.UNFIT:
        return "Take another model for it, or mend its prompt by the rows of exam_wrong."
    return "The gold rows are too few to tell: look at exam_wrong before you trust it."


def show_comparison(names: tuple[str, str], found: Sequence[Comparison], console: Console) -> None:
    """Print two exams beside each other, and the rows that only one of them has right."""
    first, second = map(printable, names)
    table = stage_rows(f"Balanced accuracy: A is {first}, B is {second}")
    add_numbers(table, "rows", "A", "interval", "B", "interval", "only A", "only B", "p")
    for each in found:
        shares = [text for side in (each.first, each.second) for text in (_share(side.share), _ends(side))]
        counts = [f"{len(each.only_first):,}", f"{len(each.only_second):,}"]
        table.add_row(each.stage, f"{each.rows:,}", *shares, *counts, f"{each.p:.3f}")
    console.print(table)
    for each in found:
        for side, rows in (("A", each.only_first), ("B", each.only_second)):
            if rows:
                more = f" and {len(rows) - _SHOWN_ROWS} more" if len(rows) > _SHOWN_ROWS else ""
                line = f"  {each.stage}: only {side} is right about {', '.join(rows[:_SHOWN_ROWS])}{more}"
                console.print(printable(line), soft_wrap=True, highlight=False, markup=False)
    told = "p: probability of so great a difference by chance, if both are equally good (exact McNemar test)."
    console.print(f"  {told}", soft_wrap=True, highlight=False, markup=False)


def _share(share: float) -> str:
    return f"{100 * share:.1f} %"


def _ends(found: Interval) -> str:
    return f"{100 * found.low:.0f}-{100 * found.high:.0f}"


def _cost(cost: float | None) -> str:
    # An empty cell of a CSV file is no number.
    return "?" if cost is None or cost != cost else in_words(cost)  # noqa: PLR0124
