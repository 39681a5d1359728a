from __future__ import annotations

import json

import pyarrow as pa
import pytest

from omr_kedro import tables
from omr_kedro.publishing.manifest import Manifest, PublishedFile, features_of


def test_a_manifest_comes_back_from_json() -> None:
    files = (PublishedFile("data/cot/train-00000-of-00002.parquet", 3, 100, "ab"), PublishedFile("b", 4, 50, "cd"))
    manifest = Manifest("cot", "train", files, features_of(tables.PUBLISHED_SOLUTIONS), "print", 900)
    assert Manifest.from_dict(json.loads(json.dumps(manifest.as_dict()))) == manifest
    assert (manifest.rows, manifest.bytes) == (7, 150)


def test_features_are_written_as_the_hub_writes_them() -> None:
    schema = pa.schema(
        [
            ("problem", pa.string()),
            ("rate", pa.float64()),
            ("names", pa.list_(pa.string())),
            ("messages", pa.list_(pa.struct([("role", pa.string()), ("turn", pa.int64())]))),
            ("one", pa.struct([("right", pa.bool_())])),
        ]
    )
    assert features_of(schema) == (
        {"name": "problem", "dtype": "string"},
        {"name": "rate", "dtype": "float64"},
        {"name": "names", "list": "string"},
        {"name": "messages", "list": [{"name": "role", "dtype": "string"}, {"name": "turn", "dtype": "int64"}]},
        {"name": "one", "struct": [{"name": "right", "dtype": "bool"}]},
    )


@pytest.mark.parametrize("name", ["PUBLISHED_SOLUTIONS", "PUBLISHED_REJECTED", "PUBLISHED_PROBLEMS"])
def test_the_nine_columns_of_the_original_come_first(name: str) -> None:
    assert getattr(tables, name).names[:9] == [
        "problem",
        "generated_solution",
        "generation_model",
        "problem_type",
        "expected_answer",
        "problem_source",
        "inference_mode",
        "pass_rate_72b_tir",
        "used_in_kaggle",
    ]
