"""Vectors are those of the model's own library, in less time; search is exact, in blocks."""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path

import pytest

from omr_kedro.pipelines.decontaminate.nodes import RetrievalOptions
from omr_kedro.text import EmbeddingRetriever, Encoder, embedding
from omr_kedro.text.embedding import MissingExtraError, ModelUnavailableError, nearest
from tests.support.embeddings import encoder, model_folder
from tests.support.project import Project
from tests.support.recall import bases, items, known

TEXTS = [*(item.text for item in items()[:60]), "", " ", "x " * 700, "\ud800 half a pair", "数学"]


def test_without_the_extra_a_person_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "find_spec", lambda name: None)
    RetrievalOptions().check()
    for check in (RetrievalOptions(kind="embedding").check, lambda: Encoder("any")):
        with pytest.raises(MissingExtraError) as refused:
            check()
        for word in ('pip install "omr_kedro[embeddings]"', "retrieval.kind=lexical"):
            assert word in str(refused.value)


@pytest.mark.skipif(importlib.util.find_spec("sentence_transformers") is not None, reason="the extra is installed")
def test_without_the_extra_a_run_stops_before_any_work(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project")
    stopped = project.kedro("run", "--env", "offline", "--params=retrieval.kind=embedding")
    assert stopped.returncode == 1
    assert 'pip install "omr_kedro[embeddings]"' in stopped.stderr
    assert not (project.path / "data/02_intermediate").exists()


def test_vectors_are_those_of_the_models_own_library() -> None:
    folder = str(model_folder())
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 (may not be installed)

    texts = [text for text in TEXTS if "\ud800" not in text]
    expected = SentenceTransformer(folder, device="cpu").encode(texts, convert_to_tensor=True)
    exact, owners = encoder("float32").encode(texts)
    assert owners == list(range(len(texts)))
    assert float((exact * expected).sum(1).min()) > 0.99999


def test_bfloat16_is_used_where_the_processor_has_it_and_moves_vectors_little() -> None:
    fast, _ = encoder("bfloat16").encode(TEXTS)
    exact, _ = encoder("float32").encode(TEXTS)
    assert float((fast * exact).sum(1).min()) >= 0.999
    assert encoder().precision == ("bfloat16" if embedding._computes_bfloat16(encoder()._torch, "cpu") else "float32")


def test_a_vector_does_not_depend_on_its_neighbours() -> None:
    alone, _ = encoder("float32").encode(TEXTS[5:6])
    together, _ = encoder("float32").encode(TEXTS)
    assert float((alone[0] * together[5]).sum()) > 0.99999


def test_no_texts_have_no_vectors() -> None:
    vectors, owners = encoder().encode([])
    assert (len(vectors), owners) == (0, [])
    assert EmbeddingRetriever([], encoder()).search(["x"], k=3) == [[]]
    assert EmbeddingRetriever(["x"], encoder()).search([], k=3) == []


def test_a_problem_is_found_wherever_it_stands_in_a_text_that_is_too_long_for_the_model() -> None:
    chatter = "I have been thinking about this for days and asked everybody in my school. " * 40
    problems = [row["light_paraphrase"] for row in bases()[:12]]
    retriever = EmbeddingRetriever(known(), encoder())
    for before, after in (("", chatter), (chatter, chatter), (chatter, "")):
        found = retriever.search([f"{before} {problem} {after}" for problem in problems], k=3)
        assert all(len({hit.index for hit in hits}) == 3 for hits in found)
        hits = [place in {hit.index for hit in hits} for place, hits in enumerate(found)]
        assert sum(hits) >= 11


@pytest.mark.parametrize(("queries", "texts", "k"), [(7, 23, 3), (1, 1, 3), (5, 9, 9), (3, 4, 20)])
def test_blocks_find_what_a_full_comparison_finds(
    monkeypatch: pytest.MonkeyPatch, queries: int, texts: int, k: int
) -> None:
    model_folder()
    import torch  # noqa: PLC0415 (may not be installed)

    generator = torch.Generator().manual_seed(queries)
    ours, theirs = (torch.randn(count, 8, generator=generator) for count in (queries, texts))
    full = (ours @ theirs.T).sort(dim=1, descending=True).indices[:, :k].tolist()
    monkeypatch.setattr(embedding, "_QUERY_BLOCK", 2)
    monkeypatch.setattr(embedding, "_KNOWN_BLOCK", 4)
    assert [[hit.index for hit in hits] for hits in nearest(ours, theirs, k)] == full


def test_several_threads_may_search_at_once() -> None:
    retriever = EmbeddingRetriever(known()[:80], encoder())
    queries = [item.text for item in items()[:20]]
    expected = retriever.search(queries, k=2)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(retriever.search(queries, k=2))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


def test_a_model_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model_folder()
    with pytest.raises(ModelUnavailableError, match=r"model .*nothing cannot be loaded: .*HF_HOME"):
        Encoder(str(tmp_path / "nothing"))


def test_a_run_by_embeddings_removes_what_the_judge_finds(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project")
    project.run(retrieval={"kind": "embedding", "model": str(model_folder())})
    pairs = project.table("contamination")
    assert {pair["found_by"].replace("exact, ", "").replace(", ngram", "") for pair in pairs} <= {"embedding", "ngram"}
    assert {pair["rank"] for pair in pairs if pair["found_by"] == "embedding"} >= {1, 2, 3}
    assert len(project.table("contaminated_pairs")) == 2
