from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kedro.pipeline import Node, Pipeline

from omr_kedro.selection import check_environment, selected
from omr_kedro.shards import OmrError
from omr_kedro.shards.names import UnknownNameError


def copy(value: Any) -> Any:
    return value


PIPELINES = {
    name: Pipeline([Node(copy, start, end, name=f"copy_{end}", tags=[tag], namespace=name)])
    for name, start, end, tag in [("first", "a", "b", "gpu"), ("second", "b", "c", "cpu")]
}
PIPELINES["__default__"] = PIPELINES["first"] + PIPELINES["second"]


@pytest.mark.parametrize(
    ("names", "filters", "words"),
    [
        (["frist"], {}, "pipeline 'frist'. Did you mean first? Known: first, second."),
        ([], {"node_names": ["copy_d"]}, "node 'copy_d'. Did you mean"),
        (["first"], {"from_nodes": ["second.copy_c"]}, "node 'second.copy_c'. Did you mean first.copy_b?"),
        ([], {"tags": ["gup"]}, "tag 'gup'. Did you mean gpu?"),
        ([], {"to_outputs": ["first.d"]}, "dataset 'first.d'"),
        ([], {"node_namespaces": ["secnd"]}, "namespace 'secnd'. Did you mean second?"),
    ],
)
def test_a_name_that_is_not_there_is_answered_with_those_that_are(
    names: list[str], filters: dict[str, list[str]], words: str
) -> None:
    with pytest.raises(UnknownNameError) as refused:
        selected(PIPELINES, names, filters)
    assert words in str(refused.value)


def test_names_that_fit_no_node_together_are_repeated() -> None:
    with pytest.raises(OmrError, match=r"No node of first fits all .*: tags gpu, node names first\.copy_b, to nodes"):
        selected(
            {**PIPELINES, "first": PIPELINES["__default__"]},
            ["first"],
            {
                "tags": ["gpu"],
                "node_names": ["first.copy_b"],
                "to_nodes": ["second.copy_c"],
                "from_inputs": ["b"],
            },
        )


def test_what_is_there_is_selected() -> None:
    assert len(selected(PIPELINES, [], {"tags": ()}).nodes) == 2
    assert [node.name for node in selected(PIPELINES, [], {"tags": ["gpu"]}).nodes] == ["first.copy_b"]


def test_an_environment_is_a_folder_of_the_configuration(tmp_path: Path) -> None:
    for name in ("base", "offline", ".hidden"):
        (tmp_path / name).mkdir()
    check_environment("offline", tmp_path)
    check_environment(None, tmp_path)
    check_environment("offlne", tmp_path / "an-archive.tar.gz")
    with pytest.raises(UnknownNameError, match=r"'offlne'. Did you mean offline\? Known: base, offline\.$"):
        check_environment("offlne", tmp_path)
