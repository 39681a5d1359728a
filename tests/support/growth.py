"""Measures how the time of readers grows with hostile texts: `python -m tests.support.growth FIRST`.

Readers, from number FIRST on, are found rather than listed: the patterns of all modules of the packages that read
foreign text, each used as its module uses it, and their functions that take nothing but texts. Lines of JSON say what
is measured; a reader that takes too long ends the process with SIGPROF.
"""

from __future__ import annotations

import ast
import gc
import importlib
import inspect
import json
import pkgutil
import re
import signal
import sys
import time
import typing
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Any

from omr_kedro import answers, offline_model, text
from omr_kedro.answers.lexer import UnclearError
from omr_kedro.offline_model.forum import without_blocks
from omr_kedro.text import TokenCounter, parse_label
from omr_kedro.text.candidates import show_candidates, shown_candidates
from omr_kedro.text.choices import parse_choice
from omr_kedro.text.discussions import cut_at_sentence, fit_thread, join_as_original
from tests.support.hostile_texts import shapes

SMALL, LARGE = 25_000, 200_000
HANGS_S = 20.0
"""CPU seconds after which a case hangs: linear ones take less than one."""
SLOW_S = 0.01
"""CPU seconds (400 ns a character) from which on, at the small size, a case is measured at the large one. What is
faster there takes less than a second at the large size even if time grows with the square."""
_SLOWEST = 6
"""Shapes of a reader that are measured at the large size, if they are slow: what grows fastest is among them."""
_READ = (answers, offline_model, text)
_NOT_READ = {"__main__", "grading_worker"}
_WHOLE = ("match", "fullmatch")
_ANYWHERE = {"search", "finditer", "findall", "sub", "split", "pattern"}

Reader = Callable[[str], object]


@cache
def readers() -> dict[str, Reader]:
    """All readers of foreign text, by name."""
    found: dict[str, Reader] = {}
    for module in _modules():
        found |= dict(_patterns(module))
        found |= dict(_functions(module))
    return found | _OTHERS


def _modules() -> Iterator[ModuleType]:
    for package in _READ:
        for module in pkgutil.iter_modules(package.__path__):
            if module.name not in _NOT_READ:
                yield importlib.import_module(f"{package.__name__}.{module.name}")


def _patterns(module: ModuleType) -> Iterator[tuple[str, Reader]]:
    uses = defaultdict(set)
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            uses[node.value.id].add(node.attr)
    for name, value in vars(module).items():
        for number, pattern in enumerate(_patterns_in(value)):
            ways = [way for way in _WHOLE if way in uses[name]]
            if not ways or uses[name] & _ANYWHERE:
                ways.append("finditer")
            for way in ways:
                yield f"{module.__name__}.{name}[{number}].{way}", _consumed(getattr(pattern, way))


def _patterns_in(value: object) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, tuple | list):
        for inside in value:
            yield from _patterns_in(inside)


def _functions(module: ModuleType) -> Iterator[tuple[str, Reader]]:
    for name, function in vars(module).items():
        # Caches remember the text of the call before.
        plain = inspect.unwrap(function) if callable(function) else None
        if not inspect.isfunction(plain) or plain.__module__ != module.__name__ or name.startswith("_"):
            continue
        types = typing.get_type_hints(plain)
        needed = [p.name for p in inspect.signature(plain).parameters.values() if p.default is p.empty]
        # Names are ours, texts are foreign.
        if needed and "name" not in needed and all(types.get(parameter) is str for parameter in needed):
            yield f"{module.__name__}.{name}", _consumed(_of_texts(plain, len(needed)))


def _of_texts(function: Callable[..., object], count: int) -> Reader:
    """The function of one text; the others differ from it, as equal ones are often a case of its own."""
    return lambda text: function(*(text + " z" * number for number in range(count)))


def _consumed(read: Callable[[str], Any]) -> Reader:
    def consume(text: str) -> None:
        result = read(text)
        if isinstance(result, Iterator):
            deque(result, maxlen=0)

    return consume


def _whole(text: str) -> str:
    """The text as records give it, who refuse halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode()


_BYTES = TokenCounter(None, "bytes")
_OTHERS: dict[str, Reader] = {
    "parse_choice": lambda text: parse_choice(text, 5),
    "show_candidates": lambda text: shown_candidates(show_candidates([text, text])),
    "parse_label": lambda text: parse_label(text, ("proof", "not proof")),
    "cut_at_sentence": lambda text: cut_at_sentence(_whole(text), len(text) // 2),
    "fit_thread": lambda text: fit_thread(_whole(text), [_whole(text)] * 2, len(text) + 100, _BYTES),
    "blocks": lambda text: without_blocks(text, "quote"),
    "join_as_original": lambda text: join_as_original([_whole(text)] * 2, len(text) + 100, _BYTES),
}
"""Readers that take more than texts."""


def measure(first: int) -> Iterator[dict[str, Any]]:
    """Measure the readers from number `first` on: all shapes at the small size, the slowest of them at the large one.

    Yields:
        `reader` (its number) and `shape` before each measurement; `small`, `large` (CPU seconds; None where it was not
        measured) and `error` with them after those at the large size, and after errors.
    """
    makers = shapes()
    # The time that it takes to look for garbage grows with what there is, whatever the reader does.
    gc.disable()
    for number, read in enumerate(list(readers().values())[first:], start=first):
        small: dict[str, float] = {}
        for shape, make in makers.items():
            case = {"reader": number, "shape": shape}
            yield case
            small[shape], error = _seconds(read, make(SMALL))
            if error:
                yield {**case, "small": small[shape], "large": None, "error": error}
        slowest = sorted(small, key=small.__getitem__)[-_SLOWEST:]
        for shape in (shape for shape in slowest if small[shape] > SLOW_S):
            case = {"reader": number, "shape": shape}
            yield case
            large, error = _seconds(read, makers[shape](LARGE))
            yield {**case, "small": small[shape], "large": large, "error": error}


def _seconds(read: Reader, text: str) -> tuple[float, str]:
    signal.setitimer(signal.ITIMER_PROF, HANGS_S)
    error = ""
    start = time.process_time()
    try:
        read(text)
    except UnclearError:
        pass  # how the lexer says no
    except Exception as raised:
        error = f"{type(raised).__name__}: {str(raised)[:100]}"
    seconds = time.process_time() - start
    signal.setitimer(signal.ITIMER_PROF, 0)
    return seconds, error


if __name__ == "__main__":
    for line in measure(int(sys.argv[1])):
        print(json.dumps(line), flush=True)
