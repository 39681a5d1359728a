"""Summaries of solutions, good ones and such as must not be kept; the seed says which."""

from __future__ import annotations

import re
import zlib

from omr_kedro.offline_model.replies import Reply
from omr_kedro.text.boxes import final_box, find_boxes

_THOUGHT = re.compile(r"\A.*<\s?/think>", re.DOTALL | re.IGNORECASE)
"""A prompt sets marks in its fields apart: `< /think>`."""
_KINDS = ("whole", "other box", "short", "no box")


def summarise(problem: str, solution: str, seed: int) -> Reply:
    """The reply of the stage: the solution's final text, as a whole or its end; or with another box, or without one."""
    del problem
    steps = _THOUGHT.sub("", solution).strip()
    answer = final_box(steps)
    kind = _KINDS[(zlib.crc32(solution.encode()) + seed) % len(_KINDS)]
    if answer is None or kind == "no box":
        return Reply(_without_boxes(steps))
    if kind == "short":
        return Reply(f"Put together, the steps lead to $\\boxed{{{answer}}}$.")
    box = answer if kind == "whole" else f"{answer} + 1"
    return Reply(f"{_without_boxes(steps)}\n\nSo the answer is $\\boxed{{{box}}}$.")


def _without_boxes(text: str) -> str:
    """The paragraphs before the first one with a box."""
    boxes = find_boxes(text)
    return text[: text.rfind("\n\n", 0, boxes[0].start) + 1].strip() if boxes else text
