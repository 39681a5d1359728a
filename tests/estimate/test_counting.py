from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import constants
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from omr_kedro.estimate import counting
from omr_kedro.estimate.counting import (
    FROM_BYTES,
    FROM_SERVER,
    FROM_TOKENIZER,
    PromptCounter,
    TokenizerError,
    find_tokenizer,
)
from omr_kedro.llm.calls import Message
from omr_kedro.llm.calls.token_estimate import ERROR, estimate_prompt_tokens


def message(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]


def test_without_a_tokenizer_bytes_tell_with_a_stated_error() -> None:
    counter = PromptCounter(None, few=2)
    assert counter.count(message("word " * 60)) == estimate_prompt_tokens(message("word " * 60)) == 108
    assert (counter.factor, counter.how) == (1.0, FROM_BYTES)
    assert f"{ERROR:.0%}" in FROM_BYTES


def test_a_tokenizer_corrects_the_count_and_a_server_the_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_MOST", 3)
    asked = list[str]()

    def tokenizer(messages: list[Message]) -> int:
        asked.append(messages[0]["content"])
        return 2 * estimate_prompt_tokens(messages)

    counter = PromptCounter(tokenizer, few=2)
    ours = [counter.count(message(f"{'word ' * number} {number}")) for number in range(1, 6)]
    assert (sum(ours) * counter.factor, counter.how) == (2 * sum(ours), FROM_TOKENIZER)
    assert len(asked) == 3, "it is slow, so it sees only so many"
    counter.count(message("x"), server=30)
    assert counter.how == FROM_TOKENIZER, "one call says little"
    counter.count(message("x"), server=30)
    assert (counter.factor, counter.how) == (30 / estimate_prompt_tokens(message("x")), FROM_SERVER)


def test_a_tokenizer_that_is_not_there_is_named() -> None:
    with pytest.raises(TokenizerError, match=r"there is no file nowhere/tokenizer\.json"):
        find_tokenizer("m", "nowhere/tokenizer.json")
    assert find_tokenizer("nobody/has-this-model", None) is None


CHATML = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def write_tokenizer(folder: Path, template: str | None) -> Path:
    words = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = WhitespaceSplit()
    folder.mkdir(parents=True)
    words.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"chat_template": template, "bos_token": {"content": "<s>"}})
    )
    return folder


def test_a_tokenizer_counts_the_prompt_as_the_models_chat_template_writes_it(tmp_path: Path) -> None:
    count = find_tokenizer("m", str(write_tokenizer(tmp_path / "with", CHATML)))
    assert count
    assert count([{"role": "system", "content": "one two"}, {"role": "user", "content": "three"}]) == 4
    without = find_tokenizer("m", str(write_tokenizer(tmp_path / "without", None)))
    assert without
    assert without(message("three four")) == 2 + 5 + 3, "what a template puts around a message is estimated"


def test_a_model_in_the_cache_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tokenizer(tmp_path / "hub/models--some--model/snapshots/abc", CHATML)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    assert find_tokenizer("some/model", None)
