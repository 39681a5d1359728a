"""Croissant metadata of the dataset, with the fields on responsible AI, written from the run.

Specifications: https://docs.mlcommons.org/croissant/docs/croissant-spec.html (1.1),
https://docs.mlcommons.org/croissant/docs/croissant-rai-spec.html (RAI 1.0). `rai:hasSyntheticData`,
`prov:wasDerivedFrom` and `prov:wasGeneratedBy` belong to the minimal set that NeurIPS 2026 asks for; the hub writes
none of all these by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from omr_kedro.publishing.facts import DatasetFacts, Record
from omr_kedro.publishing.limits import BIASES, LIMITS, MEANINGS, USES
from omr_kedro.publishing.manifest import Manifest
from omr_kedro.publishing.verifier import GRADING, JUDGING
from omr_kedro.shards.printable import printable_line

_CORE = "http://mlcommons.org/croissant/1.1"
_RAI = "http://mlcommons.org/croissant/RAI/1.0"
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_TYPES = {"string": "sc:Text", "int64": "sc:Integer", "float64": "sc:Float", "bool": "sc:Boolean"}
_REPO = "repo"
_MOST_SOURCES = 50
_MOST_CHARS = 200


def croissant(facts: DatasetFacts) -> dict[str, Any]:
    """The metadata as JSON-LD."""
    options = facts.options
    optional = {"url": options.url, "datePublished": options.date, "citeAs": options.citation}
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [_CORE, _RAI],
        "name": options.title,
        "description": options.description or "Mathematical problems with checked answers, and solutions by models.",
        "inLanguage": options.languages,
        "keywords": ["mathematics", "reasoning", "synthetic"],
        "license": facts.licenses,
        "version": facts.version,
        "creator": [{"@type": "sc:Organization", "name": name} for name in options.creators],
        **{name: value for name, value in optional.items() if value},
        "distribution": list(_distribution(facts)),
        "recordSet": [_record_set(manifest) for manifest in facts.published],
        **_responsible(facts),
    }


def _distribution(facts: DatasetFacts) -> Iterator[dict[str, Any]]:
    """The repository, where it is known, and the files of each config; else files beside this one."""
    if facts.options.url:
        yield {
            "@type": "cr:FileObject",
            "@id": _REPO,
            "name": _REPO,
            "description": "The git repository of the dataset.",
            "contentUrl": facts.options.url,
            "encodingFormat": "git+https",
            "sha256": "https://github.com/mlcommons/croissant/issues/80",  # a repository has none
        }
    for manifest in facts.published:
        yield {
            "@type": "cr:FileSet",
            "@id": _files(manifest),
            "name": _files(manifest),
            "description": f"{len(manifest.files):,} files, {manifest.bytes:,} bytes, {manifest.rows:,} rows.",
            **({"containedIn": {"@id": _REPO}} if facts.options.url else {}),
            "encodingFormat": "application/x-parquet",
            "includes": f"data/{manifest.config}/{manifest.split}-*.parquet",
        }


def _files(manifest: Manifest) -> str:
    return f"files-of-{manifest.config}"


def _record_set(manifest: Manifest) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": manifest.config,
        "name": manifest.config,
        "description": f"{MEANINGS.get(manifest.config, 'a view of the rows')} ({manifest.rows:,} rows)",
        "field": [_field(feature, manifest) for feature in manifest.features],
    }


def _field(feature: Mapping[str, Any], manifest: Manifest) -> dict[str, Any]:
    """A column; one of structs has a field for each value in them."""
    name = feature["name"]
    source = {"fileSet": {"@id": _files(manifest)}, "extract": {"column": name}}
    field = {"@type": "cr:Field", "@id": f"{manifest.config}/{name}", "name": name}
    array = {"isArray": True, "arrayShape": "-1"} if "list" in feature else {}
    if dtype := _dtype(feature):
        return {**field, "dataType": _TYPES[dtype], "source": source, **array}
    parts = [
        {
            "@type": "cr:Field",
            "@id": f"{field['@id']}/{'/'.join(keys)}",
            "name": "/".join(keys),
            "dataType": _TYPES[dtype],
            "source": {**source, "transform": {"jsonPath": path}},
        }
        for keys, path, dtype in _values(feature)
    ]
    return {**field, **array, "subField": parts}


def _dtype(feature: Mapping[str, Any]) -> str:
    """The type of a value, or of the values of a list; empty for structs."""
    inside = feature.get("dtype") or feature.get("list")
    return inside if isinstance(inside, str) else ""


def _values(feature: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Values in the structs of a feature: keys on the way to each, the same as a path of JSON, and its type.

    Not those in lists inside of a list, as calls of tools in messages: mlcroissant fails where such a list is missing.
    """
    for part in feature.get("struct") or feature["list"]:
        name = part["name"]
        if dtype := _dtype(part):
            yield (name,), name, dtype
        elif "list" not in part or "list" not in feature:
            step = f"{name}[*]" if "list" in part else name
            for keys, path, dtype in _values(part):
                yield (name, *keys), f"{step}.{path}", dtype


def _responsible(facts: DatasetFacts) -> dict[str, Any]:
    threads = next((int(stage["rows_in"]) for funnel in facts.funnels for stage in funnel.stages), 0)
    models = [printable_line(model, _MOST_CHARS) for model in facts.models]
    sources = facts.options.sources or [
        printable_line(origin.source, _MOST_CHARS) for origin in facts.origins[:_MOST_SOURCES] if origin.source
    ]
    return {
        "rai:dataCollection": f"A model extracted problems and answers from {threads:,} forum threads; solutions were "
        "sampled from models and kept by the verdict on their final answer.",
        "rai:dataCollectionType": ["Secondary Data analysis", "User-generated content data"],
        "rai:dataCollectionRawData": "Forum threads: a first post and its discussion; not part of the dataset.",
        "rai:dataCollectionMissingData": "; ".join(
            f"{reason['stage']}: {int(reason['rows']):,} rows {reason['outcome']} as {reason['reason']}"
            for funnel in facts.funnels
            for reason in funnel.reasons
        )
        or "No row was left out.",
        "rai:dataPreprocessingProtocol": [_told(stage) for funnel in facts.funnels for stage in funnel.stages],
        "rai:dataImputationProtocol": "Where a discussion gives no answer, a settled majority of the samples does; "
        "`answer_source` tells which.",
        "rai:dataAnnotationProtocol": "No person annotated rows. A final answer is compared with the one that counts: "
        "as text, by computation, then by a model in both orders; it is correct, incorrect or undecided.",
        "rai:dataAnnotationAnalysis": [
            f"{key.verifier}: of {key.pairs:,} hand-checked pairs, {key.equal:,} of them equal: {key.found:,} found "
            f"equal, {key.wrongly_equal:,} wrongly called equal, {key.wrongly_unequal:,} wrongly called unequal, "
            f"{key.undecided:,} left undecided"
            for key in (GRADING, JUDGING)
        ],
        "rai:machineAnnotationTools": [f"omr_kedro {facts.version}", *models],
        "rai:dataUseCases": list(USES),
        "rai:dataLimitations": list(LIMITS),
        "rai:dataBiases": list(BIASES),
        "rai:dataSocialImpact": "Meant for training and studying models of mathematical reasoning. Models that are "
        "trained on it learn to write convincing solutions, wrong ones as well; their answers need a check.",
        "rai:personalSensitiveInformation": ["No column holds the author of a post; a statement may name a person."],
        "rai:dataReleaseMaintenancePlan": "The card's changelog names each version with its counts.",
        "rai:hasSyntheticData": True,
        "prov:wasDerivedFrom": sources or ["Forum threads whose source is not recorded."],
        "prov:wasGeneratedBy": [
            f"{call['stage']}: {int(call['calls']):,} calls of {printable_line(str(call['model']), _MOST_CHARS)}, "
            f"prompt {call['prompt_hash']}"
            for call in facts.calls
        ]
        or [f"omr_kedro {facts.version}"],
    }


def _told(stage: Record) -> str:
    return (
        f"{stage['stage']}: {int(stage['rows_in']):,} {stage['unit']}s in, {int(stage['kept']):,} kept, "
        f"{int(stage['dropped']):,} dropped, {int(stage['failed']):,} failed, {int(stage['rows_out']):,} rows out"
    )
