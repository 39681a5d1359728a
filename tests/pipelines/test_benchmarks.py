"""Benchmarks become one table, or the run says what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from kedro.io import DatasetError

from omr_kedro import tables
from omr_kedro.datasets import BenchmarkDataset
from omr_kedro.pipelines.benchmarks.nodes import CollectOptions, collect_benchmarks
from omr_kedro.pipelines.benchmarks.pipeline import NAMES
from omr_kedro.shards import BadInputError, Row
from tests.support.hub_server import HubServer
from tests.support.project import ROOT, Project
from tests.support.tables import rows_made

COMMIT = "0123456789" * 4


def written(path: Path, *rows: Row) -> str:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return str(path)


def dataset(name: str = "contest", **settings: Any) -> BenchmarkDataset:
    return BenchmarkDataset(name=name, **{"fields": {"problem": "question"}, **settings})


def collected(*datasets: BenchmarkDataset, without: tuple[str, ...] = ()) -> list[Row]:
    return rows_made(collect_benchmarks(CollectOptions(without=list(without)), *(item.load() for item in datasets)))


def test_fields_are_mapped_and_every_row_says_where_it_comes_from(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", {"question": "Find x.", "key": 7}, {"question": " Find y. ", "key": "8"})
    first, second = collected(dataset(filepath=path, fields={"problem": "question", "benchmark_id": "key"}))
    assert list(first) == tables.BENCHMARKS.names
    assert (first["benchmark"], first["benchmark_id"], first["problem"]) == ("contest", "7", "Find x.")
    assert first["source"] == f"{path}/a.jsonl, row 1"
    assert len(first["revision"]) == 32
    assert (second["benchmark_id"], second["problem"]) == ("8", "Find y.")


def test_without_an_id_file_and_row_are_the_id(tmp_path: Path) -> None:
    written(tmp_path / "a.jsonl", {"question": "Find x."})
    pq.write_table(pa.table({"question": ["Find x.", "Find y."]}), tmp_path / "b.parquet")
    rows = collected(dataset(filepath=str(tmp_path)))
    assert [row["benchmark_id"] for row in rows] == ["a:1", "b:1", "b:2"]


def test_a_statement_may_be_made_of_several_fields(tmp_path: Path) -> None:
    rows: list[dict[str, Any]]
    rows = [{"context": "Let $x = 1$.", "question": "Find x."}, {"context": None, "question": "Find y."}]
    made = dataset(filepath=written(tmp_path / "a.jsonl", *rows), fields={"problem": ["context", "question"]})
    assert [row["problem"] for row in collected(made)] == ["Let $x = 1$.\n\nFind x.", "Find y."]


@pytest.mark.parametrize(
    ("rows", "settings", "complaint"),
    [
        ([], {}, "is empty"),
        ([{"problem": "Find x."}], {}, r"row 1: the field 'question' is missing or empty \(there are: problem\)"),
        ([{"question": "  "}], {}, "'question' is missing or empty"),
        ([{"question": 5}], {}, "'question' is missing or empty"),
        (
            [{"question": "x", "id": [1]}],
            {"fields": {"problem": "question", "benchmark_id": "id"}},
            "'id' must be text or a whole number, this is a list",
        ),
        (
            [{"question": "x", "about": 5}],
            {"fields": {"problem": ["about", "question"]}},
            "'about' must be text, this is a int",
        ),
        (
            [{"question": "x", "id": 1}] * 2,
            {"fields": {"problem": "question", "benchmark_id": "id"}},
            "row 2: the id 1",
        ),
        ([{"question": "x"}], {"fields": {"problem": "question", "benchmark_id": "id"}}, "the field 'id' is missing"),
        ([{"question": "x"}], {"count": 30}, "holds 1 problems, not 30"),
    ],
)
def test_a_benchmark_that_is_not_whole_is_refused(
    tmp_path: Path, rows: list[Row], settings: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(BadInputError, match=complaint):
        collected(dataset(filepath=written(tmp_path / "a.jsonl", *rows), **settings))


def test_all_that_is_missing_is_named_at_once_with_the_way_to_bring_it(tmp_path: Path) -> None:
    absent = dataset("absent", filepath=str(tmp_path / "no.jsonl"))
    unknown = dataset("unknown", repo="org/set")
    with pytest.raises(BadInputError) as refused:
        collected(absent, unknown, dataset("good", filepath=written(tmp_path / "a.jsonl", {"question": "Find x."})))
    for word in ("2 of 3 benchmarks", "no.jsonl", "commit of org/set", "benchmark_unknown: {filepath:", "without: […]"):
        assert word in str(refused.value)


def test_only_what_is_named_is_left_out(tmp_path: Path) -> None:
    good = dataset("good", filepath=written(tmp_path / "a.jsonl", {"question": "Find x."}))
    assert len(collected(good, dataset("absent", repo="org/set"), without=("absent",))) == 1
    with pytest.raises(BadInputError, match=r"names absnt, but there is no such benchmark. Known: good"):
        collected(good, without=("absnt",))


def test_the_table_is_made_again_only_when_something_changed(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", {"question": "Find x."})

    def prints(**settings: Any) -> list[str]:
        recipe = collect_benchmarks(CollectOptions(), dataset(filepath=path, **settings).load())
        return list(recipe.fingerprints.values())

    before = prints()
    assert prints() == before
    assert prints(count=1) != before
    written(tmp_path / "a.jsonl", {"question": "Find y."})
    assert prints() != before


@pytest.mark.parametrize(
    "settings", [{}, {"repo": "a/b", "fields": {}}, {"repo": "a/b", "fields": {"problem": "a", "x": "b"}}]
)
def test_an_entry_that_makes_no_sense_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(DatasetError, match="give `repo` or `filepath`"):
        dataset(**settings)


ENTRIES = yaml.safe_load((Path(ROOT) / "conf/base/catalog_benchmarks.yml").read_text())


def test_every_benchmark_of_open_math_reasoning_has_an_entry() -> None:
    named = {name.removeprefix("benchmark_"): entry for name, entry in ENTRIES.items() if name != "benchmark_table"}
    assert tuple(named) == NAMES
    for name, entry in named.items():
        assert entry["name"] == name
        assert entry["count"] > 0
        # A commit, or a setting that must be given.
        assert len(entry["revision"]) == 40 or entry["revision"] == f"${{globals:benchmark_revisions.{name}}}"


def test_benchmarks_are_fetched_by_their_pipeline_and_used_by_a_run(tmp_path: Path) -> None:
    project = Project.create(tmp_path)
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}

    stopped = project.kedro("run", "--pipelines", "benchmarks", env=offline)
    for word in ("2 of 10 benchmarks", "benchmark_revisions: {college_math: <commit>}"):
        assert word in stopped.stderr
    local = {f"benchmark_{name}": {"repo": f"org/{name}", "revision": COMMIT, "count": 2} for name in NAMES}
    (tmp_path / "conf/local").mkdir(exist_ok=True)
    (tmp_path / "conf/local/catalog_benchmarks.yml").write_text(yaml.safe_dump(local))
    stopped = project.kedro("run", "--pipelines", "benchmarks", env=offline)
    for word in ("10 of 10 benchmarks", "HF_HOME", "benchmark_math: {filepath:"):
        assert word in stopped.stderr
    repos = {f"datasets/org/{name}": repository(ENTRIES[f"benchmark_{name}"]) for name in NAMES}
    with HubServer(repos, [COMMIT]) as hub:
        environment = {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path / "hf")}
        done = project.kedro("run", "--pipelines", "benchmarks", env=environment)
        assert done.returncode == 0, done.stderr + done.stdout
        asked = hub.asked.total()
        assert project.kedro("run", "--pipelines", "benchmarks", env=environment).returncode == 0
        assert hub.asked.total() == asked
    rows = project.table("benchmark_table", "base")
    assert {row["benchmark"] for row in rows} == set(NAMES)
    assert len(rows) == 2 * len(NAMES)
    project.run(benchmarks=str(tmp_path / "data/03_primary/benchmarks"))
    report = project.load("contamination_report")
    assert list(report["benchmark"]) == [*NAMES, "(all)"]


def repository(entry: dict[str, Any]) -> dict[str, bytes]:
    """Two made-up problems in a file that has the name and the fields that the entry expects."""
    fields = entry["fields"]
    names = fields["problem"] if isinstance(fields["problem"], list) else [fields["problem"]]
    rows = [
        {**dict.fromkeys(names, f"How many of {number} doors of {entry['name']} are open?"), "id": number}
        for number in (1, 2)
    ]
    name = entry["files"][0].replace("*", "0")
    if name.endswith(".jsonl"):
        return {name: b"".join(orjson.dumps(row) + b"\n" for row in rows)}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return {name: sink.getvalue().to_pybytes()}


def test_a_run_without_benchmarks_says_how_to_get_them(tmp_path: Path) -> None:
    project = Project.create(tmp_path)
    stopped = project.kedro("run", "--params=endpoint=http://127.0.0.1:9/v1")
    assert stopped.returncode == 1
    for word in ("data/03_primary/benchmarks", "kedro run --pipelines benchmarks", "--params=benchmarks="):
        assert word in stopped.stderr + stopped.stdout
