"""How many tokens a model's tokenizer makes of a text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

import tiktoken
from tokenizers import Tokenizer

from omr_kedro.shards import BadInputError
from omr_kedro.text.unicode import normalized

# Texts whose two counts must agree before the faster tokenizer is trusted: spaces, digits, case, accents, other
# scripts, formulas, line ends, contractions.
_PROBE = (
    "Prove that  $x^2+y^2=1234$\r\n\r\n\tisn't HOLDS; \\frac{1}{2}\u00a0\u2264 \u221a\u03c0 \u0415\u0441\u043b\u0438 "
    "\u6570\u5b66 e\u0301\u00e9 \U0001f600  they'LL we've 3.14159 [b]bold[/b]\n\n   \n x_{n+1} = x_n \u0958 end"
)


@dataclass(frozen=True)
class TokenCounter:
    """Counts tokens. Small and picklable: the tokenizer itself is loaded where it counts, once in each process.

    Without a file a token is a byte of UTF-8, which no byte-level BPE tokenizer exceeds, or by estimate several bytes.
    """

    file: Path | None
    """A `tokenizer.json`."""
    name: str
    """The model's name and revision, for people."""
    bytes_per_token: float = 1.0
    """Of a text, where there is no file."""

    @property
    def digest(self) -> str:
        """Changes when counts may change."""
        if self.file:
            return hashlib.sha256(self.file.read_bytes()).hexdigest()[:32]
        return "bytes" if self.bytes_per_token == 1 else f"bytes/{self.bytes_per_token:g}"

    def count(self, text: str) -> int:
        """Tokens of the text by itself, special tokens written in it counted as the model would read them.

        Raises:
            BadInputError: the file is no tokenizer.
        """
        return _load(self.file).count(text) if self.file else ceil(len(text.encode()) / self.bytes_per_token)

    def bound(self, text: str) -> int:
        """At least as many as `count`, and much cheaper where the tokenizer allows it.

        Each token of a byte-level BPE stands for one byte or more of the text in the form that the tokenizer gives it.
        """
        if self.file is None or not _load(self.file).is_byte_level:
            return self.count(text)
        if text.isascii():
            return len(text)
        size = len(text.encode())
        # NFC makes a sign at most three times as long (Unicode's FAQ on normalisation), ASCII none. All other
        # signs have two bytes or more, so together they have at most twice the bytes that exceed the characters.
        return size + 2 * 2 * (size - len(text))


@dataclass(frozen=True)
class _Loaded:
    count: Callable[[str], int]
    is_byte_level: bool


@cache
def _load(file: Path) -> _Loaded:
    # One after the other: each takes a hundred megabytes while it is read, and only one of them is kept.
    probed = _parse(file).count(_PROBE)
    spec = json.loads(file.read_text(encoding="utf-8"))
    is_byte_level = _is_byte_level(spec)
    fast = _counts_by_ranks(spec) if is_byte_level else None
    # Five times faster (`make bench`), and used only where it is the same tokenizer.
    if fast and fast(_PROBE) == probed:
        return _Loaded(fast, is_byte_level)
    return _Loaded(_parse(file).count, is_byte_level)


@dataclass(frozen=True)
class _Parsed:
    tokenizer: Tokenizer

    def count(self, text: str) -> int:
        return len(self.tokenizer.encode(text, add_special_tokens=False).ids)


def _parse(file: Path) -> _Parsed:
    try:
        return _Parsed(Tokenizer.from_file(str(file)))
    except Exception as error:  # the library raises plain Exceptions
        raise BadInputError(f"{file} cannot be read as a tokenizer (a tokenizer.json is expected): {error}") from error


def _is_byte_level(spec: dict[str, Any]) -> bool:
    """Whether every token stands for bytes of the text: byte-level BPE after no more than Unicode normalisation."""
    normalizer = spec.get("normalizer") or {}
    return (
        spec["model"].get("type") == "BPE"
        and normalizer.get("type") in {None, "NFC"}
        and any(step.get("type") == "ByteLevel" for step in _steps(spec))
        and not any(step.get("add_prefix_space") for step in _steps(spec))
    )


def _steps(spec: dict[str, Any]) -> list[dict[str, Any]]:
    step = spec.get("pre_tokenizer") or {}
    return step.get("pretokenizers", [step]) if step else []


def _counts_by_ranks(spec: dict[str, Any]) -> Callable[[str], int] | None:
    """The same tokenizer in tiktoken: by ranks of byte strings. None when merges are not in the order of their ids."""
    splits = [step for step in _steps(spec) if step.get("type") == "Split"]
    if len(splits) != 1 or splits[0].get("invert") or "Regex" not in splits[0]["pattern"]:
        return None
    if any(step.get("use_regex") for step in _steps(spec)):
        return None
    alphabet = {sign: byte for byte, sign in enumerate(_byte_signs())}
    added = {token["content"]: token["id"] for token in spec.get("added_tokens", [])}
    vocabulary = {token: rank for token, rank in spec["model"]["vocab"].items() if token not in added}
    if not all(sign in alphabet for token in vocabulary for sign in token):
        return None
    ranks = {bytes(alphabet[sign] for sign in token): rank for token, rank in vocabulary.items()}
    merges = (merge.split(" ") if isinstance(merge, str) else merge for merge in spec["model"]["merges"])
    merged = [vocabulary.get("".join(pair), -1) for pair in merges]
    if merged != sorted(merged) or len(ranks) != len(set(merged)) + len(alphabet):
        return None
    encoding = tiktoken.Encoding(
        "from tokenizer.json", pat_str=splits[0]["pattern"]["Regex"], mergeable_ranks=ranks, special_tokens=added
    )
    normal = (spec.get("normalizer") or {}).get("type")

    def count(text: str) -> int:
        if normal and not text.isascii():
            text = normalized(text, normal)
        # An array of numbers that are only counted costs less than a list of objects.
        return len(encoding.encode_to_numpy(text, allowed_special="all", disallowed_special=()))

    return count


def _byte_signs() -> list[str]:
    """The printable sign that byte-level BPE writes for each byte (GPT-2's table): itself, or one from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spare = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(spare)) for byte in range(256)]
