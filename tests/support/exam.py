"""Gold rows of tests, and a model on loopback that knows them and answers as a test says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from omr_kedro.exam.gold import FILE_OF, GOLD
from omr_kedro.llm.calls import Prompt
from omr_kedro.offline_model.stages import load_prompts
from omr_kedro.shards import Row
from omr_kedro.text.candidates import show_candidates
from omr_kedro.text.old_macros import without_old_macros
from tests.support.chat_server import ChatServer
from tests.support.project import ROOT

PROMPTS = {prompt.name: prompt for prompt in load_prompts(ROOT / "conf/base/prompts")}
STAGES = tuple(FILE_OF)
_PROMPT_OF = {
    "decontaminate": "judge_contamination",
    "judge_answers": "judge_answer",
    "summarise_solutions": "summarise_solution",
    "select_solutions": "select_solution",
}
Say = Callable[[str, Row], str]
"""The reply of a model to a question of a stage about a gold row."""


def gold_file(stage: str) -> str:
    """The file whose rows a stage is asked about."""
    return FILE_OF[stage]


def gold_rows(file: str, count: int = 4) -> list[Row]:
    """Rows of a file, of every class in turn."""
    return [_row(file, number) for number in range(1, count + 1)]


def _row(file: str, number: int) -> Row:
    one, text = number % 2 == 0, f"Find the number of ways to tile a strip of {number} squares."
    by_file: dict[str, Row] = {
        "extract_problems": {
            "forum_post": f"Hello! {text}\nAlso the same of {number + 1} circles.",
            "statements": [[], [text], [text, f"Find the area of {number + 1} circles."]][number % 3],
        },
        "classify_problems": {"labels": dict.fromkeys(("proof", "mcq", "binary", "invalid"), one)},
        "extract_answers": {
            "forum_post": text,
            "forum_discussions": f"Post 1:\nIs it {number}?",
            "answer": str(number) if one else None,
            "accept": [],
        },
        "convert_proofs": {"problem": f"Prove that {number} divides {2 * number}.", "convertible": one},
        "decontaminate": {"benchmark_problem": f"Count tilings of a strip of {number} squares.", "same": one},
        "judge_answers": {"reference_answer": str(number), "answer": f"{number}, {number}", "same": one},
        "summarise_solutions": {
            "reasoning": f"Let me see, it is {number}.",
            "solution": f"It is $\\boxed{{{number}}}$.",
            "predicted_answer": str(number),
        },
        "select_solutions": {
            "candidates": [f"It is $\\boxed{{{number + place}}}$." for place in range(3)],
            "right": [number % 3],
            "expected_answer": str(number + number % 3),
        },
    }
    return {
        "id": f"{file}-{number:03}",
        "trap": "plain",
        "why": "It is so by its making.",
        "problem": text,
        **by_file[file],
    }


def write_gold(folder: Path, rows: Mapping[str, Sequence[Row]]) -> None:
    """Write files of gold rows where a project looks for them."""
    place = folder / "data/01_raw/exam"
    place.mkdir(parents=True, exist_ok=True)
    for file, each in rows.items():
        (place / f"{file}.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in each))


def right(stage: str, row: Row) -> str:
    """The right reply."""
    match stage.partition("_"):
        case ("classify", _, label):
            return label if row["labels"][label] else f"not {label}"
    match stage:
        case "extract_problems":
            stated = [f"Problem {number}:\n{text}" for number, text in enumerate(row["statements"], 1)]
            return "\n\n".join(stated) or "No problems identified."
        case "extract_answers":
            return "Answer not found." if row["answer"] is None else f"Post 1 says so.\nAnswer: {row['answer']}"
        case "convert_proofs":
            return f"Problem: Find the best value in: {row['id']}." if row["convertible"] else "Not convertible."
        case "decontaminate":
            return str(row["same"])
        case "judge_answers":
            return "same" if row["same"] else "different"
        case "select_solutions":
            return f"It holds.\n\nJudgment: {row['right'][0] + 1}"
        case "summarise_solutions":
            return f"We find $\\boxed{{{row['predicted_answer']}}}$."
    raise AssertionError(stage)


def questions(stage: str, row: Row) -> list[dict[str, str]]:
    """The values that the prompt of a stage is filled with for a gold row."""
    match stage:
        case "extract_problems":
            return [{"forum_post": without_old_macros(row["forum_post"])}]
        case "extract_answers":
            posts = {name: without_old_macros(row[name]) for name in ("forum_post", "forum_discussions")}
            return [{"problem": row["problem"], **posts}]
        case "decontaminate":
            pair = row["problem"], row["benchmark_problem"]
            return [{"problem": one, "benchmark_problem": other} for one, other in (pair, pair[::-1])]
        case "judge_answers":
            pair = row["reference_answer"], row["answer"]
            return [
                {"problem": row["problem"], "answer_a": one, "answer_b": other} for one, other in (pair, pair[::-1])
            ]
        case "select_solutions":
            return [{"problem": row["problem"], "candidates": show_candidates(row["candidates"])}]
        case "summarise_solutions":
            return [{"problem": row["problem"], "solution": f"{row['reasoning']}\n\n{row['solution']}"}]
    return [{"problem": row["problem"]}]


class Examinee(ChatServer):
    """Knows of each question which gold row it is about, and answers as `say` does. Use as a context manager.

    Args:
        gold: rows by file.
        say: the reply; right unless a test says otherwise.
    """

    def __init__(self, gold: Mapping[str, Sequence[Row]], say: Say = right) -> None:
        super().__init__(self._answers)
        self.say = say
        self.asked: list[str] = []
        """The stage of each question that arrived."""
        self._known: dict[bytes, tuple[str, Row]] = {}
        for stage in STAGES:
            prompt = PROMPTS[prompt_of(stage)]
            for row in gold.get(gold_file(stage), ()):
                for values in questions(stage, row):
                    self._known[_key(prompt.messages(**values))] = stage, row
        self._systems = {prompt.system: stage for stage in STAGES for prompt in [PROMPTS[prompt_of(stage)]]}

    def _answers(self, body: dict[str, Any]) -> str:
        if body["messages"][0]["content"] not in self._systems:
            # A prompt that a test has changed: it ends as the one of the files does.
            stage, row = self._by_ending(body["messages"][-1]["content"])
        else:
            stage, row = self._known[_key(body["messages"])]
        self.asked.append(stage)
        return self.say(stage, row)

    def _by_ending(self, text: str) -> tuple[str, Row]:
        return next(found for key, found in self._known.items() if orjson.loads(key)[1] == text)


def prompt_of(stage: str) -> str:
    """Name of the prompt that a stage asks with."""
    return _PROMPT_OF.get(stage, stage)


def _key(messages: Sequence[Mapping[str, Any]]) -> bytes:
    return orjson.dumps([messages[0]["content"], messages[-1]["content"]])


def every_file(count: int = 4) -> dict[str, list[Row]]:
    """Rows of all files."""
    return {file: gold_rows(file, count) for file in GOLD}


def changed(prompt: Prompt) -> Prompt:
    """The prompt with another word to the model, and so with another hash."""
    return Prompt(prompt.name, prompt.user, f"{prompt.system} Take your time.", "", prompt.choices, prompt.examples)
