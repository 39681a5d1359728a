from __future__ import annotations

import pickle
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from omr_kedro.shards import BadInputError
from omr_kedro.text import TokenCounter
from tests.support.dumps import prose, thread
from tests.support.tokenizers import TOKENIZERS, tokenizer_file


@pytest.fixture(scope="module", params=TOKENIZERS)
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tokenizer_file(request.param, tmp_path_factory.mktemp("tokenizer"))


_TEXTS = st.one_of(
    st.text(max_size=300),
    st.text("ab12 .\n\r\t$\\{}<|>imstar_é数\u0958\u1d160", max_size=300),
    st.integers(0, 2000).map(lambda number: str(thread(number)["original_question"])),
)


@given(text=_TEXTS)
def test_no_text_has_more_tokens_than_its_bound(file: Path, text: str) -> None:
    counter = TokenCounter(file, "test")
    assert counter.count(text) <= counter.bound(text)


@cache
def loaded(file: Path) -> Tokenizer:
    return Tokenizer.from_file(str(file))


@given(text=_TEXTS)
def test_counts_are_those_of_the_tokenizer_itself(file: Path, text: str) -> None:
    own = loaded(file).encode(text, add_special_tokens=False)
    assert TokenCounter(file, "test").count(text) == len(own.ids)


@given(text=st.text(max_size=200))
def test_normalisation_may_lengthen_a_text_and_the_bound_knows(file: Path, text: str) -> None:
    longer = text + "\u0958" * 20  # one sign that NFC writes as two
    assert TokenCounter(file, "test").count(longer) <= TokenCounter(file, "test").bound(longer)


def test_special_tokens_written_by_people_count_as_the_model_reads_them(file: Path) -> None:
    counter = TokenCounter(file, "test")
    assert counter.count("<|im_start|>") == 1
    assert counter.count("a<|im_start|>b") == 3


def test_the_fast_way_is_used_where_it_is_exact(file: Path) -> None:
    from omr_kedro.text import tokens  # noqa: PLC0415

    assert "by_ranks" in tokens._load(file).count.__qualname__


def test_without_a_tokenizer_a_token_is_a_byte() -> None:
    counter = TokenCounter(None, "bytes")
    assert counter.count("aé数") == counter.bound("aé数") == 6


def test_a_tokenizer_of_another_kind_is_asked_itself(tmp_path: Path) -> None:
    words = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "tokenizer.json"))
    counter = TokenCounter(tmp_path / "tokenizer.json", "words")
    assert counter.count("a bbbbbb") == counter.bound("a bbbbbb") == 2


def test_a_counter_travels_to_another_process_and_its_digest_is_the_files(file: Path, tmp_path: Path) -> None:
    counter = pickle.loads(pickle.dumps(TokenCounter(file, "test")))
    assert counter.count("prove that") > 0
    copy = tmp_path / "other.json"
    copy.write_bytes(file.read_bytes())
    assert TokenCounter(copy, "copy").digest == counter.digest
    assert TokenCounter(None, "bytes").digest != counter.digest


def test_a_file_that_is_no_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BadInputError, match=r"tokenizer\.json cannot be read"):
        TokenCounter(tmp_path / "tokenizer.json", "broken").count("a")


def test_long_posts_are_counted_alike(file: Path) -> None:
    import random  # noqa: PLC0415

    text = prose(random.Random(5), 60_000)
    assert TokenCounter(file, "t").count(text) == len(Tokenizer.from_file(str(file)).encode(text).ids)


def test_without_a_tokenizer_a_token_is_a_byte_or_by_estimate_several() -> None:
    exact, estimated = TokenCounter(None, "bytes"), TokenCounter(None, "estimated", 3.0)
    assert (exact.count("four"), estimated.count("four"), estimated.bound("four")) == (4, 2, 2)
    assert estimated.count("") == 0
    assert len({exact.digest, estimated.digest, TokenCounter(None, "estimated", 4.0).digest}) == 3
