from __future__ import annotations

import multiprocessing
import os
import random
import resource
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from omr_kedro.shards import DiskFullError, RowError, ShardCountError, TableBusyError, TableStore, UnmadeError
from omr_kedro.shards.formats import Format
from tests.support.tables import Given, given

SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("text", pa.string()),
        pa.field("marks", pa.list_(pa.string())),
    ]
)
FORMATS: list[Format] = ["jsonl", "parquet"]


def row(number: int, text: str | None = "x") -> dict[str, object]:
    return {"id": number, "text": text, "marks": ["a", str(number)]}


def store(folder: Path, format: Format = "jsonl") -> TableStore:
    return TableStore(folder, format, SCHEMA)


@pytest.mark.parametrize("format", FORMATS)
def test_a_saved_table_is_read_back(tmp_path: Path, format: Format) -> None:
    recipe = given([row(n) for n in range(10)])
    assert store(tmp_path, format).save(recipe) == 3
    shards = store(tmp_path, format).shards()
    assert {name: list(shard.rows()) for name, shard in shards.items()} == recipe.rows
    assert shards.count == 10


@settings(max_examples=40)
@for_all(
    st.lists(st.tuples(st.integers(-(2**62), 2**62), st.none() | st.text(st.characters(codec="utf-8")))),
    st.sampled_from(FORMATS),
)
def test_any_rows_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str | None]], format: Format
) -> None:
    recipe = given([row(number, text) for number, text in rows])
    table = store(tmp_path_factory.mktemp("table"), format)
    table.save(recipe)
    assert [list(shard.rows()) for shard in table.shards().values()] == list(recipe.rows.values())


def test_a_second_save_makes_nothing(tmp_path: Path) -> None:
    store(tmp_path).save(given([row(1)]))
    again = given([row(1)])
    assert store(tmp_path).save(again) == 0
    assert again.made == []


def test_other_columns_make_a_table_anew_and_another_description_does_not(tmp_path: Path) -> None:
    recipe = given([row(n) for n in range(6)])
    store(tmp_path).save(recipe)
    described = pa.schema([field.with_metadata({"description": "a column"}) for field in SCHEMA])
    assert TableStore(tmp_path, "jsonl", described).save(recipe) == 0
    for columns in (SCHEMA.append(pa.field("more", pa.int64())), SCHEMA.set(0, pa.field("id", pa.int64()))):
        assert TableStore(tmp_path, "jsonl", columns).save(recipe) == 3
        assert TableStore(tmp_path, "jsonl", columns).save(recipe) == 0


def test_only_a_shard_whose_rows_will_change_is_made_again(tmp_path: Path) -> None:
    store(tmp_path).save(given([row(n) for n in range(6)]))
    changed = given([*(row(n) for n in range(5)), row(99)])
    assert store(tmp_path).save(changed) == 1
    assert changed.made == ["shard-00002-of-00003"]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("damage", ["cut", "deleted"])
def test_a_damaged_shard_is_made_again(tmp_path: Path, format: Format, damage: str) -> None:
    recipe = given([row(n) for n in range(6)])
    store(tmp_path, format).save(recipe)
    path = tmp_path / f"shard-00001-of-00003.{format}"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-3])
    else:
        path.unlink()
    again = given([row(n) for n in range(6)])
    store(tmp_path, format).save(again)
    assert again.made == ["shard-00001-of-00003"]
    assert [r for s in store(tmp_path, format).shards().values() for r in s.rows()] == [
        r for rows in recipe.rows.values() for r in rows
    ]


def test_rows_that_stay_the_same_keep_their_digest(tmp_path: Path) -> None:
    store(tmp_path).save(given([row(1), row(2), row(3)]))
    before = {name: shard.digest for name, shard in store(tmp_path).shards().items()}
    store(tmp_path).save(given([row(1), row(2), row(4)]))
    after = {name: shard.digest for name, shard in store(tmp_path).shards().items()}
    assert [name for name in before if before[name] != after[name]] == ["shard-00002-of-00003"]


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        ({"id": "one"}, "column 'id' holds str, not int64"),
        ({"id": None}, "column 'id' must not be empty"),
        ({"id": 1, "colour": "red"}, "columns ['colour'] are not in the table's schema"),
        ({"id": 1, "text": 5}, "column 'text' holds int, not string"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_and_the_old_shard_stays(
    tmp_path: Path, bad: dict[str, object], complaint: str
) -> None:
    table = store(tmp_path / "numbers")
    table.save(given([row(1)], 1))
    with pytest.raises(RowError) as refused:
        table.save(given([row(1), bad], 1))
    assert "numbers" in str(refused.value)
    assert complaint in str(refused.value)
    assert (tmp_path / "numbers" / "shard-00000-of-00001.jsonl").read_text().count("\n") == 1


def test_a_table_that_is_being_made_is_not_complete(tmp_path: Path) -> None:
    table = store(tmp_path)
    table.save(given([row(1)]))
    seen: list[bool] = []
    table.save(Given({**given([row(2)]).rows}, before=lambda name: seen.append(table.complete)))
    assert seen == [False]
    assert table.complete
    with pytest.raises(FileNotFoundError):
        store(tmp_path / "elsewhere").shards()


def test_another_number_of_shards_is_refused(tmp_path: Path) -> None:
    store(tmp_path).save(given([row(1)], 3))
    with pytest.raises(ShardCountError, match=r"-of-00003, but this run makes shard-00000-of-00004"):
        store(tmp_path).save(given([row(1)], 4))


def test_the_head_of_a_table_reads_no_more_shards_than_it_must(tmp_path: Path) -> None:
    table = store(tmp_path)
    table.save(given([row(n) for n in range(9)]))
    for path in tmp_path.glob("shard-0000[12]*"):
        path.write_text("unreadable")
    assert [r["id"] for r in table.head(3)] == [0, 3, 6]
    assert store(tmp_path / "nothing").head(3) == []


def test_the_head_of_a_table_may_be_some_columns_of_it(tmp_path: Path) -> None:
    table = store(tmp_path, "parquet")
    table.save(given([row(n) for n in range(9)]))
    assert table.head(2, ["id"]) == [{"id": 0}, {"id": 3}]


@pytest.mark.parametrize(("former", "now"), [("jsonl", "parquet"), ("parquet", "jsonl")])
def test_a_table_whose_format_was_changed_is_read_as_it_is_until_it_is_made_again(
    tmp_path: Path, former: Format, now: Format
) -> None:
    recipe = given([row(n) for n in range(9)])
    store(tmp_path, former).save(recipe)
    table = store(tmp_path, now)
    rows = [r for rows in recipe.rows.values() for r in rows]
    assert list(table.shards().rows()) == rows
    assert [path.suffix for path in table.files()] == [f".{former}"] * 3
    assert table.save(part_of(recipe, recipe.rows)) == 3
    assert list(table.shards().rows()) == rows
    assert sorted(path.name for path in tmp_path.glob("shard-*")) == [f"{name}.{now}" for name in recipe.rows]


@pytest.mark.parametrize(("former", "now"), [("jsonl", "parquet"), ("parquet", "jsonl")])
def test_a_shard_that_is_made_anew_is_given_what_it_was_in_the_former_format(
    tmp_path: Path, former: Format, now: Format
) -> None:
    recipe = given([row(n) for n in range(9)])
    store(tmp_path, former).save(recipe)
    first, *rest = recipe.rows
    table = store(tmp_path, now)
    table.save_part(part_of(recipe, [first]))
    for name, rows in recipe.rows.items():
        earlier = list(table.scratch(name).earlier())
        assert earlier == [*rows, *rows] if name == first else earlier == rows
    assert len(list(tmp_path.glob(f"shard-*.{former}"))) == 3, "the rest was not made yet, and all of it is kept"
    table.save_part(part_of(recipe, rest))
    table.conclude(part_of(recipe, recipe.rows))
    assert not list(tmp_path.glob(f"shard-*.{former}"))


@pytest.mark.parametrize("format", FORMATS)
def test_a_damaged_shard_is_given_as_far_as_it_can_be_read(tmp_path: Path, format: Format) -> None:
    table = store(tmp_path, format)
    table.save(given([row(n, "x" * 100) for n in range(6)], 1))
    (path,) = table.files()
    content = bytearray(path.read_bytes())
    content[5:10] = b"?" * 5
    path.write_bytes(content)
    found = list(table.scratch(path.stem).earlier())
    assert found == [row(n, "x" * 100) for n in range(1 if format == "jsonl" else 6, 6)]


def _slow_rows(name: str) -> None:
    time.sleep(0.01)


def _save_slowly(folder: Path) -> None:
    recipe = given([row(n, "x" * 500) for n in range(600)], 30)
    recipe.before = _slow_rows
    store(folder).save(recipe)


def test_a_save_killed_again_and_again_ends_with_the_same_table(tmp_path: Path) -> None:
    store(tmp_path / "calm").save(given([row(n, "x" * 500) for n in range(600)], 30))
    rng = random.Random(5)
    context = multiprocessing.get_context("fork")
    kills = 0
    while kills < 15:
        process = context.Process(target=_save_slowly, args=(tmp_path / "killed",))
        process.start()
        process.join(rng.uniform(0, 0.4))
        for path in (tmp_path / "killed").glob("shard-*.jsonl"):
            assert path.read_bytes().count(b"\n") == 20, "a reader saw half a shard"
        if process.is_alive():
            process.kill()
            kills += 1
        process.join()
        if process.exitcode == 0:
            assert_same_tables(tmp_path)
            for path in list((tmp_path / "killed" / ".made").iterdir())[::3]:
                path.unlink()
            (tmp_path / "killed" / ".complete.json").unlink()
    _save_slowly(tmp_path / "killed")
    assert_same_tables(tmp_path)
    assert not list((tmp_path / "killed").glob(".*.tmp"))


def _save_and_die(folder: Path, recipe: Given, where: str) -> None:
    """Die when a file in the folder `where` is about to get its name."""
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        if Path(target).parent.name == where:
            os._exit(9)
        real(source, target)

    os.replace = replace  # type: ignore[assignment]  # a simpler signature, for this process's last seconds
    store(folder).save(recipe)


def save_and_die(folder: Path, recipe: Given, where: str) -> None:
    process = multiprocessing.get_context("fork").Process(target=_save_and_die, args=(folder, recipe, where))
    process.start()
    process.join()
    assert process.exitcode == 9


def test_a_shard_killed_before_its_mark_is_made_again_also_for_inputs_that_are_changed_back(tmp_path: Path) -> None:
    first, second = (given([row(n, text) for n in range(6)]) for text in ("x", "y"))
    store(tmp_path).save(first)
    save_and_die(tmp_path, second, ".made")
    store(tmp_path).save(first)
    assert list(store(tmp_path).shards().rows()) == [r for rows in first.rows.values() for r in rows]


def test_nothing_that_a_killed_save_left_aside_stays(tmp_path: Path) -> None:
    recipe = given([row(n) for n in range(6)])
    save_and_die(tmp_path, recipe, ".made")
    assert list(tmp_path.rglob("*.tmp"))
    store(tmp_path).save(recipe)
    assert not list(tmp_path.rglob("*.tmp"))


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """What a full disk does, as far as a process without rights can have one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("format", FORMATS)
def test_a_full_disk_says_what_to_do_and_what_was_finished_is_kept(tmp_path: Path, format: Format) -> None:
    rng = random.Random(1)
    small, large = ([row(n, rng.randbytes(size).hex()) for n in range(20)] for size in (10, 2000))
    recipe = Given({"shard-00000-of-00002": small, "shard-00001-of-00002": large})
    with files_of_at_most(40_000), pytest.raises(DiskFullError, match=r"File too large\..*Make room"):
        store(tmp_path, format).save(recipe)
    again = Given(recipe.rows)
    store(tmp_path, format).save(again)
    assert again.made == ["shard-00001-of-00002"]


def part_of(recipe: Given, names: Iterable[str]) -> Given:
    """The same recipe of some of the shards."""
    return Given({name: recipe.rows[name] for name in names}, before=recipe.before)


def test_a_table_saved_in_parts_is_finished_when_it_is_concluded(tmp_path: Path) -> None:
    recipe = given([row(n) for n in range(9)])
    first, *rest = recipe.rows
    table = store(tmp_path)
    assert table.save_part(part_of(recipe, [first])) == 1
    assert not table.complete
    assert list(table.part([first]).rows()) == recipe.rows[first]
    with pytest.raises(FileNotFoundError):
        table.part(rest)
    with pytest.raises(UnmadeError, match="2 of 3 shards are not there"):
        table.conclude(recipe)
    table.save_part(part_of(recipe, rest))
    table.conclude(recipe)
    assert list(table.shards().rows()) == [r for rows in recipe.rows.values() for r in rows]


def test_a_conclusion_refuses_shards_that_were_made_otherwise(tmp_path: Path) -> None:
    table = store(tmp_path)
    table.save(given([row(n) for n in range(9)]))
    with pytest.raises(UnmadeError, match="first shard-00002-of-00003"):
        table.conclude(given([row(n) for n in (*range(8), 99)]))
    assert table.complete


def test_a_part_that_is_made_anew_reopens_the_table(tmp_path: Path) -> None:
    table = store(tmp_path)
    table.save(given([row(n) for n in range(3)]))
    changed = given([row(n, "y") for n in range(3)])
    table.save_part(part_of(changed, ["shard-00001-of-00003"]))
    assert not table.complete
    assert table.pending(changed) == ["shard-00000-of-00003", "shard-00002-of-00003"]


def test_a_damaged_mark_counts_as_none(tmp_path: Path) -> None:
    table = store(tmp_path)
    recipe = given([row(n) for n in range(3)])
    table.save_part(recipe)
    (tmp_path / ".made" / "shard-00001-of-00003.json").write_text('{"fingerpr')
    assert table.pending(recipe) == ["shard-00001-of-00003"]


def test_parts_and_whole_tables_are_not_written_at_the_same_time(tmp_path: Path) -> None:
    recipe, other = (given([row(n) for n in range(3)]) for _ in range(2))
    refused: list[str] = []

    def interfere(name: str) -> None:
        with pytest.raises(TableBusyError) as caught:
            store(tmp_path).save(other)
        refused.append(str(caught.value))

    recipe.before = interfere
    store(tmp_path).save_part(recipe)
    assert len(refused) == 3
    assert f"is being written by process {os.getpid()} on" in refused[0]


def test_a_shard_that_two_processes_want_is_made_by_one_of_them(tmp_path: Path) -> None:
    recipe = given([row(n) for n in range(8)], 4)
    noted = tmp_path / "made.txt"

    def note(name: str) -> None:
        with noted.open("a") as file:
            file.write(f"{name}\n")
        time.sleep(0.05)

    recipe.before = note
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=store(tmp_path / "t").save_part, args=(recipe,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert sorted(noted.read_text().split()) == list(recipe.rows)
    assert not list((tmp_path / "t" / ".open").glob("*.lock"))


def _save_parts_slowly(folder: Path, names: list[str]) -> None:
    recipe = given([row(n, "x" * 500) for n in range(600)], 30)
    recipe.before = _slow_rows
    for name in names:
        store(folder).save_part(part_of(recipe, [name]))


def test_parts_killed_again_and_again_end_with_the_same_table(tmp_path: Path) -> None:
    whole = given([row(n, "x" * 500) for n in range(600)], 30)
    store(tmp_path / "calm").save(whole)
    rng = random.Random(6)
    context = multiprocessing.get_context("fork")
    for patience in (*(rng.uniform(0, 0.2) for _ in range(10)), None):
        shares = [list(whole.rows)[number::3] for number in range(3)]
        processes = [context.Process(target=_save_parts_slowly, args=(tmp_path / "killed", share)) for share in shares]
        for process in processes:
            process.start()
        for process in processes:
            process.join(patience)
            process.kill()
            process.join()
    store(tmp_path / "killed").conclude(whole)
    assert_same_tables(tmp_path)
    assert not list((tmp_path / "killed").glob(".*.tmp"))


def assert_same_tables(folder: Path) -> None:
    calm, killed = (store(folder / name).shards() for name in ("calm", "killed"))
    assert {n: s.digest for n, s in calm.items()} == {n: s.digest for n, s in killed.items()}
    assert list(calm.rows()) == list(killed.rows())
