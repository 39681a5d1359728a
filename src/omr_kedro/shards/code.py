"""The code that a recipe rests on: part of how every shard was made.

Better code makes its tables anew, and no others. A comment, a docstring, or a parser of another stage makes none; see
`definitions` for what counts.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import cache, partial
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

from omr_kedro.shards.definitions import Modules
from omr_kedro.shards.identity import fingerprint

_PACKAGE = __name__.partition(".")[0]
_VALUES = (type(None), bool, int, float, complex, str, bytes)

DIGESTED_AS = "digested_as"
"""Attribute of a class that differs from another one in nothing that a recipe sees, and counts as that one."""

Definition = tuple[str, str]
"""Module, and name in it."""


def code_digest(*functions: Callable[..., Any]) -> str:
    """16 hex digits that change when the code of these functions does, or what was bound to them.

    Bound are the arguments of a `functools.partial`, the object of a method, and the variables that a function takes
    from around it. Plain values and functions among them count as they are. Of other objects the class counts, or the
    one that it names by `DIGESTED_AS`: what they hold is for the other parts of a fingerprint.
    """
    starts = set[Definition]()
    bound = [_described(function, starts) for function in functions]
    return fingerprint(bound, _code(frozenset(starts), _packages(functions)))[:16]


def rests_on(*functions: Callable[..., Any]) -> list[str]:
    """The definitions in the digest of these functions, by dotted name; see `Modules.reached`."""
    starts = set[Definition]()
    for function in functions:
        _described(function, starts)
    return sorted(_modules(_packages(functions)).reached(starts))


@cache
def _code(starts: frozenset[Definition], packages: frozenset[str]) -> str:
    return fingerprint(_modules(packages).reached(starts))


@cache
def _modules(packages: frozenset[str]) -> Modules:
    files = {name: text for package in packages for name, text in _source(package).items()}
    # How a digest is made decides no row.
    return Modules({name: text for name, text in files.items() if name not in {__name__, Modules.__module__}})


@cache
def _source(package: str) -> Mapping[str, str]:
    """All modules of a package, read at once: what is edited while a process runs is not what it runs."""
    module = sys.modules.get(package)
    if roots := getattr(module, "__path__", None):
        paths = {path: path.relative_to(root).with_suffix("") for root in roots for path in Path(root).rglob("*.py")}
        return {".".join((package, *name.parts)): path.read_text("utf-8") for path, name in paths.items()}
    path = Path(getattr(module, "__file__", None) or "")
    return {package: path.read_text("utf-8")} if path.suffix == ".py" else {}


def _packages(functions: Iterable[Callable[..., Any]]) -> frozenset[str]:
    """This package, and those of the functions: tests, scripts and extensions have recipes as well."""
    return frozenset({_PACKAGE, *(_package(_innermost(function)) for function in functions)})


def _innermost(function: Any) -> Any:
    while True:
        if isinstance(function, partial):
            function = function.func
        elif isinstance(function, MethodType):
            function = function.__func__
        else:
            return function


def _package(function: Any) -> str:
    return str(getattr(function, "__module__", "")).partition(".")[0]


def _described(value: Any, starts: set[Definition], around: tuple[int, ...] = ()) -> object:
    """A value as JSON can hold it; the definitions that it leads to go to `starts`."""
    if type(value) in _VALUES:
        return repr(value)
    if id(value) in around:
        return "itself"
    parts = [_described(part, starts, (*around, id(value))) for part in _parts(value)]
    return [_name(value, starts), *(sorted(parts, key=repr) if isinstance(value, set | frozenset) else parts)]


def _parts(value: Any) -> Iterable[Any]:
    """All that is bound to a value."""
    parts: Iterable[Any] = (
        (value.__wrapped__,) if hasattr(value, "__wrapped__") else ()
    )  # `functools.cache` and the like
    match value:
        case Enum():
            parts = (value.name,)
        case partial():
            parts = value.func, value.args, value.keywords
        case MethodType():
            parts = value.__func__, value.__self__
        case FunctionType():
            parts = [cell.cell_contents for cell in value.__closure__ or ()]
        case dict():
            parts = value.items()
        case list() | tuple() | set() | frozenset():
            parts = value
    return parts


def _name(value: Any, starts: set[Definition]) -> str:
    """Name of a function, or of a value's class; of a function that was typed into a notebook, its source."""
    named = value if isinstance(value, FunctionType | type) else getattr(type(value), DIGESTED_AS, type(value))
    starts.add((named.__module__, named.__qualname__.partition(".")[0]))
    typed = isinstance(named, FunctionType) and not getattr(sys.modules.get(named.__module__), "__file__", None)
    return inspect.getsource(named) if typed else f"{named.__module__}.{named.__qualname__}"
