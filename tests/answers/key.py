"""The hand-checked key of pairs of answers, and math-verify's own view of a pair."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

KEY_FILE = Path(__file__).with_name("grading_key.jsonl")


class Entry(NamedTuple):
    """A pair of answers, and whether they are equal; `why` where that is not plain."""

    kind: str
    gold: str
    answer: str
    equal: bool
    why: str = ""


def read_key() -> list[Entry]:
    """All entries; a line of the file is one."""
    return [Entry(**json.loads(line)) for line in KEY_FILE.read_text("utf-8").splitlines()]


def math_verify(gold: str, answer: str, seconds: int | None = 5) -> bool:
    """`parse` and `verify` with math-verify's defaults; its time limit only where None is not asked for."""
    from math_verify import parse, verify  # noqa: PLC0415

    read = [parse(text if "$" in text else f"${text}$", parsing_timeout=seconds) for text in (gold, answer)]
    return bool(verify(*read, timeout_seconds=seconds))
