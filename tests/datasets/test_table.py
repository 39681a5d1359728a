from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omr_kedro.datasets.table import Table
from omr_kedro.shards import Row, Shard, Shards, code_digest, printable
from omr_kedro.tables import COMPLETIONS, PROBLEMS
from tests.support.tables import as_shards, shards_of

PROBLEM: Row = {
    "problem_id": "p" * 20,
    "thread_id": "t" * 20,
    "problem": "Find $x$ if $x < 3$.",
    "expected_answer": r"\frac{1}{2}",
    "extracted_problem_idx": None,
    "model": "m",
}


def table(*rows: Row, shards: int = 2) -> Table:
    return Table("problems", PROBLEMS, shards_of(rows, shards))


class Tags(HTMLParser):
    """All that a browser would take for a tag or for text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags = list[str]()
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_table_tells_its_name_sizes_and_first_rows() -> None:
    shown = repr(table(*[PROBLEM] * 9))
    assert shown.startswith("problems: 9 rows in 2 shards, 11 columns\n  problem   ")
    assert shown.count("Find $x$ if $x < 3$.") == 3
    assert max(map(len, shown.splitlines())) <= 100
    page = Tags(table(*[PROBLEM] * 9)._repr_html_())
    assert page.text.startswith("problems: 9 rows in 2 shards, 11 columns")
    assert page.text.count("Find $x$ if $x < 3$.") == 5


def test_an_empty_table_is_shown_and_opened_with_its_columns() -> None:
    empty = table()
    assert "0 rows" in repr(empty)
    assert list(empty.to_pandas().columns) == list(empty.head().columns) == PROBLEMS.names


def test_all_rows_go_to_arrow_and_pandas_and_integers_stay_integers() -> None:
    whole = table({**PROBLEM, "extracted_problem_idx": (1 << 53) + 1}, PROBLEM)
    assert whole.to_arrow().schema == PROBLEMS
    assert whole.to_arrow().to_pylist() == [dict.fromkeys(PROBLEMS.names) | row for row in whole.rows()]
    assert whole.to_pandas()["extracted_problem_idx"].dropna().tolist() == [(1 << 53) + 1]


def test_a_head_reads_no_more_rows_than_it_shows() -> None:
    read = list[int]()

    def rows() -> Iterator[Row]:
        for number in range(1_000):
            read.append(number)
            yield PROBLEM

    shards = Shards([Shard("a", "", 1_000, rows), Shard("b", "", 1_000, rows)])
    large = Table("problems", PROBLEMS, shards)
    assert len(large.head(4)) == 4
    assert read == [0, 1, 2, 3]
    repr(large)
    assert len(read) == 4 + 3


def test_a_table_whose_files_are_gone_is_shown_without_rows() -> None:
    def gone() -> Iterator[Row]:
        raise FileNotFoundError

    shown = Table("problems", PROBLEMS, Shards([Shard("a", "", 7, gone)]))
    assert "7 rows" in repr(shown)
    assert "7 rows" in shown._repr_html_()


def test_texts_stand_before_facts_and_ids_behind_them() -> None:
    columns = [line.split()[0] for line in repr(Table("calls", COMPLETIONS, shards_of([]))).splitlines()[1:-1]]
    assert columns[0] == "text"
    assert set(columns[-4:]) == {"row_id", "prompt_hash", "call_key", "system_fingerprint"}


def test_a_table_of_many_columns_shows_the_first_and_says_so() -> None:
    wide = pa.schema([(f"c{number}", pa.string()) for number in range(60)])
    for shown in (repr(Table("wide", wide, shards_of([]))), Table("wide", wide, shards_of([]))._repr_html_()):
        assert "… and 20 more columns" in shown
        assert "c40" not in shown


@settings(max_examples=30)
@given(
    st.text() | st.sampled_from(["<script>alert(1)</script>", "</td></table><b>", "\x1b[2J", "&lt;b&gt;", "x" * 10**6])
)
def test_hostile_texts_are_cut_and_stay_texts(text: str) -> None:
    hostile = Table("problems", PROBLEMS, as_shards({"a": [{**PROBLEM, "problem": text, "expected_answer": text}]}))
    calm = Table("problems", PROBLEMS, as_shards({"a": [{**PROBLEM, "problem": "x", "expected_answer": "x"}]}))
    assert printable(repr(hostile)) == repr(hostile)
    assert repr(hostile).count("\n") == repr(calm).count("\n")
    assert len(repr(hostile)) < 3_000
    for page, quiet in (
        (hostile._repr_html_(), calm._repr_html_()),
        (hostile.typeset("problem")._repr_html_(), calm.typeset("problem")._repr_html_()),
    ):
        assert Tags(page).tags == Tags(quiet).tags
        assert printable(page) == page
        assert len(page) < 40_000


def test_formulas_are_left_to_mathjax_and_answers_get_the_signs_that_they_lack() -> None:
    page = Tags(table(PROBLEM).typeset("problem", "expected_answer")._repr_html_())
    assert "Find $x$ if $x < 3$." in page.text
    assert r"\(\frac{1}{2}\)" in page.text
    words = r"the answer is \frac{1}{2}"
    assert words in Tags(table({**PROBLEM, "expected_answer": words}).typeset()._repr_html_()).text


def test_a_typeset_text_keeps_its_lines_and_is_cut_only_when_it_is_very_long() -> None:
    lines = "a\n" * 9_000
    assert lines in Tags(table({**PROBLEM, "problem": lines}).typeset("problem")._repr_html_()).text
    assert len(table({**PROBLEM, "problem": "x" * 10**6}).typeset("problem")._repr_html_()) < 21_000


def test_a_wrong_column_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(KeyError, match="problems has no prob, but problem_id, thread_id"):
        table(PROBLEM).typeset("prob")


def count(shards: Shards, _: str) -> int:
    return shards.count


def test_a_recipe_of_a_table_is_that_of_its_shards_so_that_jobs_make_the_same() -> None:
    plain = shards_of([PROBLEM])
    assert code_digest(partial(count, Table("problems", PROBLEMS, plain))) == code_digest(partial(count, plain))
