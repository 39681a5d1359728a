"""Whether a model's files can be served: said before a job waits hours for a GPU and fails in its first minute."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from omr_kedro.shards import OmrError


class ModelFilesError(OmrError):
    """A model cannot be served as it is."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model on this machine, or one that somebody else serves (`folder` is None)."""

    name: str
    revision: str | None
    """Full hash of the commit; None for what does not come from the hub."""
    folder: Path | None
    tensor_parallel_size: int = 1
    """GPUs that are to share the weights."""
    context_tokens: int | None = None
    """Longest call, prompt and reply together; None where it is not known."""

    def manifest(self) -> dict[str, Any]:
        """Name, revision and files with their sizes in bytes, as JSON can hold them."""
        files = sorted(path for path in self.folder.rglob("*") if path.is_file()) if self.folder else []
        sizes = {path.relative_to(self.folder).as_posix(): path.stat().st_size for path in files if self.folder}
        return {
            "model": self.name,
            "revision": self.revision,
            "folder": str(self.folder) if self.folder else None,
            "bytes": sum(sizes.values()),
            "files": sizes,
        }


def check_servable(files: ModelFiles) -> dict[str, Any]:
    """Facts of the model, once everything that can be checked without a GPU was found right.

    Returns:
        `architecture`, `context_tokens`, `attention_heads`, `key_value_heads`, `dtype`, `chat_template` (whether there
        is one), `weight_bytes`.

    Raises:
        ModelFilesError: lists all that is wrong.
    """
    folder = files.folder
    if folder is None:
        raise ModelFilesError(f"{files.name} is not on this machine")
    wrong: list[str] = []

    def checked(check: Callable[[], Any]) -> Any:
        try:
            return check()
        except (OSError, ValueError, KeyError, TypeError) as error:
            wrong.append(str(error))
            return None

    config = checked(lambda: _read_json(folder / "config.json")) or {}
    # Models that see pictures keep what concerns texts apart.
    text = config.get("text_config") or config
    wrong += _split_faults(text, files.tensor_parallel_size)
    wrong += _context_faults(text, files.context_tokens)
    checked(lambda: _parse_tokenizer(folder / "tokenizer.json"))
    weights = checked(lambda: sum(_weight_sizes(folder))) or 0
    if wrong:
        raise ModelFilesError(f"{files.name} in {folder} cannot be served:\n  " + "\n  ".join(wrong))
    return {
        "architecture": (config.get("architectures") or [None])[0],
        "context_tokens": text.get("max_position_embeddings"),
        "attention_heads": text.get("num_attention_heads"),
        "key_value_heads": text.get("num_key_value_heads"),
        "dtype": config.get("torch_dtype") or config.get("dtype") or text.get("dtype"),
        "chat_template": _has_chat_template(folder),
        "weight_bytes": weights,
    }


def _split_faults(config: dict[str, Any], gpus: int) -> Iterator[str]:
    heads = config.get("num_attention_heads")
    if not isinstance(heads, int):
        yield "config.json names no num_attention_heads"
    elif heads % gpus:
        yield f"{heads} attention heads cannot be split over {gpus} GPUs; choose another tensor_parallel_size"
    groups = config.get("num_key_value_heads")
    # Fewer heads than GPUs are copied, whole groups of GPUs at a time.
    if isinstance(groups, int) and groups % gpus and gpus % groups:
        yield f"{groups} key-value heads cannot be split over {gpus} GPUs; choose another tensor_parallel_size"


def _context_faults(config: dict[str, Any], wanted: int | None) -> Iterator[str]:
    longest = config.get("max_position_embeddings")
    scaling = config.get("rope_scaling") or {}
    if isinstance(longest, int) and isinstance(factor := scaling.get("factor"), int | float):
        longest = max(longest, int(scaling.get("original_max_position_embeddings", longest) * factor))
    if isinstance(longest, int) and wanted is not None and longest < wanted:
        yield (
            f"its context of {longest:,} tokens is shorter than the {wanted:,} that a call may take; lower "
            "`context_tokens` in globals.yml or take a model with a longer one"
        )


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"{path.name} is missing")
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} holds no object")
    return content


def _parse_tokenizer(path: Path) -> None:
    if not path.is_file():
        raise ValueError(f"{path.name} is missing")
    try:
        Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exceptions
        raise ValueError(f"{path.name} cannot be read: {error}") from error


def _weight_sizes(folder: Path) -> Iterator[int]:
    """Bytes of each file of weights, whose size must be what its own header says."""
    index = folder / "model.safetensors.index.json"
    names = set(_read_json(index)["weight_map"].values()) if index.is_file() else {"model.safetensors"}
    for name in sorted(names):
        path = folder / name
        if not path.is_file():
            raise ValueError(f"{name} is missing: weights are needed as safetensors")
        yield _checked_size(path)


def _checked_size(path: Path) -> int:
    """The format: eight bytes with the length of a JSON header, the header, the tensors end to end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length + 8 > size:
            raise ValueError(f"{path.name} is cut short or no safetensors file")
        header = json.loads(file.read(length))
    end = max((tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"), default=0)
    if 8 + length + end != size:
        raise ValueError(f"{path.name} has {size:,} bytes, its header says {8 + length + end:,}")
    return size


def _has_chat_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file():
        return True
    config = folder / "tokenizer_config.json"
    return config.is_file() and bool(_read_json(config).get("chat_template"))
