"""The metadata by themselves; tests/croissant has others read them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from omr_kedro.publishing.croissant import croissant
from omr_kedro.publishing.facts import DescriptionOptions
from tests.publishing.facts import facts, published

RESPONSIBLE = [
    "rai:dataLimitations",
    "rai:dataBiases",
    "rai:personalSensitiveInformation",
    "rai:dataUseCases",
    "rai:dataSocialImpact",
    "rai:hasSyntheticData",
    "prov:wasDerivedFrom",
    "prov:wasGeneratedBy",
]
"""The minimal set of NeurIPS 2026."""


def test_each_config_has_its_files_and_its_columns(tmp_path: Path) -> None:
    found = croissant(facts(tmp_path))
    assert [each["includes"] for each in found["distribution"]] == [
        "data/cot/train-*.parquet",
        "data/rejected/train-*.parquet",
    ]
    cot = found["recordSet"][0]
    assert [(field["name"], field.get("dataType")) for field in cot["field"]] == [
        ("problem", "sc:Text"),
        ("pass_rate", "sc:Float"),
        ("votes_for", "sc:Integer"),
        ("messages", None),
    ]
    assert [part["name"] for part in cot["field"][3]["subField"]] == ["role", "content"]


def test_values_in_structs_are_fields_but_for_those_in_lists_of_lists(tmp_path: Path) -> None:
    role = {"name": "role", "dtype": "string"}
    calls = {"name": "tool_calls", "list": [{"name": "id", "dtype": "string"}]}
    features: tuple[dict[str, Any], ...] = (
        {"name": "names", "list": "string"},
        {"name": "params", "struct": [{"name": "input", "list": [role]}, {"name": "index", "dtype": "int64"}]},
        {"name": "messages", "list": [role, calls]},
    )
    manifest = replace(published(tmp_path, "rl", [1]), features=features)
    [records] = croissant(facts(tmp_path, manifests=[manifest]))["recordSet"]
    names, params, messages = records["field"]
    assert (names["dataType"], names["isArray"]) == ("sc:Text", True)
    assert [(part["name"], part["source"]["transform"]["jsonPath"]) for part in params["subField"]] == [
        ("input/role", "input[*].role"),
        ("index", "index"),
    ]
    assert [part["name"] for part in messages["subField"]] == ["role"]


def test_where_the_dataset_has_an_address_files_come_from_there(tmp_path: Path) -> None:
    url = "https://huggingface.co/datasets/team/olympiads"
    repo, *files = croissant(facts(tmp_path, options=DescriptionOptions(url=url)))["distribution"]
    assert repo["contentUrl"] == url
    assert all(each["containedIn"] == {"@id": repo["@id"]} for each in files)


def test_the_fields_on_responsible_ai_are_filled_from_the_run(tmp_path: Path) -> None:
    found = croissant(facts(tmp_path))
    assert all(found[name] for name in RESPONSIBLE)
    assert "10 forum threads" in found["rai:dataCollection"]
    assert found["rai:dataCollectionMissingData"] == "settle_cot: 3 rows dropped as said"
    assert found["rai:dataPreprocessingProtocol"][1] == (
        "settle_cot: 9 samples in, 5 kept, 3 dropped, 1 failed, 5 rows out"
    )
    assert found["prov:wasGeneratedBy"] == ["solve_cot: 9 calls of said, prompt said"]


def test_it_is_json_and_without_what_is_not_known(tmp_path: Path) -> None:
    found = croissant(facts(tmp_path, calls=[], funnels=[], origins=[]))
    assert json.loads(json.dumps(found)) == found
    assert not {"url", "datePublished", "citeAs"} & set(found)
    assert all(found[name] for name in RESPONSIBLE)
