from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kedro.pipeline import Node

from omr_kedro.answers import Finding, Limits
from omr_kedro.pipeline_registry import register_pipelines
from omr_kedro.shards import code_digest, map_shards
from omr_kedro.shards.code import rests_on
from omr_kedro.text import parse_label
from tests.support.bound import bound, rows
from tests.support.tables import shards_of

NO_TABLES = {"model_preparation.check_model"}
NODES = [node for node in register_pipelines()["problem_generation"].nodes if node.name not in NO_TABLES]


def digest_of(value: Any) -> str:
    """Of a function that takes a value from around it."""
    return code_digest(lambda: value)


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_no_table_rests_on_how_models_are_asked_or_where_nodes_run(node: Node) -> None:
    names = rests_on(node.func)
    assert f"{node.func.__module__}.{node.func.__qualname__}" in names
    rooms = ("llm.engine", "llm.endpoint", "llm.serving", "runners", "datasets", "lineage", "estimate", "offline_model")
    assert not [name for name in names if name.startswith(tuple(f"omr_kedro.{room}" for room in rooms))]


def test_asking_rests_on_no_parser_and_reading_on_its_own() -> None:
    asked, read = (
        {
            name.rpartition(".")[0]
            for node in NODES
            if node.name.startswith(f"classify_problems.{kind}_")
            for name in rests_on(node.func)
        }
        for kind in ("ask", "read")
    )
    assert "omr_kedro.llm.calls.prompt" in asked & read
    assert not any(module.startswith("omr_kedro.text") for module in asked)
    assert {"omr_kedro.text.labels", "omr_kedro.text.replies"} <= read
    assert "omr_kedro.text.conversion" not in read


def test_every_process_finds_the_same() -> None:
    script = (
        "from omr_kedro.pipeline_registry import register_pipelines\n"
        "from omr_kedro.shards import code_digest\n"
        "print([code_digest(node.func) for node in register_pipelines()['problem_generation'].nodes])"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(found) == 1


def test_a_script_that_a_node_starts_as_a_process_counts() -> None:
    (node,) = (node for node in NODES if node.name == "assess_answers.assess_answers")
    assert "omr_kedro.answers.grading_worker" in {name.rpartition(".")[0] for name in rests_on(node.func)}


def test_what_is_bound_to_a_function_counts() -> None:
    assert code_digest(partial(rows, 2)) == code_digest(partial(rows, 2))
    assert code_digest(partial(rows, 2)) != code_digest(partial(rows, 3))
    values = [2, 2.0, "2", None, True, (2,), [2, 3], {"a": 2}, {"b": 2}, {2, 3}, Finding.FORM_CLASH, Finding.NON_ANSWER]
    assert len({digest_of(value) for value in values}) == len(values)
    assert digest_of(frozenset({"a", "b", "c"})) == digest_of(frozenset({"c", "b", "a"}))


def test_a_function_counts_wherever_it_is_bound() -> None:
    names = [rests_on(function) for function in bound(rows)]
    more = [rests_on(function) for function in bound(parse_label)]
    for without, found in zip(names, more, strict=True):
        assert set(found) - set(without) >= {"omr_kedro.text.labels.parse_label", "omr_kedro.text.replies.final_text"}
        assert not any(name.startswith(("omr_kedro.text.labels", "omr_kedro.text.conversion")) for name in without)


def test_of_an_object_the_class_counts_and_what_it_holds_does_not() -> None:
    assert digest_of(Limits(1.0)) == digest_of(Limits(2.0))
    assert digest_of(Limits(1.0)) != digest_of(Path())

    class Maker:
        def make(self) -> None: ...

    assert "tests.shards.test_code.test_of_an_object_the_class_counts_and_what_it_holds_does_not" in rests_on(
        Maker().make
    )


def test_a_function_may_name_itself() -> None:
    def down(n: int) -> int:
        return down(n - 1) if n else 0

    assert code_digest(down) == code_digest(down)


def test_a_fingerprint_changes_with_what_is_bound_to_its_function() -> None:
    numbers = shards_of([{"n": 1}])
    two, again, three = (map_shards(partial(rows, factor), numbers).fingerprints for factor in (2, 2, 3))
    assert two == again != three


def imported(folder: Path, files: dict[str, str], call: str) -> str:
    """Output of another process that imports a package of these files."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    paths = os.pathsep.join((str(folder), *sys.path))
    command = f"from mine.nodes import make\nfrom omr_kedro.shards import code_digest\nprint({call})"
    return subprocess.run(
        [sys.executable, "-c", command],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_code_of_a_package_of_ones_own_counts_as_this_packages_does(tmp_path: Path) -> None:
    files = {
        "mine/__init__.py": "from mine.parsing import parse\n",
        "mine/parsing.py": "def parse(text):\n    return text\n\n\ndef other(text):\n    return None\n",
        "mine/nodes.py": "from mine import parse\n\n\ndef make(shard):\n    return parse(shard)\n",
    }
    first = imported(tmp_path, files, "code_digest(make)")
    for name, before, after, same in (
        ("mine/parsing.py", "def parse(text):\n", 'def parse(text):\n    """A docstring."""  # and a comment\n', True),
        ("mine/parsing.py", "return None", "return 1", True),
        ("mine/parsing.py", "return text", "return text.strip()", False),
    ):
        edited = {**files, name: files[name].replace(before, after)}
        assert edited != files
        assert (imported(tmp_path, edited, "code_digest(make)") == first) == same


def test_a_function_that_was_typed_in_counts_by_what_was_typed() -> None:
    script = (
        "import linecache\n"
        "from omr_kedro.shards import code_digest\n"
        "def typed(body):\n"
        "    text = f'def make(): return {body}'\n"
        "    linecache.cache['<cell>'] = (len(text), None, text.splitlines(True), '<cell>')\n"
        "    names = {'__name__': '__main__'}\n"
        "    exec(compile(text, '<cell>', 'exec'), names)\n"
        "    return code_digest(names['make'])\n"
        "print(typed(1) == typed(1), typed(1) == typed(2))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "False"], done.stderr
