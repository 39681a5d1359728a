"""Tables of exams: gold rows, and the marks of what models answered about them."""

from __future__ import annotations

import pyarrow as pa

from omr_kedro.tables.columns import FLOAT, INT, TEXT, column

_ROW_ID = column("row_id", TEXT, "id of the gold row", required=True)
_TRAP = column("trap", TEXT, "kind of row, to group by", required=True)
_WHY = column("why", TEXT, "why the outcome is gold", required=True)

EXAM_ROWS = pa.schema([_ROW_ID, _TRAP, _WHY, column("gold", TEXT, "the whole gold row, as JSON", required=True)])

EXAM_MARKS = pa.schema(
    [
        column("stage", TEXT, "stage that was examined", required=True),
        _ROW_ID,
        column("mark", TEXT, "`right`, `wrong`, or `unparsed`: no outcome could be read", required=True),
        _TRAP,
        column("gold_class", TEXT, "class of the outcome that is gold", required=True),
        column("given_class", TEXT, "class of the outcome that the stage read; empty where it read none"),
        column("gold", TEXT, "the outcome that is gold", required=True),
        column("given", TEXT, "the outcome that the stage read"),
        column("reason", TEXT, "why none could be read, or why it is wrong where the texts do not tell"),
        column("said", TEXT, "of a judge: what it said in each order, or why that could not be read"),
        _WHY,
        column("reply", TEXT, "the beginning of what the model said"),
        column("model", TEXT, "name that the model was asked by"),
        column("prompt_hash", TEXT, "hash of the prompt's fixed text and examples"),
        column("calls", INT, "calls about the row", required=True),
        column("prompt_tokens", INT, "tokens of their prompts", required=True),
        column("completion_tokens", INT, "tokens of their replies", required=True),
        column("seconds", FLOAT, "seconds that they took, added up", required=True),
    ]
)
