"""The example threads and benchmarks, and the path of a problem through the rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from omr_kedro.answers import parse_answer
from omr_kedro.offline_model.rules_answers import extract_answer
from omr_kedro.offline_model.rules_classify import is_binary, is_invalid, is_mcq, is_proof
from omr_kedro.offline_model.rules_convert import convert
from omr_kedro.offline_model.rules_extract import problems_in
from omr_kedro.offline_model.rules_judge import same_problem
from omr_kedro.text import parse_conversion

ROOT = Path(__file__).parents[2]
PROMPTS = ROOT / "conf/base/prompts"
KINDS = {"proof": is_proof, "mcq": is_mcq, "binary": is_binary, "invalid": is_invalid}


def read(name: str) -> list[dict[str, Any]]:
    lines = (ROOT / "data/01_raw" / name).read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


THREADS = read("example_threads.jsonl")
BENCHMARKS = [row["problem"] for row in read("example_benchmarks.jsonl")]


class Fate(NamedTuple):
    """What becomes of a problem."""

    problem: str
    kind: str
    answer: str | None
    contaminated: bool


def kind_of(problem: str) -> str:
    """The first label that holds, in the pipeline's order of asking."""
    return next((kind for kind, holds in KINDS.items() if holds(problem)), "open")


def fates(thread: dict[str, Any]) -> list[Fate]:
    """What becomes of each problem of a thread."""
    return [_fate(problem, thread) for problem in problems_in(thread["forum_post"])]


def _fate(problem: str, thread: dict[str, Any]) -> Fate:
    kind, answer = kind_of(problem), None
    if kind == "open":
        found = parse_answer(extract_answer(problem, thread["forum_post"], thread["forum_discussions"]))
        assert found is None or isinstance(found, str)
        answer = found
    if kind == "proof":
        question = parse_conversion(convert(problem))
        kind, problem = ("converted", question) if isinstance(question, str) else (kind, problem)
    return Fate(problem, kind, answer, any(same_problem(problem, known) for known in BENCHMARKS))
