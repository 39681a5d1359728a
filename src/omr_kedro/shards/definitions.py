"""The definitions that a definition rests on, found by reading source and running none of it.

A definition is what a module binds to a name: a function, a class, a constant, an import from elsewhere. It rests on
each definition that it names, and so on. An import is followed by name, through any number of re-exports: a node that
takes `parse_label` from `omr_kedro.text` rests on `omr_kedro.text.labels`, and on no other parser.

In doubt too much counts: a name that a function has for its own counts as the module's as well; a module that is passed
around as a value, or asked for something that it does not define, counts as a whole; what may change something
elsewhere (`register(parser)`, a decorator that is not Python's own) counts with every definition of its module. What is
found at run time alone is not seen: an import whose name is put together, a registry that classes enter by being
defined.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property
from typing import NamedTuple, TypeGuard

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_IMPORTS = (ast.Import, ast.ImportFrom)
_COMPOUND = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.TryStar, ast.Match)
_BUILTINS = frozenset(dir(builtins))
_UNSEEN = {"ctx", "kind", "type_comment"}
"""Fields of a syntax tree that say nothing which its other fields do not."""
_EFFECTS = ""
"""In place of a name: the statements of a module that may change something elsewhere."""


class Reference(NamedTuple):
    """A dotted name, to be looked up in a module."""

    module: str
    parts: tuple[str, ...]
    """Without any, all of the module."""
    member: bool
    """Whether the module must have it; a name inside a function may as well be its own, or a builtin."""

    @property
    def head(self) -> str:
        """The name that the module binds."""
        return self.parts[0] if self.parts else _EFFECTS


class Modules:
    """The modules of some packages, as text."""

    def __init__(self, files: Mapping[str, str]) -> None:
        """Take them; a module is parsed when it is first needed.

        Args:
            files: source by dotted path, `a.__init__` for that of the package `a`.
        """
        self._files = files
        self._module = cache(self._parsed)
        self._leads = cache(self._followed)

    def reached(self, starts: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Follow some definitions to all that they rest on.

        Args:
            starts: module and name of each; those that are not here are passed over.

        Returns:
            Code by dotted name, without comments, docstrings and layout, written alike by every version of Python.
            `import a.b` stands for what importing this module may change elsewhere.
        """
        # A lambda has no name that its module knows: then all of the module counts.
        waiting = [Reference(module, (name,), member=True) for module, name in starts if self._module(module)]
        seen = set(waiting)
        while waiting:
            leads = self._leads(waiting.pop()) - seen
            seen |= leads
            waiting += leads
        found = sorted({(reference.module, reference.head) for reference in seen})
        codes = {f"{name}.{head}" if head else f"import {name}": self._code(name, head) for name, head in found}
        return {name: code for name, code in codes.items() if code}

    def _code(self, name: str, head: str) -> str:
        module = self._module(name)
        return module.code_of(head) if module else ""

    def _followed(self, reference: Reference) -> frozenset[Reference]:
        """Where a reference leads in one step; names that lead nowhere are most, and are left out at once."""
        module = self._module(reference.module)
        assert module is not None, "else it would lead nowhere"  # noqa: S101
        return frozenset(lead for lead in self._all_leads(module, reference) if self._leads_on(lead))

    def _leads_on(self, reference: Reference) -> bool:
        module = self._module(reference.module)
        if module is None:
            return False
        known = reference.head in module.definitions or reference.head in module.imports
        return known or reference.member or bool(module.stars) or self._inner(reference) is not None

    def _all_leads(self, module: _Module, reference: Reference) -> Iterator[Reference]:
        head, *rest = reference.parts or (_EFFECTS,)
        for statement in module.definitions.get(head, ()):
            yield from statement.references
        if head == _EFFECTS:
            # A package is imported before what is in it.
            yield Reference(module.name.rpartition(".")[0], (_EFFECTS,), member=True)
        else:
            yield Reference(module.name, (_EFFECTS,), member=True)
        if not reference.parts:
            yield from (Reference(module.name, (name,), member=False) for name in module.names)
            yield from (Reference(star, (), member=True) for star in module.stars)
            return
        for target in module.imports.get(head, ()):
            yield target.extended(rest)
        for star in module.stars:
            yield Reference(star, reference.parts, member=False)
        if head in module.names or head == _EFFECTS:
            return
        if inner := self._inner(reference):
            yield Reference(inner, tuple(rest), member=True)
        elif reference.member and not module.stars:
            yield Reference(module.name, (), member=True)

    def _inner(self, reference: Reference) -> str | None:
        """The module that is in a package under this name."""
        name = f"{reference.module}.{reference.head}"
        return name if self._module(name) else None

    def _parsed(self, name: str) -> _Module | None:
        package = f"{name}.__init__"
        if package in self._files:
            return _Module(name, name, ast.parse(self._files[package]))
        if name in self._files:
            return _Module(name, name.rpartition(".")[0], ast.parse(self._files[name]))
        return None


class _Import(NamedTuple):
    """A module, or a name in one."""

    module: str
    name: str | None

    def extended(self, rest: Iterable[str]) -> Reference:
        """The name behind a dot, to be looked up in what was imported."""
        return Reference(self.module, (*((self.name,) if self.name else ()), *rest), member=True)


class _Statement:
    """One statement at the top of a module."""

    def __init__(self, node: ast.stmt, module: _Module) -> None:
        self._node, self._module = node, module

    @cached_property
    def code(self) -> str:
        """Its code, without what decides nothing."""
        return repr(_canonical(self._node))

    @cached_property
    def references(self) -> set[Reference]:
        """All that it names."""
        found = set[Reference]()
        imports = defaultdict[str, list[_Import]](list)
        named = _found_in(self._node)
        for name, target in _bound_by(named.imports, self._module.package):
            imports[name].append(target)
        for head, *rest in named.names:
            found.add(Reference(self._module.name, (head, *rest), member=False))
            found |= {target.extended(rest) for target in imports.get(head, ())}
        return found


class _Module:
    """The names that a module binds, and how."""

    def __init__(self, name: str, package: str, tree: ast.Module) -> None:
        self.name, self.package = name, package
        self.definitions = defaultdict[str, list[_Statement]](list)
        self.imports = defaultdict[str, list[_Import]](list)
        self.stars: list[str] = []
        for node in tree.body:
            self._take(node)
        self.names = {*self.definitions, *self.imports} - {_EFFECTS}

    def code_of(self, name: str) -> str:
        """All that binds the name; empty where nothing does."""
        statements = (statement.code for statement in self.definitions.get(name, ()))
        # What an import brings from another package has no code here; where it comes from is known.
        imports = (repr(tuple(target)) for target in self.imports.get(name, ()))
        return "\n".join([*statements, *imports])

    def _take(self, node: ast.stmt) -> None:
        if _is_string(node):
            return
        if _checks_types(node):
            for other in node.orelse:
                self._take(other)
            return
        if isinstance(node, (*_COMPOUND, *_IMPORTS)):
            for name, target in _bound_by(_found_in(node).imports, self.package):
                self._import(name, target)
        if isinstance(node, _IMPORTS):
            return
        names = _bound_names(node)
        statement = _Statement(node, self)
        for name in names:
            self.definitions[name].append(statement)
        changes_others = not names or names & self.imports.keys() or isinstance(node, (*_COMPOUND, ast.Expr))
        if changes_others or self._may_register(node):
            self.definitions[_EFFECTS].append(statement)

    def _may_register(self, node: ast.stmt) -> bool:
        decorators = node.decorator_list if isinstance(node, _DEFINITIONS) else []
        heads = {head for decorator in decorators for head, *_ in _found_in(decorator).names}
        origins = {target.module.partition(".")[0] for head in heads for target in self.imports.get(head, ())}
        return not heads <= self.imports.keys() | _BUILTINS or not origins <= sys.stdlib_module_names

    def _import(self, name: str, target: _Import) -> None:
        if name == "*":
            self.stars.append(target.module)
        else:
            self.imports[name].append(target)


def _bound_by(nodes: Iterable[ast.Import | ast.ImportFrom], package: str) -> Iterator[tuple[str, _Import]]:
    """The names that imports in a package bind, and to what."""
    for node in nodes:
        for alias in node.names:
            first = alias.name.partition(".")[0]
            if isinstance(node, ast.ImportFrom):
                yield alias.asname or alias.name, _Import(_absolute(node, package), alias.name)
            else:
                yield (alias.asname, _Import(alias.name, None)) if alias.asname else (first, _Import(first, None))


def _absolute(node: ast.ImportFrom, package: str) -> str:
    parts = package.split(".")
    above = parts[: len(parts) - node.level + 1] if node.level else []
    return ".".join([*above, *filter(None, [node.module])])


def _bound_names(node: ast.AST) -> set[str]:
    """The names that a statement binds or changes: `table["key"] = 1` changes what `table` is."""
    if isinstance(node, _DEFINITIONS):
        return {node.name}
    targets = [*getattr(node, "targets", ()), *filter(None, [getattr(node, "target", None)])]
    changed = {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    stored = {node.id} if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else set()
    return (changed | stored).union(*map(_bound_names, ast.iter_child_nodes(node)))


class _Found(NamedTuple):
    """All that a piece of code names, without what is there for type checkers alone."""

    names: list[tuple[str, ...]]
    """Each with the attributes behind it: `text.labels.parse` is one."""
    imports: list[ast.Import | ast.ImportFrom]


def _found_in(node: ast.AST) -> _Found:
    found = _Found([], [])
    _find(node, found)
    return found


def _find(node: ast.AST, found: _Found) -> None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        found.names.append((node.id, *reversed(parts)))
    elif isinstance(node, _IMPORTS):
        found.imports.append(node)
    else:
        for child in node.orelse if _checks_types(node) else ast.iter_child_nodes(node):
            _find(child, found)


def _checks_types(node: ast.AST) -> TypeGuard[ast.If]:
    return isinstance(node, ast.If) and _found_in(node.test).names in (
        [("TYPE_CHECKING",)],
        [("typing", "TYPE_CHECKING")],
    )


def _is_string(node: object) -> bool:
    """Whether it is a docstring, or another string that stands by itself."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _canonical(value: object) -> object:
    """A syntax tree as nested lists, the same in every version of Python that can parse the code.

    `ast.dump` and `ast.unparse` write what newer versions have added. A job may run under another version than the
    process that submits it, and both must agree on what a table rests on.
    """
    if isinstance(value, ast.AST):
        parts = [(name, part) for name, part in ast.iter_fields(value) if name not in _UNSEEN]
        return [
            type(value).__name__,
            *([name, _canonical(part)] for name, part in parts if part is not None and part != []),
        ]
    if isinstance(value, list):
        return [_canonical(item) for item in value if not _is_string(item)]
    return value
