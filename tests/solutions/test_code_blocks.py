from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.solutions.code_blocks import FENCED, TOOL_CALL, CodeTags

TAGS = pytest.mark.parametrize("tags", [FENCED, TOOL_CALL])


@TAGS
def test_the_code_of_the_block_that_a_text_ends_with_is_found(tags: CodeTags) -> None:
    text = f"Let us compute.\n{tags.begin}\nx = 1\nprint(x)\n{tags.end}\n"
    assert tags.code_at_end(text) == "x = 1\nprint(x)"


@TAGS
def test_a_text_is_split_where_the_block_begins_that_it_ends_with(tags: CodeTags) -> None:
    before = f"One.\n{tags.begin}\nx = 0\n{tags.end}\nTwo."
    assert tags.split_at_end(f"{before}\n{tags.begin}\nx = 1\n{tags.end}\n") == (before, "x = 1")
    assert tags.split_at_end(before) is None


@TAGS
def test_a_text_that_ends_otherwise_has_no_code_to_run(tags: CodeTags) -> None:
    block = f"{tags.begin}\nprint(1)\n{tags.end}\n"
    assert tags.code_at_end(f"{block}and so the answer is 1.") is None
    assert tags.code_at_end(f"{tags.begin}\nprint(1)") is None
    assert tags.code_at_end(f"no begin\nprint(1)\n{tags.end}") is None


@TAGS
def test_of_several_blocks_the_last_is_run(tags: CodeTags) -> None:
    blocks = "".join(f"{tags.begin}\nprint({number})\n{tags.end}\ntext\n" for number in (1, 2))
    assert tags.code_at_end(blocks.removesuffix("text\n")) == "print(2)"


@TAGS
@given(output=st.text(alphabet=st.sampled_from("a`<>/\n output_cl"), max_size=60))
def test_no_output_ends_its_block_or_begins_another(tags: CodeTags, output: str) -> None:
    shown = tags.output(output)
    lines = shown.strip("\n").split("\n")
    assert lines[0] == tags.output_begin
    assert lines[-1] == tags.output_end
    inside = [line.rstrip() for line in lines[1:-1]]
    assert not {tags.begin, tags.end, tags.output_begin, tags.output_end} & set(inside)


def test_output_that_was_cut_leaves_the_fence_alone() -> None:
    assert FENCED.output("12<output cut>") == "\n```output\n12<output cut>\n```\n"
    assert FENCED.output("") == "\n```output\n```\n"


def test_the_model_is_told_how_much_code_is_left_where_that_is_wanted() -> None:
    assert FENCED.output("1\n", 2).endswith("```\n```system\nCode may be run 2 more times.\n```\n")
    assert FENCED.output("1\n", 0).endswith("```system\nNo more code is run.\n```\n")
    assert "system" not in FENCED.output("1\n")


def test_a_fence_that_begins_a_block_does_not_stop_the_model() -> None:
    assert FENCED.stop not in f"{FENCED.begin}\n"
    assert FENCED.stop in f"print(1)\n{FENCED.end}\n"
