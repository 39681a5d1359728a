"""The hand-checked key of answers to problems: the same as the reference or not, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple


class Entry(NamedTuple):
    """A problem, its reference answer, and another answer."""

    kind: str
    problem: str
    reference: str
    answer: str
    same: bool
    why: str


def read_key() -> list[Entry]:
    """All entries; a line of the file is one."""
    lines = Path(__file__).with_name("judging_key.jsonl").read_text("utf-8").splitlines()
    return [Entry(**json.loads(line)) for line in lines]
