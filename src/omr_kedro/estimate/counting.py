"""How many tokens a prompt has: by the model's own tokenizer where it is at hand, else from bytes.

What the server counted for calls that were made before corrects the count of those that are to be made.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import constants
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from omr_kedro.llm.calls import Message
from omr_kedro.llm.calls.token_estimate import ERROR, TOKENS_PER_MESSAGE, TOKENS_TO_BEGIN, estimate_prompt_tokens
from omr_kedro.shards import OmrError
from omr_kedro.text import TokenCounter

FROM_BYTES = f"from bytes ±{ERROR:.0%}"
FROM_TOKENIZER = "tokenizer"
FROM_SERVER = "server's counts"

_FILE = "tokenizer.json"
_MOST = 1000
"""Prompts of a stage that a tokenizer is asked about; more are counted from bytes, corrected by these."""

Count = Callable[[list[Message]], int]


class TokenizerError(OmrError):
    """The tokenizer that the parameters name cannot be used."""


@dataclass
class _Correction:
    prompts: int = 0
    ours: float = 0
    theirs: float = 0

    def learn(self, ours: float, theirs: float) -> None:
        self.prompts += 1
        self.ours += ours
        self.theirs += theirs


class PromptCounter:
    """Counts the prompts of one stage."""

    def __init__(self, tokenizer: Count | None, few: int) -> None:
        self._tokenizer = tokenizer
        self._few = few
        self._by_tokenizer = _Correction()
        self._by_server = _Correction()

    def count(self, messages: list[Message], server: int = 0) -> float:
        """Tokens from bytes, to be multiplied by `factor` once all are counted.

        Args:
            messages: the prompt.
            server: tokens that a server has counted for it, if one has.
        """
        ours = estimate_prompt_tokens(messages)
        if server:
            self._by_server.learn(ours, server)
        if self._tokenizer and self._by_tokenizer.prompts < _MOST:
            self._by_tokenizer.learn(ours, self._tokenizer(messages))
        return ours

    @property
    def factor(self) -> float:
        """True tokens for each that was counted from bytes."""
        best = self._best()
        return best.theirs / best.ours if best else 1.0

    @property
    def how(self) -> str:
        """Kind of figures that the count rests on."""
        best = self._best()
        if best is None:
            return FROM_BYTES
        return FROM_SERVER if best is self._by_server else FROM_TOKENIZER

    def _best(self) -> _Correction | None:
        if self._by_server.prompts >= self._few:
            return self._by_server
        return self._by_tokenizer if self._by_tokenizer.prompts else None


def find_tokenizer(model: str, given: str | None) -> Count | None:
    """The function that counts a model's tokens on this machine; None where nothing does. Nothing is downloaded.

    Raises:
        TokenizerError: `given` names none.
        BadInputError: (when it first counts) the file is no tokenizer.
    """
    path = _given(given) if given else _cached(model)
    if path is None:
        return None
    tokens = TokenCounter(path, model)
    render = _template(path.parent)

    def count(messages: list[Message]) -> int:
        if render:
            return tokens.count(render(messages))
        return sum(tokens.count(message["content"]) + TOKENS_PER_MESSAGE for message in messages) + TOKENS_TO_BEGIN

    return count


def _given(given: str) -> Path:
    path = Path(given)
    path = path / _FILE if path.is_dir() else path
    if not path.is_file():
        raise TokenizerError(f"estimate.tokenizer: there is no file {path}.")
    return path


def _cached(model: str) -> Path | None:
    snapshots = Path(constants.HF_HUB_CACHE) / f"models--{model.replace('/', '--')}" / "snapshots"
    candidates = [Path(model) / _FILE, *sorted(snapshots.glob(f"*/{_FILE}"))]
    return next((path for path in candidates if path.is_file()), None)


def _template(folder: Path) -> Callable[[list[Message]], str] | None:
    """The chat template of a model's folder as a function; None where it has none."""
    config, beside = folder / "tokenizer_config.json", folder / "chat_template.jinja"
    fields: dict[str, Any] = json.loads(config.read_text("utf-8")) if config.is_file() else {}
    text = beside.read_text("utf-8") if beside.is_file() else fields.get("chat_template")
    if not isinstance(text, str):
        return None
    # As Hugging Face's own library renders it; a model's template is somebody else's code.
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    template = environment.from_string(text)
    marks = {name: _mark(fields.get(name)) for name in ("bos_token", "eos_token")}
    return lambda messages: template.render(messages=messages, add_generation_prompt=True, **marks)


def _mark(value: Any) -> str:
    return str(value.get("content", "")) if isinstance(value, dict) else str(value or "")
