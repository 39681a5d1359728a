"""Comparisons of candidates, right and wrong ones and such as choose nothing; and summaries of them.

The seed and the candidates, in whatever order, say which kind a comparison is. Some go by the place and not by the
candidate, as those of real judges do.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from omr_kedro.offline_model.replies import Reply
from omr_kedro.offline_model.rules_judge import same_answer, same_problem
from omr_kedro.offline_model.rules_solve import worked_problems
from omr_kedro.text import Unreadable
from omr_kedro.text.boxes import final_box
from omr_kedro.text.candidates import shown_candidates
from omr_kedro.text.choices import parse_choice

_KINDS = ("right", "slip", "right", "last", "none", "right", "several", "right", "last", "cut")
_SUMMARIES = ("whole", "other choice", "whole", "no choice")


def select(problem: str, candidates: str, seed: int) -> Reply:
    """The reply of the stage: what each candidate finds, and a choice."""
    shown = shown_candidates(candidates)
    if not shown:
        return Reply("I see no candidate.")
    answers = {number: final_box(text) or "" for number, text in shown.items()}
    kind = _KINDS[(sum(zlib.crc32(text.encode("utf-8", "replace")) for text in shown.values()) + seed) % len(_KINDS)]
    found = [f"Candidate {number} finds ${answer}$." for number, answer in answers.items()]
    look = "I go through the steps of each, and put its answer back into the problem."
    told = "\n\n".join([" ".join(found), look])
    if kind == "cut":
        return Reply(told, finish_reason="length")
    if kind == "none":
        return Reply(f"{told}\n\nThey all look good to me.")
    right = _right(problem, answers)
    other = next((number for number, answer in answers.items() if answer != answers[right]), right)
    choice = {"last": str(len(shown)), "several": "1 or 2", "slip": str(other)}.get(kind, str(right))
    return Reply(f"{told}\n\nCandidate {choice} makes no slip.\n\nJudgment: {choice}", f"{look} {' '.join(found)}")


def summarise_selection(problem: str, candidates: str, comparison: str, seed: int) -> Reply:
    """The reply of the stage: the comparison without its detours; or with another choice, or with none."""
    del problem
    count = len(shown_candidates(candidates))
    choice = parse_choice(comparison, count)
    kind = _SUMMARIES[(zlib.crc32(comparison.encode("utf-8", "replace")) + seed) % len(_SUMMARIES)]
    if not count or isinstance(choice, Unreadable) or kind == "no choice":
        return Reply("The candidates part ways in one step, and only one of them has it right.")
    number = choice if kind == "whole" else choice % count + 1
    return Reply(f"The candidates part ways in one step, which candidate {number} has right.\n\nJudgment: {number}")


def _right(problem: str, answers: Mapping[int, str]) -> int:
    """The number of the first candidate with the right answer; that of the first one where the rules know none."""
    worked = next((each for each in worked_problems() if same_problem(each.problem, problem)), None)
    found = (number for number, answer in answers.items() if worked and same_answer(worked.answer, answer))
    return next(found, 1)
