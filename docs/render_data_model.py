"""Writes docs/data-model.md from the schemas and the catalog: python docs/render_data_model.py

A test renders it anew and compares, so that the page cannot fall behind.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pyarrow as pa
from kedro.framework.project import pipelines, settings
from kedro.framework.startup import bootstrap_project

from omr_kedro import tables
from omr_kedro.datasets import ShardsDataset

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "data-model.md"

HEAD = """# The tables

Every table is a folder of shards (`shard-00003-of-00512.jsonl` or `.parquet`). A thread and everything made of it is
in the shard that follows from its id; the tables of `raw_data` are split as the dump is, and those of solutions, from
`solve_problems` on, by `problem_id`. Columns marked * are always filled.
Rows join by `thread_id`, `problem_id` and `solution_id`, which are hashes of content. `<workspace>` is the
environment's: `base`, `demo` or `offline`. `python docs/render_data_model.py` writes this page from pipelines, catalog
and schemas.
"""


PUBLISHED = """# The published dataset

Configs of `data/07_model_output/<workspace>/dataset` ([publishing](publishing.md)), as Parquet under `data/<config>/`.
Columns up to `used_in_kaggle` are those of nvidia/OpenMathReasoning.
"""
CONFIGS = {
    "`cot`, `tir`": tables.PUBLISHED_SOLUTIONS,
    "`genselect`": tables.PUBLISHED_SELECTIONS,
    "`problems`, `additional_problems`": tables.PUBLISHED_PROBLEMS,
    "`rejected`": tables.PUBLISHED_REJECTED,
}


def render() -> str:
    """The page: a section for each schema, in the order in which the pipelines make the first table of it."""
    alike: dict[pa.Schema, dict[str, ShardsDataset]] = defaultdict(dict)
    for name, table in _tables().items():
        alike[table.store.schema][name] = table
    configs = (f"## {names}\n\n{_columns(schema)}\n" for names, schema in CONFIGS.items())
    return "\n".join([HEAD, *(_section(schema, those) for schema, those in alike.items()), PUBLISHED, *configs])


def _tables() -> dict[str, ShardsDataset]:
    bootstrap_project(ROOT)
    with settings.SESSION_CLASS.create(project_path=ROOT, env="base", save_on_close=False) as session:
        catalog = session.load_context().catalog
    names = [name for pipeline in pipelines.values() for node in pipeline.nodes for name in node.outputs]
    datasets = {name: catalog.get(name) for name in names}
    return {name: dataset for name, dataset in datasets.items() if isinstance(dataset, ShardsDataset)}


def _section(schema: pa.Schema, alike: dict[str, ShardsDataset]) -> str:
    title = ", ".join(f"`{name}`" for name in alike)
    places = "\n".join(f"- `{_folder(table)}` ({table.store.format})" for table in alike.values())
    return f"## {title}\n\n{places}\n\n{_columns(schema)}\n"


def _columns(schema: pa.Schema) -> str:
    rows = "\n".join(
        f"| `{field.name}`{'' if field.nullable else ' *'} | {_kind(field.type)} | {_meaning(field)} |"
        for field in schema
    )
    return f"| column | type | meaning |\n|---|---|---|\n{rows}"


def _folder(table: ShardsDataset) -> str:
    return table.store.folder.relative_to(ROOT).as_posix().replace("/base/", "/<workspace>/")


def _kind(kind: pa.DataType) -> str:
    names = {"string": "text", "int64": "integer", "double": "number", "bool": "yes or no"}
    if pa.types.is_list(kind):
        return f"list of {_kind(kind.value_type)}"
    if pa.types.is_struct(kind):
        return "{" + ", ".join(f"{field.name}: {_kind(field.type)}" for field in kind) + "}"
    return names.get(str(kind), str(kind))


def _meaning(field: pa.Field) -> str:
    return field.metadata[b"meaning"].decode().replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
