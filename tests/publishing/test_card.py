from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import DatasetCard
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from omr_kedro.publishing.card import dataset_card
from omr_kedro.publishing.facts import CountsError, DescriptionOptions, Origin, check_counts
from omr_kedro.publishing.front_matter import read_front_matter, stated_splits, with_front_matter
from omr_kedro.publishing.manifest import Manifest, PublishedFile
from omr_kedro.publishing.verifier import GRADING
from omr_kedro.push import files_to_push
from tests.publishing.facts import SETTLED, facts, published

NOWHERE = Path("nowhere")
UNWRITTEN = [Manifest("cot", "train", (PublishedFile("data/cot/train-00000-of-00001.parquet", 5, 9, "0"),), (), "")]


def rendered(card: str) -> list[Any]:
    """Tokens of the page as a reader of GitHub's Markdown makes them."""
    return list(MarkdownIt("gfm-like", {"linkify": False}).parse(DatasetCard(card).text))


def cells(card: str) -> list[list[str]]:
    """The cells of all tables, by row, as they are shown."""
    rows: list[list[str]] = []
    inside = False
    for token in rendered(card):
        if token.type == "tr_open":
            rows.append([])
        inside = token.type != "tr_close" and (inside or token.type == "tr_open")
        if token.type == "inline" and inside:
            rows[-1].append("".join(child.content for child in token.children))
    return rows


def kinds(card: str) -> set[str]:
    """Kinds of markup on the page."""
    tokens = rendered(card)
    return {child.type for token in tokens for child in [token, *(token.children or [])]}


def test_the_hub_reads_the_front_matter_and_datasets_finds_files_and_columns(tmp_path: Path) -> None:
    card = DatasetCard(dataset_card(facts(tmp_path)))
    data = yaml.safe_load(card.data.to_yaml())
    assert data["language"] == ["en"]
    assert data["license"] == ["cc-by-4.0", "mit"]
    assert data["size_categories"] == ["n<1K"]
    assert data["configs"] == [
        {
            "config_name": "cot",
            "data_files": [
                {
                    "split": "train",
                    "path": ["data/cot/train-00000-of-00002.parquet", "data/cot/train-00001-of-00002.parquet"],
                }
            ],
            "default": True,
        },
        {
            "config_name": "rejected",
            "data_files": [{"split": "train", "path": ["data/rejected/train-00000-of-00001.parquet"]}],
        },
    ]
    info = data["dataset_info"][0]
    assert info["splits"] == [{"name": "train", "num_bytes": 500, "num_examples": 5}]
    assert info["features"][3] == {
        "name": "messages",
        "list": [{"name": "role", "dtype": "string"}, {"name": "content", "dtype": "string"}],
    }


def test_the_card_says_that_nobody_has_named_a_licence(tmp_path: Path) -> None:
    origins = [Origin("forum", "unknown", 1200), Origin("", "mit", 3)]
    card = dataset_card(facts(tmp_path, origins=origins))
    assert "Nobody has named a licence for 1,200 of the problems" in card
    assert read_front_matter(card)["license"] == ["mit", "unknown"]
    assert "Nobody has named" not in dataset_card(facts(tmp_path, origins=origins[1:]))


def test_the_card_states_the_counts_of_files_funnel_calls_benchmarks_and_keys(tmp_path: Path) -> None:
    rows = cells(dataset_card(facts(tmp_path)))
    assert ["cot", "train", "5", "2"] in [row[:4] for row in rows]
    assert ["prepare_threads", "record", "10", "9", "1", "0", "9"] in rows
    assert ["settle_cot", "dropped", "said", "3"] in rows
    assert ["solve_cot", "said", "said", "9", "0", "7", "8"] in rows
    assert ["said", "25", "2", "2", "1", "27"] in rows
    assert [f"{number:,}" for number in GRADING[2:]] in [row[2:] for row in rows]
    assert ["said", "cc-by-4.0", "7"] in rows
    assert ["not known", "mit", "2"] in rows


def test_a_config_without_rows_is_told_and_not_listed(tmp_path: Path) -> None:
    card = dataset_card(facts(tmp_path))
    assert "There is no config `tir`: nobody made one." in card
    assert {split.config for split in stated_splits(card)} == {"cot", "rejected"}


def test_the_error_of_each_judge_is_told_where_judges_were_asked(tmp_path: Path) -> None:
    judge = {
        "stage": "decontaminate", "model": "m|x", "rows": 30, "balanced_accuracy": 0.9333, "low": 0.787, "high": 0.982,
        "required": 0.8, "by_class": "clean 14/15, contaminated 14/15", "unparsed": 1,
    }  # fmt: skip
    told = ["decontaminate", "m¦x", "30", "93.3 %", "79 to 98 %", "80 %", "clean 14/15, contaminated 14/15", "1"]
    assert told in cells(dataset_card(facts(tmp_path, judges=[judge])))


def test_results_of_examinations_are_told_where_there_are_some(tmp_path: Path) -> None:
    exam = [{"stage": "judge_answers", "model": "m|x", "right": 0.9871, "rows": 120}]
    assert ["judge_answers", "m¦x", "0.9871", "120"] in cells(dataset_card(facts(tmp_path, exam=exam)))
    assert "Examinations" not in dataset_card(facts(tmp_path))


def test_the_changelog_goes_on_and_tells_each_version_once(tmp_path: Path) -> None:
    def changes(card: str) -> list[str]:
        return [line for line in card.splitlines() if line.startswith("- Dataset `")]

    first = dataset_card(facts(tmp_path))
    assert len(changes(first)) == 1
    assert "`cot` 5 rows, `rejected` 4 rows" in changes(first)[0]
    assert dataset_card(facts(tmp_path), first) == first
    larger = facts(tmp_path / "later", manifests=[published(tmp_path / "later", "cot", [9])], version="0.2.0")
    second = dataset_card(larger, first)
    assert changes(second)[1:] == changes(first)
    assert "omr_kedro 0.2.0: `cot` 9 rows" in changes(second)[0]
    assert changes(dataset_card(larger, second + "- Dataset `<script>`\n- anything\n")) == changes(second)


def test_the_dataset_goes_up_as_its_card_says(tmp_path: Path) -> None:
    found = facts(tmp_path)
    (tmp_path / "README.md").write_text(dataset_card(found))
    paths = [file.path for manifest in found.manifests for file in manifest.files]
    assert [file.path for file in files_to_push(tmp_path)] == ["README.md", *sorted(paths)]


HOSTILE = [
    "<script>alert(1)</script>",
    "`</code><img src=x onerror=alert(1)>`",
    "a | b | c\n| --- |\n# Title",
    "[x](javascript:alert(1)) ![x](https://example.com/x.png)",
    "---\nlicense: mit\n---\n",
    "\u202ekcatta\u2066 ``` \\` \\| \\",
    "www.example.com https://example.com @someone #1",
]
texts = st.lists(st.sampled_from([*HOSTILE, *"|`\\<>*_[]()!#-:\n\t \u202e'\"", "x"]), max_size=9).map("".join)


def harmless(card: str, plain: str) -> None:
    assert read_front_matter(card) == read_front_matter(plain)
    assert kinds(card) <= kinds(plain)
    assert [len(row) for row in cells(card)] == [len(row) for row in cells(plain)]
    assert "\u202e" not in card


@given(texts)
@settings(max_examples=25)
def test_no_name_that_a_stranger_gives_is_markup(told: str) -> None:
    harmless(dataset_card(facts(NOWHERE, told, manifests=UNWRITTEN)), dataset_card(facts(NOWHERE, manifests=UNWRITTEN)))


@pytest.mark.parametrize("told", HOSTILE)
def test_a_title_is_a_title_whatever_it_holds(tmp_path: Path, told: str) -> None:
    found = facts(tmp_path, options=DescriptionOptions(title=told, sources=[told]))
    card = dataset_card(found)
    assert read_front_matter(card)["pretty_name"] == told
    assert kinds(card) <= kinds(dataset_card(facts(tmp_path))) | {"text_special"}


fields = st.recursive(
    st.none() | st.integers() | st.booleans() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1), fields, min_size=1, max_size=4), st.text())
def test_front_matter_comes_back_whatever_it_holds(values: dict[str, Any], text: str) -> None:
    card = with_front_matter(values, text)
    assert read_front_matter(card) == values
    assert yaml.safe_load(card.split("\n---\n")[0].removeprefix("---\n")) == values


def test_a_run_whose_files_and_funnel_do_not_agree_fails(tmp_path: Path) -> None:
    found = facts(tmp_path)
    check_counts(found.manifests, [SETTLED])
    with pytest.raises(CountsError, match="cot: 5 rows in its files, 6 in the funnel"):
        check_counts(found.manifests, [{**SETTLED, "rows_out": 6}])
    with pytest.raises(CountsError, match="rejected: 4 rows in its files, 5 in the funnel"):
        check_counts(found.manifests, [{**SETTLED, "failed": 2}])
    check_counts(found.manifests, [SETTLED, {**SETTLED, "stage": "settle_genselect"}])
