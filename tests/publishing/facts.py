"""Facts about a dataset, and its files, for tests of what is told of it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from omr_kedro.publishing.facts import DatasetFacts, DescriptionOptions, Funnel, Origin
from omr_kedro.publishing.manifest import Manifest, PublishedFile, features_of

MESSAGES = [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]
STAGE = {
    "stage": "prepare_threads",
    "unit": "record",
    "rows_in": 10,
    "kept": 9,
    "dropped": 1,
    "failed": 0,
    "rows_out": 9,
}
SETTLED = {"stage": "settle_cot", "unit": "sample", "rows_in": 9, "kept": 5, "dropped": 3, "failed": 1, "rows_out": 5}
CALL = {"stage": "solve_cot", "model": "m", "prompt_hash": "h", "calls": 9, "failed": 0, "prompt_tokens": 7}


def published(folder: Path, config: str, sizes: list[int]) -> Manifest:
    """The manifest of a config, whose files are written."""
    schema = pa.schema(
        [
            ("problem", pa.string()),
            ("pass_rate", pa.float64()),
            ("votes_for", pa.int64()),
            ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ]
    )
    files = []
    for number, rows in enumerate(sizes):
        path = f"data/{config}/train-{number:05}-of-{len(sizes):05}.parquet"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        row = {"problem": f"{config} {number}", "pass_rate": 0.5, "votes_for": 3, "messages": MESSAGES}
        pq.write_table(pa.Table.from_pylist([row] * rows, schema), folder / path)
        content = (folder / path).read_bytes()
        files.append(PublishedFile(path, rows, len(content), hashlib.sha256(content).hexdigest()))
    why = "" if sizes else "nobody made one"
    return Manifest(config, "train", tuple(files), features_of(schema), "print", 100 * sum(sizes), why)


def manifests(folder: Path) -> list[Manifest]:
    """Manifests of two configs with files, and of one without rows."""
    return [published(folder, "cot", [3, 2]), published(folder, "rejected", [4]), published(folder, "tir", [])]


def facts(folder: Path, told: str = "said", **changes: Any) -> DatasetFacts:
    """Facts in which every name that a stranger can give is the given one."""
    reason = {"stage": "settle_cot", "outcome": "dropped", "reason": told, "rows": 3}
    contamination = {"benchmark": told, "benchmark_problems": 25, "hit": 2, "removed": 2, "unclear": 1, "pairs": 27}
    given: dict[str, Any] = {
        "options": DescriptionOptions(),
        "version": "0.1.0",
        "manifests": changes.get("manifests") or manifests(folder),
        "funnels": [Funnel("problems", [STAGE], []), Funnel("solutions", [SETTLED], [reason])],
        "calls": [{**CALL, "model": told, "prompt_hash": told, "completion_tokens": 8}],
        "contamination": [contamination],
        "origins": [Origin(told, "cc-by-4.0", 7), Origin("", "mit", 2)],
        **changes,
    }
    return DatasetFacts(**given)
