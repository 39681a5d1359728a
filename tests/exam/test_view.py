from __future__ import annotations

import re
from typing import Any

from rich.console import Console

from omr_kedro.exam.view import advice, exam_table


def line(**other: Any) -> dict[str, Any]:
    return {
        "stage": "summarise_solutions", "verdict": "unfit", "rows": 60, "accuracy": 0.5, "balanced_accuracy": 0.5,
        "low": 0.38, "high": 0.62, "required": 0.85, "unparsed": 0, "by_class": "summary 30/60", "cost": None, **other,
    }  # fmt: skip


def test_the_table_fits_a_screen_of_eighty_columns_and_breaks_no_name() -> None:
    console = Console(width=80, record=True)
    console.print(
        exam_table([line(), line(stage="extract_answers", verdict="fit", cost=float("nan")), line(cost=0.25)])
    )
    rows = [" ".join(each.split()) for each in console.export_text().splitlines()]
    assert "summarise_solutions 60 50.0 % 38-62 0 ? unfit" in rows
    assert "extract_answers 60 50.0 % 38-62 0 ? fit" in rows, "an empty cell of a file is no number"
    assert "summarise_solutions 60 50.0 % 38-62 0 0.2500 unfit" in rows


def test_each_stage_that_is_not_fit_gets_a_sentence_with_the_way_on() -> None:
    unfit, unread, doubtful = advice(
        [line(), line(verdict="fit"), line(unparsed=25), line(verdict="doubtful", by_class="\x1b[2J 1/2")]
    )
    assert unfit == (
        "summarise_solutions is unfit: summary 30/60 right, 50.0 %, and 85.0 % is required. "
        "Take another model for it, or mend its prompt by the rows of exam_wrong."
    )
    assert unread.endswith("replies that could not be read: look at their reasons, and at max_tokens.")
    assert re.search(r"is doubtful: .*exam_wrong before you trust it", doubtful)
    assert "\x1b" not in doubtful
