"""Writes docs/data-model.md from the schemas and the catalog: python docs/render_data_model.py

A test renders it anew and compares, so that the page cannot fall behind.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from omr_kedro import tables

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "data-model.md"

HEAD = """# The tables

Every table is a folder of shards (`shard-00003-of-00512.jsonl` or `.parquet`). A thread and everything made of it is
in the shard that follows from its id; the tables of `raw_data` are split as the dump is. Columns marked * are always
filled.
Rows join by `thread_id` and `problem_id`, which are hashes of content. `<workspace>` is the environment's: `base`,
`demo` or `offline`. `python docs/render_data_model.py` writes this page from the schemas and the catalog.
"""


def render() -> str:
    """The page."""
    entries = _sharded_tables()
    sections = [HEAD]
    for name, schema in _schemas().items():
        own = {table: entry for table, entry in entries.items() if entry["schema"] == f"omr_kedro.tables.{name}"}
        if own:
            sections.append(_section(schema, own))
    return "\n".join(sections)


def _schemas() -> dict[str, pa.Schema]:
    return {name: value for name, value in vars(tables).items() if isinstance(value, pa.Schema)}


def _sharded_tables() -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = {}
    for path in sorted((ROOT / "conf" / "base").glob("catalog*.yml")):
        for name, entry in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            entries |= {name: entry} if isinstance(entry, dict) and "schema" in entry else {}
    return entries


def _section(schema: pa.Schema, own: dict[str, dict[str, Any]]) -> str:
    title = ", ".join(f"`{name}`" for name in own)
    places = "\n".join(f"- `{_folder(entry)}` ({entry.get('format', 'jsonl')})" for entry in own.values())
    rows = "\n".join(
        f"| `{field.name}`{'' if field.nullable else ' *'} | {_kind(field.type)} | {_meaning(field)} |"
        for field in schema
    )
    return f"## {title}\n\n{places}\n\n| column | type | meaning |\n|---|---|---|\n{rows}\n"


def _folder(entry: dict[str, Any]) -> str:
    return re.sub(r"\$\{globals:workspace\}", "<workspace>", entry["filepath"])


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
