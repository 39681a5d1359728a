"""The gold rows of the exam in data/01_raw/exam: their form, their balance, and that no model was shown one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
import yaml

from omr_kedro.offline_model.rules_solve import worked_problems
from omr_kedro.text import Document, NearDuplicateOptions, math_tokens, near_duplicates, parse_problems
from omr_kedro.text.ngrams import NGramIndex, containment
from tests.support import recall

ROOT = Path(__file__).parents[2]
RAW = ROOT / "data/01_raw"
PROMPTS = ROOT / "conf/base/prompts"
LABELS = ("proof", "mcq", "binary", "invalid")
LONG, SHORTEST = 13, 8
"""Tokens of the runs that texts are searched for, and of the shortest text that is; as in `retrieval`."""
ALIKE = 0.6
"""Jaccard index of near-duplicates: below that of the pipeline, since a gold row must not be a rewritten one either."""
MOST_SHARED = 0.5
"""Share of the long runs of either text from which on it counts as taken out of the other."""
ANSWERS = ("answer", "reference_answer")
"""Keys of texts that pose nothing, and are like many others."""
Row = dict[str, Any]
Kinds = Mapping[str, Callable[[object], bool]]
"""Checks of a value's type, by key."""


def is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value == value.strip()


def is_text_or_null(value: object) -> bool:
    return value is None or is_text(value)


def is_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(is_text, value))


def is_bool(value: object) -> bool:
    return isinstance(value, bool)


def is_indices(value: object) -> bool:
    return isinstance(value, list) and all(type(index) is int and index >= 0 for index in value)


def is_labels(value: object) -> bool:
    return isinstance(value, dict) and tuple(value) == LABELS and all(map(is_bool, value.values()))


class Gold(NamedTuple):
    """The form of a gold file."""

    asked: Kinds
    """Keys that a model is asked with."""
    outcome: Kinds
    """Keys that say which outcome is right."""
    classes: Callable[[Row], Iterable[str]]
    """The classes that a row counts for in the balance of its file."""
    least_of_class: int
    least: int = 60
    agrees: Callable[[Row], bool] = lambda row: True
    """Whether the parts of a row's outcome agree with each other."""


def two_classes(of: Callable[[Row], bool]) -> Callable[[Row], Iterable[str]]:
    return lambda row: [str(of(row))]


def number_of_statements(row: Row) -> list[str]:
    return [("none", "one", "several")[min(len(row["statements"]), 2)]]


def labels_of(row: Row) -> list[str]:
    return [label for label, holds in row["labels"].items() if holds] or ["none"]


THREAD: Kinds = {"problem": is_text, "forum_post": is_text, "forum_discussions": is_text}
ANSWER: Kinds = {"answer": is_text_or_null, "accept": is_texts}
GOLD = {
    "extract_problems": Gold({"forum_post": is_text}, {"statements": is_texts}, number_of_statements, 12),
    "classify_problems": Gold({"problem": is_text}, {"labels": is_labels}, labels_of, 30, least=150),
    "extract_answers": Gold(
        THREAD,
        ANSWER,
        two_classes(lambda row: row["answer"] is None),
        15,
        agrees=lambda row: row["answer"] is not None or not row["accept"],
    ),
    "convert_proofs": Gold(
        THREAD,
        {"convertible": is_bool, **ANSWER},
        two_classes(lambda row: row["convertible"]),
        20,
        agrees=lambda row: row["convertible"] == (row["answer"] is not None),
    ),
    "decontaminate": Gold(
        {"problem": is_text, "benchmark_problem": is_text},
        {"same": is_bool},
        two_classes(lambda row: row["same"]),
        50,
        least=150,
    ),
    "judge_answers": Gold(
        {"problem": is_text, "reference_answer": is_text, "answer": is_text},
        {"same": is_bool},
        two_classes(lambda row: row["same"]),
        20,
    ),
    "summarise_solutions": Gold(
        {"problem": is_text, "reasoning": is_text, "solution": is_text},
        {"predicted_answer": is_text},
        lambda row: [],
        0,
    ),
    "select_solutions": Gold(
        {"problem": is_text, "candidates": is_texts},
        {"right": is_indices, "expected_answer": is_text},
        lambda row: [],
        0,
        agrees=lambda row: set(row["right"]) <= set(range(len(row["candidates"]))),
    ),
}
PRESENT = sorted(path.stem for path in (RAW / "exam").glob("*.jsonl"))
EVERY_FILE = pytest.mark.parametrize("stage", PRESENT)


def rows_of(path: Path) -> list[Row]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def gold_rows(stage: str) -> list[Row]:
    return rows_of(RAW / "exam" / f"{stage}.jsonl")


def texts_in(value: object) -> Iterator[str]:
    """All texts in a value of JSON or YAML, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from texts_in(list(value.values()))
    elif isinstance(value, list):
        for part in value:
            yield from texts_in(part)


def pieces(texts: Iterable[str]) -> list[str]:
    """All texts and their lines, since a problem may stand in a line of a post; lines of a few words say nothing."""
    found = dict[str, None]()
    for text in texts:
        lines = (line.strip() for line in text.splitlines())
        found |= dict.fromkeys([text, *(line for line in lines if len(math_tokens(line)) >= SHORTEST)])
    return list(found)


class Shown(NamedTuple):
    """Pieces of texts that a model was shown, or that measure whether benchmarks are found."""

    texts: list[str]
    tokens: list[list[str]]
    runs: NGramIndex


@cache
def shown() -> Shown:
    """Prompts with their examples, example threads and benchmarks, the offline model's problems, the recall set."""
    prompts = [yaml.safe_load(path.read_text("utf-8")) for path in sorted(PROMPTS.glob("*.yml"))]
    examples = [rows_of(path) for path in sorted(RAW.glob("example_*.jsonl"))]
    solved = [worked.problem for worked in worked_problems()]
    texts = pieces([*texts_in([prompts, examples, solved]), *(item.text for item in recall.items())])
    tokens = [math_tokens(text) for text in texts]
    return Shown(texts, tokens, NGramIndex(tokens, LONG, SHORTEST))


def leaks(texts: Iterable[str]) -> list[tuple[str, str]]:
    """Pieces of texts, each with the shown piece that it is like, other numbers or not, or has half its runs from."""
    new = pieces(texts)
    return [*_alike(new), *_overlapping(new)]


def _alike(new: Sequence[str]) -> Iterator[tuple[str, str]]:
    ranked = list(enumerate([shown().texts, new]))
    documents = [Document(f"{rank} {place}", text, rank) for rank, of in ranked for place, text in enumerate(of)]
    text_of = {document.id: document.text for document in documents}
    options = NearDuplicateOptions(threshold=ALIKE, same_mathematics=False)
    for name, match in near_duplicates(lambda: documents, options).items():
        if name.startswith("1") and match.representative.startswith("0"):
            yield text_of[name], text_of[match.representative]


def _overlapping(new: Sequence[str]) -> Iterator[tuple[str, str]]:
    for text in new:
        tokens = math_tokens(text)
        for hit in shown().runs.search(tokens, 5):
            held = containment(tokens, shown().tokens[hit.index], LONG)
            if max(held, hit.containment) >= MOST_SHARED:
                yield text, shown().texts[hit.index]


def repeated(stage: str, rows: Sequence[Row]) -> dict[str, str]:
    """Rows that ask almost the same as another one, by id, as the pipeline itself finds duplicates."""
    asked = list(GOLD[stage].asked)
    documents = [Document(row["id"], "\n".join(texts_in([row[name] for name in asked]))) for row in rows]
    return {name: match.representative for name, match in near_duplicates(lambda: documents).items()}


def malformed(stage: str, row: Row) -> list[str]:
    """Names of the keys of a row that are missing, too many, or of another type."""
    kinds = {"id": is_text, "trap": is_text, "why": is_text, **GOLD[stage].asked, **GOLD[stage].outcome}
    return sorted(name for name in {*kinds, *row} if name not in row or name not in kinds or not kinds[name](row[name]))


def test_every_file_is_of_a_stage_that_asks() -> None:
    assert set(PRESENT) <= set(GOLD)
    assert {"extract_problems", "classify_problems"} <= set(PRESENT)


@EVERY_FILE
def test_rows_have_the_keys_and_types_of_their_stage(stage: str) -> None:
    assert not {row["id"]: wrong for row in gold_rows(stage) if (wrong := malformed(stage, row))}


@EVERY_FILE
def test_the_parts_of_an_outcome_agree(stage: str) -> None:
    assert [row["id"] for row in gold_rows(stage) if not GOLD[stage].agrees(row)] == []


@EVERY_FILE
def test_ids_name_the_stage_and_are_unique(stage: str) -> None:
    ids = [row["id"] for row in gold_rows(stage)]
    assert [name for name in ids if not re.fullmatch(rf"{stage}-\d{{3}}", name)] == []
    assert [name for name, times in Counter(ids).items() if times > 1] == []


@EVERY_FILE
def test_each_row_has_a_trap_in_one_word_and_a_reason_in_one_line(stage: str) -> None:
    rows = gold_rows(stage)
    assert [row["trap"] for row in rows if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row["trap"])] == []
    assert [row["id"] for row in rows if "\n" in row["why"] or len(row["why"].split()) < 2] == []


@EVERY_FILE
def test_a_file_has_enough_rows_and_enough_of_each_class(stage: str) -> None:
    rows = gold_rows(stage)
    classes = Counter(name for row in rows for name in GOLD[stage].classes(row))
    assert len(rows) >= GOLD[stage].least
    assert {name: count for name, count in classes.items() if count < GOLD[stage].least_of_class} == {}
    assert len(classes) != 1


@EVERY_FILE
def test_no_row_asks_almost_the_same_as_another(stage: str) -> None:
    assert repeated(stage, gold_rows(stage)) == {}


@EVERY_FILE
def test_no_row_was_shown_to_a_model(stage: str) -> None:
    asked = [row[name] for row in gold_rows(stage) for name in GOLD[stage].asked if name not in ANSWERS]
    assert leaks(texts_in(asked)) == []


def test_every_label_has_its_near_misses() -> None:
    labels = Counter(name for row in gold_rows("classify_problems") for name in labels_of(row))
    assert set(labels) == {*LABELS, "none"}


def test_the_stages_own_parser_reads_gold_statements_back() -> None:
    for row in gold_rows("extract_problems"):
        statements = row["statements"]
        reply = "\n\n".join(f"Problem {number}:\n{text}" for number, text in enumerate(statements, 1))
        assert parse_problems(reply or "No problems identified.") == tuple(statements), row["id"]


@pytest.mark.parametrize(
    "planted",
    [
        pytest.param(
            "Which of the integers between 300 and 400 leave remainder 5 on division by both 8 and 11?", id="a prompt's"
        ),
        pytest.param(
            "which of the integers between $500$ and $600$ leave remainder $5$ on division by both 8 and 11?",
            id="other numbers",
        ),
        pytest.param(
            "Which integers between 300 and 400 leave the remainder 5 on division by both 8 and 11?", id="rewritten"
        ),
        pytest.param("Does there exist a positive integer $n$ such that $n^2+n+1$ is divisible by 5?", id="a thread's"),
        pytest.param("Find the sum of all positive divisors of $360$.", id="a benchmark's"),
        pytest.param(worked_problems()[3].problem, id="a worked one"),
        pytest.param(recall.bases()[0]["light_paraphrase"], id="a paraphrase of the recall set"),
        pytest.param(f"Hi all! {recall.bases()[1]['problem']} I have no idea, please help me.", id="within a post"),
    ],
)
def test_a_row_that_is_shown_somewhere_is_found(planted: str) -> None:
    own = gold_rows("classify_problems")[0]["problem"]
    assert {text for text, _ in leaks([own, planted])} == {planted}


def test_a_row_that_repeats_another_is_found() -> None:
    rows = gold_rows("classify_problems")
    again = rows[4] | {"id": "classify_problems-999", "problem": "  " + rows[4]["problem"].upper()}
    assert repeated("classify_problems", [*rows, again]) == {again["id"]: rows[4]["id"]}


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"labels": {"proof": True}}, ["labels"]),
        ({"labels": dict.fromkeys(LABELS, 1)}, ["labels"]),
        ({"problem": " "}, ["problem"]),
        ({"note": "kept"}, ["note"]),
    ],
)
def test_a_malformed_row_is_found(change: Row, wrong: list[str]) -> None:
    row = gold_rows("classify_problems")[0]
    assert malformed("classify_problems", row) == []
    assert malformed("classify_problems", row | change) == wrong
