"""Texts as vectors, and the nearest of them: finds what is said in other words.

Needs the extra `embeddings`; nothing heavy is imported before an `Encoder` is made.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import groupby
from typing import Any

from omr_kedro.shards import OmrError
from omr_kedro.text.retrieval import Hit

Tensor = Any  # torch's, which is not there to be named unless the extra is installed

# Padded tokens that go through the model at once: more leave a CPU's caches, fewer leave a GPU idle.
_BATCH_TOKENS = {"cpu": 4096, "cuda": 131_072}
# Queries x known texts whose scores are in memory at once: 4 MB.
_QUERY_BLOCK, _KNOWN_BLOCK = 256, 4096
_BF16_FEATURES = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")


class MissingExtraError(OmrError):
    """The packages for embeddings are not installed."""


class ModelUnavailableError(OmrError):
    """The embedding model cannot be loaded."""


def check_installed() -> None:
    """Say what to install.

    Raises:
        MissingExtraError: sentence-transformers or torch is missing.
    """
    if missing := [name for name in ("sentence_transformers", "torch") if find_spec(name) is None]:
        raise MissingExtraError(
            f'`retrieval.kind: embedding` needs {" and ".join(missing)}: pip install "omr_kedro[embeddings]" '
            "(where there is no GPU, install torch's CPU build first: it is a tenth of the size). "
            "Without: --params=retrieval.kind=lexical, which finds fewer paraphrases."
        )


class Encoder:
    """A sentence-transformers model, run in batches of texts of like length. One thread at a time uses it.

    The transformer runs in bfloat16 where the device computes in it natively (the vectors stay within a cosine of 0.999
    of float32's; see benchmarks/retrieval.py), all that follows, as the model's own `modules.json` says, in float32.
    """

    def __init__(self, model: str, revision: str | None = None, device: str = "auto", precision: str = "auto") -> None:
        """Load the model.

        Args:
            model: name on the Hugging Face hub, or a folder.
            revision: commit of the hub's repository.
            device: `auto` (a GPU if there is one), `cpu`, `cuda`.
            precision: `auto`, `float32`, `bfloat16`, `float16`.

        Raises:
            MissingExtraError: the extra is not installed.
            ModelUnavailableError: there is no such model, or no network to fetch it.
        """
        check_installed()
        import torch  # noqa: PLC0415 (not in the core installation)

        self._torch = torch
        self.device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        self._model = _load(model, revision, self.device)
        self._tokenizer = self._model.tokenizer
        self.max_tokens = int(self._model.max_seq_length or self._tokenizer.model_max_length)
        native = _computes_bfloat16(torch, self.device)
        self.precision = ("bfloat16" if native else "float32") if precision == "auto" else precision
        self._model[0].to(getattr(torch, self.precision))
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str], *, windows: bool = False) -> tuple[Tensor, list[int]]:
        """Vectors of texts, in their order.

        Args:
            texts: any texts.
            windows: give a text that is too long for the model a vector for each window of `max_tokens`, which overlap
                by half, rather than one for its beginning.

        Returns:
            Vectors of length 1, float32, on the device; and the place of the text that each belongs to, ascending.
        """
        if not texts:
            return self._torch.empty((0, self._model.get_embedding_dimension())), []
        with self._lock:
            encodings, owners = self._tokenize(texts, windows)
            lengths = [len(ids) for ids in encodings["input_ids"]]
            order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
            vectors: Tensor = None
            for batch in _batches(order, lengths, _BATCH_TOKENS.get(self.device, _BATCH_TOKENS["cpu"])):
                made = self._forward({name: [column[place] for place in batch] for name, column in encodings.items()})
                if vectors is None:
                    vectors = made.new_empty((len(lengths), made.shape[1]))
                vectors[batch] = made
            return vectors, owners

    def _tokenize(self, texts: Sequence[str], windows: bool) -> tuple[dict[str, list[list[int]]], list[int]]:
        prompt = (self._model.prompts or {}).get(self._model.default_prompt_name or "", "")
        # A character that is half of a pair is none, and the tokenizer's library stops at it.
        clean = [(prompt + text).encode("utf-8", "replace").decode("utf-8") for text in texts]
        settings = {"truncation": True, "max_length": self.max_tokens, "padding": False, "verbose": False}
        if windows:
            settings |= {"return_overflowing_tokens": True, "stride": self.max_tokens // 2}
        encodings = dict(self._tokenizer(clean, **settings))
        owners = encodings.pop("overflow_to_sample_mapping", range(len(texts)))
        return encodings, [int(owner) for owner in owners]

    def _forward(self, encodings: dict[str, list[list[int]]]) -> Tensor:
        torch = self._torch
        with torch.inference_mode():
            features = dict(self._tokenizer.pad(encodings, return_tensors="pt").to(self.device))
            features = self._model[0](features)
            features["token_embeddings"] = features["token_embeddings"].float()
            for module in list(self._model)[1:]:
                features = module(features)
            return torch.nn.functional.normalize(features["sentence_embedding"].float(), dim=1)


class EmbeddingRetriever:
    """Nearest texts by cosine: exact, in blocks, whatever the number of known texts.

    A long query is compared window by window; of a known text that is too long for the model, its beginning counts.
    """

    def __init__(self, texts: Sequence[str], encoder: Encoder) -> None:
        self._encoder = encoder
        self._known, _ = encoder.encode(texts)

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """See `Retriever`; every known text shares something with every query."""
        if not (queries and len(self._known)):
            return [[] for _ in queries]
        vectors, owners = self._encoder.encode(queries, windows=True)
        found = zip(owners, nearest(vectors, self._known, k), strict=True)
        # The best k over all windows of a query are among the best k of each.
        return [_best([hit for _, hits in group for hit in hits], k) for _, group in groupby(found, key=lambda f: f[0])]


def nearest(queries: Tensor, known: Tensor, k: int) -> list[list[Hit]]:
    """The `k` known vectors with the largest dot product with each query; exact, ties by place.

    Args:
        queries: vectors, [m, d].
        known: vectors, [n, d], of the same type and on the same device.
        k: all of them, where it is more than n.
    """
    hits: list[list[Hit]] = []
    for start in range(0, len(queries), _QUERY_BLOCK):
        scores, places = _top(queries[start : start + _QUERY_BLOCK], known, k)
        rows = zip(places.tolist(), scores.tolist(), strict=True)
        hits += [_best([Hit(*pair) for pair in zip(*row, strict=True)], k) for row in rows]
    return hits


def _top(queries: Tensor, known: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Scores and places of the best `k`, block by block of known vectors."""
    import torch  # noqa: PLC0415 (not in the core installation)

    scores = queries.new_empty((len(queries), 0))
    places = scores.long()
    for start in range(0, len(known), _KNOWN_BLOCK):
        block = queries @ known[start : start + _KNOWN_BLOCK].T
        values, indices = block.topk(min(k, block.shape[1]))
        scores, places = torch.cat([scores, values], 1), torch.cat([places, indices + start], 1)
        scores, chosen = scores.topk(min(k, scores.shape[1]))
        places = places.gather(1, chosen)
    return scores, places


@contextmanager
def _explained(model: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the library raises what half a dozen others do
        reason = " ".join(str(error).split())[:300]
        raise ModelUnavailableError(
            f"The embedding model {model} cannot be loaded: {reason} Give `retrieval.model` as a name on the Hugging "
            "Face hub (and fetch it where there is a network, with HF_HOME on a disk that both see), or as a folder."
        ) from error


def _load(model: str, revision: str | None, device: str) -> Any:
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 (not in the core installation)
    from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415

    disable_progress_bar()
    with _explained(model):
        return SentenceTransformer(model, revision=revision, device=device).eval()


def _computes_bfloat16(torch: Any, device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    features = torch.cpu.get_capabilities() if device == "cpu" and hasattr(torch.cpu, "get_capabilities") else {}
    return any(features.get(name) for name in _BF16_FEATURES)


def _batches(order: Sequence[int], lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Texts of falling length, so many at once that the padded batch holds `tokens` at most."""
    start = 0
    while start < len(order):
        end = start + max(1, tokens // max(1, lengths[order[start]]))
        yield list(order[start:end])
        start = end


def _best(hits: Sequence[Hit], k: int) -> list[Hit]:
    scores: dict[int, float] = {}
    for hit in hits:
        scores[hit.index] = max(hit.score, scores.get(hit.index, hit.score))
    ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    return [Hit(index, round(score, 4)) for index, score in ranked[:k]]
