"""What retrieval finds of the problems that people post in other words; run with -s to see the shares."""

from __future__ import annotations

from pathlib import Path

from omr_kedro.text import EmbeddingRetriever, LexicalRetriever, normal_form
from tests.support.embeddings import encoder
from tests.support.recall import KINDS, NGramRetriever, bases, items, known, recall

ROOT = Path(__file__).parents[2]


def show(name: str, shares: dict[str, float]) -> None:
    print(f"\n{name:<12} recall@3  " + "  ".join(f"{kind} {shares[kind]:.3f}" for kind in KINDS), end="")


def test_the_set_is_large_and_no_prompt_knows_it() -> None:
    assert len(bases()) >= 60
    assert len(items()) >= 240
    assert len({normal_form(text) for text in known()}) == len(known())
    prompts = " ".join(path.read_text("utf-8") for path in (ROOT / "conf").rglob("prompts/*.yml"))
    shown = normal_form(prompts)
    assert not [item.text for item in items() if normal_form(item.text) in shown]


def test_shared_words_find_most_that_keeps_the_words() -> None:
    shares = recall(LexicalRetriever(known()))
    show("lexical", shares)
    assert shares["verbatim"] == 1
    for kind in ("light_paraphrase", "renumbered", "wrapped", "near_miss"):
        assert shares[kind] >= 0.95


def test_shared_passages_find_what_stands_in_a_context() -> None:
    for n, name in ((13, "13-grams"), (8, "8-grams")):
        shares = recall(NGramRetriever(known(), n))
        show(name, shares)
        assert shares["verbatim"] == shares["wrapped"] == 1


def test_embeddings_find_light_paraphrases_and_most_heavy_ones() -> None:
    shares = recall(EmbeddingRetriever(known(), encoder()))
    show("embedding", shares)
    assert shares["verbatim"] >= 0.98
    assert shares["light_paraphrase"] >= 0.98
    for kind in ("translated_notation", "renumbered", "wrapped", "near_miss"):
        assert shares[kind] >= 0.95
    assert shares["heavy_paraphrase"] >= 0.7
