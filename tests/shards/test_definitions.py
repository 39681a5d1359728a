from __future__ import annotations

import ast
import builtins
import textwrap
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.shards.definitions import Modules

MODULES = ("p.a", "p.b", "p.sub.c", "p.sub.d", "p.sub.deep.e")
PACKAGES = ("p", "p.sub", "p.sub.deep")
FUNCTIONS = tuple(f"{module}.{module.rpartition('.')[2]}_{number}" for module in MODULES for number in range(3))
STYLES = ("from", "from as", "relative", "import", "import as", "local", "local import", "package", "star")

edges = st.dictionaries(
    st.sampled_from(FUNCTIONS), st.dictionaries(st.sampled_from(FUNCTIONS), st.sampled_from(STYLES), max_size=3)
)
Edges = Mapping[str, Mapping[str, str]]


def how(style: str, source: str, target: str) -> tuple[str, str, str]:
    """The import at the top of the module, that inside the function, and how the function calls the target."""
    own, (module, _, name) = source.rpartition(".")[0], target.rpartition(".")
    if own == module:
        return "", "", f"{name}()"
    package = module.rpartition(".")[0]
    # Up to `p`, which all have in common, and down again.
    dots = "." * (own.count(".")) + module.removeprefix("p.")
    return {
        "from": (f"from {module} import {name}", "", f"{name}()"),
        "from as": (f"from {module} import {name} as other_{name}", "", f"other_{name}()"),
        "relative": (f"from {dots} import {name}", "", f"{name}()"),
        "import": (f"import {module}", "", f"{module}.{name}()"),
        "import as": (f"import {module} as m_{name}", "", f"m_{name}.{name}()"),
        "local": ("", f"from {module} import {name} as here_{name}", f"here_{name}()"),
        "local import": ("", f"import {module}", f"{module}.{name}()"),
        "package": (f"from {package} import {name} as again_{name}", "", f"again_{name}()"),
        "star": (f"from p.everything import {name} as starred_{name}", "", f"starred_{name}()"),
    }[style]


def package_of(edges: Edges, body: str = "") -> dict[str, str]:
    """A package with these calls between its functions, each of which is `body` before it calls."""
    files: dict[str, str] = {f"{package}.__init__": "" for package in PACKAGES}
    files["p.everything"] = "from p.stars import *\n"
    # Two modules that take all of each other: nothing ends a search but what it has seen.
    files["p.stars"] = "from p.everything import *\n" + "".join(f"from {module} import *\n" for module in MODULES)
    for module in MODULES:
        imports, functions = [], []
        for function in FUNCTIONS:
            if function.rpartition(".")[0] == module:
                calls = [how(style, function, target) for target, style in edges.get(function, {}).items()]
                imports += [top for top, _, _ in calls]
                lines = [*body.splitlines(), *(line for _, local, call in calls for line in (local, call)), "pass"]
                name = function.rpartition(".")[2]
                functions.append(f"def {name}():\n" + textwrap.indent("\n".join(lines), "    "))
        files[module] = "\n".join([*imports, *functions]) + "\n"
        package = module.rpartition(".")[0]
        names = ", ".join(function.rpartition(".")[2] for function in FUNCTIONS if function.startswith(f"{module}."))
        files[f"{package}.__init__"] += f"from .{module.rpartition('.')[2]} import {names}\n"
    return files


def reachable(edges: Edges, start: str) -> set[str]:
    seen, waiting = {start}, [start]
    while waiting:
        new = set(edges.get(waiting.pop(), {})) - seen
        seen |= new
        waiting += new
    return seen


def reached(files: Mapping[str, str], start: str) -> dict[str, str]:
    module, _, name = start.rpartition(".")
    return Modules(files).reached([(module, name)])


@given(edges, st.sampled_from(FUNCTIONS))
def test_those_definitions_are_found_that_calls_lead_to_and_no_others(edges: Edges, start: str) -> None:
    files = package_of(edges)
    for text in files.values():
        ast.parse(text)
    assert set(reached(files, start)) & set(FUNCTIONS) == reachable(edges, start)


@given(edges, st.sampled_from(FUNCTIONS), st.sampled_from(FUNCTIONS))
def test_an_edit_is_seen_by_those_that_rest_on_it(edges: Edges, start: str, edited: str) -> None:
    files = package_of(edges)
    module, _, name = edited.rpartition(".")
    changed = {**files, module: files[module].replace(f"def {name}():\n", f"def {name}():\n    print(2)\n")}
    assert (reached(files, start) != reached(changed, start)) == (edited in reachable(edges, start))


@given(edges, st.sampled_from(FUNCTIONS))
def test_docstrings_comments_and_layout_are_not_code(edges: Edges, start: str) -> None:
    plain = package_of(edges)
    dressed = {
        name: '"""A module."""\n# a comment\n\n\n' + text.replace("\n    pass", "  # another\n\n    pass")
        for name, text in package_of(edges, body='"""A docstring."""').items()
    }
    assert reached(plain, start) == reached(dressed, start)


def found(text: str, start: str = "f", **others: str) -> set[str]:
    files = {"p.__init__": "", "p.m": textwrap.dedent(text), **{f"p.{name}": code for name, code in others.items()}}
    names = reached(files, f"p.m.{start}")
    return {name.removeprefix("p.m.") for name in names}


def test_constants_classes_annotations_and_defaults_count() -> None:
    text = """
        LIMIT = 3
        UNUSED = 4
        class Base: pass
        class Row(Base): pass
        def check(wrapped): return wrapped
        def f(row: Row, most=LIMIT): return row
    """
    assert found(text) == {"f", "LIMIT", "Row", "Base"}


def test_what_changes_a_name_is_part_of_what_it_is() -> None:
    text = """
        TABLE = {}
        TABLE["a"] = one
        TABLE.most = two
        def one(): pass
        def two(): pass
        def three(): pass
        def f(): return TABLE
    """
    assert found(text) == {"f", "TABLE", "one", "two"}


def test_statements_that_may_change_something_elsewhere_count_with_all_of_their_module() -> None:
    text = """
        from functools import cache
        from p.registry import register
        @register
        def parser(): return helper()
        def helper(): pass
        @cache
        def kept(): return unused()
        def unused(): pass
        def f(): pass
    """
    names = found(text, registry="def register(function): return function")
    assert {"f", "helper", "p.registry.register"} <= names
    assert not {"kept", "unused"} & names
    assert {"f", "helper"} <= found("register(helper)\ndef helper(): pass\ndef f(): pass")


def test_what_importing_a_package_does_counts_with_its_modules() -> None:
    for statement in ("os.environ['A'] = '{}'", "os.putenv('A', '{}')"):
        one, two = (
            reached({"p.__init__": f"import os\n{statement.format(value)}\n", "p.m": "def f(): pass"}, "p.m.f")
            for value in (1, 2)
        )
        assert one.keys() == two.keys() == {"import p", "p.os", "p.m.f"}
        assert one != two


def test_names_that_are_bound_in_one_of_several_ways_count_in_all_of_them() -> None:
    text = """
        try:
            from p.fast import parse
        except ImportError:
            from p.slow import parse
        def f(): return parse()
    """
    names = found(text, fast="def parse(): pass\ndef other(): pass", slow="def parse(): pass")
    assert {"p.fast.parse", "p.slow.parse"} <= names
    assert "p.fast.other" not in names


def test_a_name_that_the_module_does_not_know_stands_for_all_of_it() -> None:
    assert found("def f(): pass\ndef g(): pass\nh = lambda: f()", start="<lambda>") == {"f", "g", "h"}


def test_imports_for_type_checkers_do_not_count() -> None:
    text = """
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from p.engine import Engine
        def f(engine: Engine): pass
    """
    assert "p.engine.Engine" not in found(text, engine="class Engine: pass")


def test_a_module_that_is_passed_around_counts_as_a_whole() -> None:
    worker = "def work(): pass\ndef helper(): pass\n"
    assert {"p.worker.work", "p.worker.helper"} <= found("from p import worker\ndef f(): run(worker)", worker=worker)
    assert {"p.worker.work", "p.worker.helper"} <= found("import p.worker\ndef f(): p.worker.__file__", worker=worker)
    only = found("from p import worker\ndef f(): worker.work()", worker=worker)
    assert "p.worker.work" in only
    assert "p.worker.helper" not in only


def test_what_comes_from_another_package_counts_by_its_name_alone() -> None:
    one, other = (
        reached({"p.m": f"from {name} import loads\ndef f(): loads()"}, "p.m.f") for name in ("json", "orjson")
    )
    assert one.keys() == other.keys() == {"p.m.f", "p.m.loads"}
    assert one != other


@pytest.mark.parametrize("name", ["missing", *sorted(dir(builtins))[-3:]])
def test_unknown_names_lead_nowhere(name: str) -> None:
    assert found(f"def f(): {name}()") == {"f"}


def test_the_code_of_a_definition_is_written_alike_by_every_version_of_python() -> None:
    text = "async def f(x: int, /, *y, z=None) -> str:"
    (code,) = reached({"p.m": f"{text}\n    return f'{{x!r:>{{z}}}} {{{{}}}}' 'b' if ... else 1.5"}, "p.m.f").values()
    assert code == (
        "['AsyncFunctionDef', ['name', 'f'], ['args', ['arguments', ['posonlyargs', [['arg', ['arg', 'x'], "
        "['annotation', ['Name', ['id', 'int']]]]]], ['vararg', ['arg', ['arg', 'y']]], ['kwonlyargs', [['arg', "
        "['arg', 'z']]]], ['kw_defaults', [['Constant']]]]], ['body', [['Return', ['value', ['IfExp', ['test', "
        "['Constant', ['value', Ellipsis]]], ['body', ['JoinedStr', ['values', [['FormattedValue', ['value', ['Name', "
        "['id', 'x']]], ['conversion', 114], ['format_spec', ['JoinedStr', ['values', [['Constant', ['value', '>']], "
        "['FormattedValue', ['value', ['Name', ['id', 'z']]], ['conversion', -1]]]]]]], ['Constant', ['value', "
        "' {}b']]]]]], ['orelse', ['Constant', ['value', 1.5]]]]]]]], ['returns', ['Name', ['id', 'str']]]]"
    )
