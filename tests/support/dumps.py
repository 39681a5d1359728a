"""Forum dumps of any size, made up: threads of realistic shape, and tokenizers that are trained on them.

python -m tests.support.dumps FILE ROWS     (FILE ends in .parquet or .jsonl)
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

# How Qwen2 splits a text before it merges bytes (from its tokenizer.json).
_QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SYLLABLES = [
    "an",
    "be",
    "con",
    "de",
    "er",
    "for",
    "ge",
    "her",
    "in",
    "ka",
    "le",
    "mo",
    "ning",
    "or",
    "pro",
    "que",
    "re",
    "sol",
    "ti",
    "un",
    "ver",
    "wa",
    "xi",
    "yo",
    "zu",
]
_FORMULAS = (
    "$x^2+y^2={}$", "\\frac{{1}}{{{}}}", "$a_{{n+1}}=\\sqrt{{a_n+{}}}$", "$\\angle ABC = {}^\\circ$", "\\boxed{{{}}}",
    "$$\\sum_{{k=1}}^{{{}}} k^2$$", "$p \\equiv {} \\pmod 7$", "$\\triangle ABC$ with $AB={}$",
)  # fmt: skip
# As many as the posts of a forum use, by the law that frequencies of words follow (Zipf's).
_WORDS = 30_000
_SIGNS = ("≤", "√", "é", "–", "😀", "数", "π", "\u0958")

_QUESTION = pa.struct([("post_date", pa.string()), ("question_username_hash", pa.string())])
_ANSWER = pa.struct([("answer_date", pa.string()), ("thanks_received", pa.int64())])
SCHEMA = pa.schema(
    [
        ("original_question", pa.string()),
        ("rewritten_question", pa.string()),
        ("original_answers", pa.list_(pa.string())),
        ("rewritten_answers", pa.list_(pa.string())),
        ("metadata", pa.struct([("question_metadata", _QUESTION), ("answers_metadata", pa.list_(_ANSWER))])),
    ]
)
"""The columns of AoPS-Instruct's configuration `2024_not_decontaminated` that matter here, with some that do not."""


@cache
def _words() -> tuple[list[str], list[float]]:
    chance = random.Random(1)
    words = ["".join(chance.choices(_SYLLABLES, k=chance.randint(1, 4))) for _ in range(_WORDS)]
    return words, list(accumulate(1 / rank for rank in range(1, _WORDS + 1)))


def prose(chance: random.Random, chars: int) -> str:
    """Words, formulas, line ends and signs of other scripts, in frequencies like those of a forum."""
    words, weights = _words()
    pieces: list[str] = []
    size = 0
    for word in chance.choices(words, cum_weights=weights, k=chars // 5 + 1):
        draw = chance.random()
        if draw < 0.1:
            piece = chance.choice(_FORMULAS).format(chance.randint(1, 2000))
        elif draw < 0.105:
            piece = chance.choice(_SIGNS)
        else:
            piece = word + (".\n" if draw > 0.98 else "." if draw > 0.93 else "")
        pieces.append(piece)
        size += len(piece) + 1
        if size >= chars:
            break
    return " ".join(pieces)[:chars]


def _post(chance: random.Random) -> str:
    text = prose(chance, int(min(8000, max(50, chance.lognormvariate(5.86, 1.0)))))
    draw = chance.random()
    if draw < 0.35:
        quote = prose(chance, 80)
        for _ in range(min(6, 1 + int(chance.expovariate(1.0)))):
            tag = chance.choice(["[quote]", f'[quote="user{chance.randint(1, 99)}"]', "[QUOTE=user]"])
            quote = f"{tag}{prose(chance, chance.randint(20, 300))}{quote}[/quote]"
        return f"{quote}\n{text}"
    if draw < 0.36:
        return f"{text}[quote]unclosed {prose(chance, 60)}"
    return f"[/quote] stray {text}" if draw < 0.37 else text


def thread(number: int) -> dict[str, Any]:
    """One row of a dump; the same for the same number."""
    chance = random.Random(number)
    replies = min(60, int(chance.lognormvariate(1.61, 0.95))) if chance.random() > 0.02 else 0
    answers = [_post(chance) for _ in range(replies)]
    if chance.random() < 0.01:
        answers = [prose(chance, chance.randint(4000, 8000)) for _ in range(chance.randint(20, 60))]
    return {
        "original_question": prose(chance, chance.randint(80, 900)),
        "rewritten_question": "rewritten",
        "original_answers": answers,
        "rewritten_answers": ["rewritten"] * len(answers),
        "metadata": {
            "question_metadata": {"post_date": "2020-01-01", "question_username_hash": "1f"},
            "answers_metadata": [{"answer_date": "2020-01-02", "thanks_received": 1} for _ in answers],
        },
    }


def write_dump(path: Path, rows: int, row_group: int = 1000) -> Path:
    """Write a dump of this many rows, a row group at a time."""
    if path.suffix == ".parquet":
        with pq.ParquetWriter(path, SCHEMA, compression="zstd") as file:
            for start in range(0, rows, row_group):
                group = [thread(number) for number in range(start, min(rows, start + row_group))]
                file.write_table(pa.Table.from_pylist(group, SCHEMA))
    else:
        with path.open("w", encoding="utf-8") as lines:
            lines.writelines(json.dumps(thread(number), ensure_ascii=False) + "\n" for number in range(rows))
    return path


def train_tokenizer(path: Path, vocabulary: int = 3000, texts: Iterator[str] | None = None) -> Path:
    """A byte-level BPE tokenizer of Qwen2's build, with a small vocabulary."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>", "<|im_start|>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts or (thread(number)["original_question"] for number in range(500)), trainer)
    tokenizer.save(str(path))
    return path


if __name__ == "__main__":
    write_dump(Path(sys.argv[1]), int(sys.argv[2]))
