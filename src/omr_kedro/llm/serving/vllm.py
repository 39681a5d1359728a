"""Whether the words after `vllm serve` mean anything to vLLM: told before a job waits for GPUs, and without vLLM.

The options are those of one version, taken from the parser in its wheel: `vllm_options.json` says which. What vLLM only
finds out with the model at hand (heads that do not divide, an unknown quantization) stays unsaid here.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from types import MappingProxyType

_NEGATIVE_NUMBER = re.compile(r"-\d+")
_SIZE = re.compile(r"(\d+)(?:\.\d+(?=[a-z]))?[kmgtKMGT]?")
_SIZE_IN_JSON = re.compile(r'("(?:[^"\\]|\\.)*")|\b(\d+)(?:\.\d+(?=[a-z]))?[kmgtKMGT]\b')
_OPTIMIZATION = re.compile(r"-O=?(.+)", re.DOTALL)
_OPTIMIZATION_LEVELS = frozenset("0123")
_JSON_KINDS = frozenset({"json", "object", "json or text"})
_BARE_KINDS = frozenset({"flag", "switch"})
_LISTS = ("aliases", "choices", "keys")
_NO_VALUE = ("", "None")
_SHOWN_CHARS = 60


def check_options(args: Sequence[str], reserved: Collection[str] = ()) -> list[str]:
    """Faults of the words after `vllm serve`, in their order; nothing when vLLM's parser would take them.

    All of vLLM's spellings are understood: `--name value`, `--name=value`, `--a_name`, `-tp 4`, `-q=fp8`, `-O3`,
    `--no-name`, `--disable-x` for `--enable-x`, and `--config-name.key value` for a JSON option.
    Stricter than vLLM in three things: an option given twice (vLLM keeps the last), a name cut short (vLLM guesses, and
    one could reach a reserved option by it), and a model tag that does not come first. What a `--config` file holds is
    not looked into: reserve `config` to keep it out.

    Args:
        args: the words, perhaps with the model tag first.
        reserved: options that the caller sets itself, with or without dashes: `port`, `--node-rank`, `tp`.

    Returns:
        One sentence for each complaint. Values of unknown options are not repeated: a misspelt one may carry a key.
    """
    words = [str(word) for word in args]
    tagged = bool(words) and not _is_option(words[0])
    uses = list(_uses(words[tagged:]))
    owned = {option.name for name in reserved if (option := _option_named(str(name)))}
    first: dict[str, str] = {"model": "the model tag"} if tagged else {}
    complaints: list[str] = []
    for use in uses:
        complaints += _complaints(use)
        if use.option and use.option.name in owned:
            complaints.append(f"{use.written} is set by the runner: leave it out.")
        elif use.option and (earlier := _earlier(use, first)):
            complaints.append(f"{use.written} is given twice (before: {earlier}); vLLM would keep one of them.")
    return complaints


def vllm_version() -> str:
    """The version of vLLM that `check_options` knows the options of."""
    return _table()[0]


@dataclass(frozen=True)
class _Option:
    """An option as vLLM's parser has it."""

    name: str
    kind: str
    """flag; switch (a flag that can be negated); text, choice, integer, size (1k), length (a size or auto), number;
    json, object (JSON with sizes), json or text."""
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    """Fields of an object."""
    loose: bool = False
    """Choices in any case, with - for _."""
    none: bool = False
    """`None` and the empty word stand for no value."""
    several: bool = False
    """Takes one value or more."""
    optional: bool = False
    """Takes one value or none."""
    repeats: bool = False
    """May be given again."""

    @property
    def spellings(self) -> Iterator[str]:
        """Every way to write it, dashes included."""
        yield from (f"--{self.name}", *self.aliases)
        if self.kind == "switch":
            yield f"--no-{self.name}"
            verb, _, rest = self.name.partition("-")
            if inverse := {"enable": "disable", "disable": "enable"}.get(verb):
                yield f"--{inverse}-{rest}"


@dataclass(frozen=True)
class _Use:
    """An option as somebody wrote it, or a word that belongs to none (`written` is empty then)."""

    written: str
    option: _Option | None
    values: tuple[str, ...] = ()
    key: str = ""
    """The part behind the dot: `mode` in `--compilation-config.mode 3`."""

    @property
    def appends(self) -> bool:
        """`--config-name.key+ value` adds to a list, as often as one likes."""
        return self.key.endswith("+")


@cache
def _table() -> tuple[str, Mapping[str, _Option]]:
    """The version, and each option under all of its spellings."""
    table = json.loads(files("omr_kedro.llm.serving").joinpath("vllm_options.json").read_text("utf-8"))
    options = [
        _Option(**{**facts, "name": name, **{part: tuple(facts.get(part, ())) for part in _LISTS}})
        for name, facts in table["options"].items()
    ]
    return table["vllm"], MappingProxyType({word: option for option in options for word in option.spellings})


def _option_named(name: str) -> _Option | None:
    """The option of a name that may lack its dashes."""
    bare, spellings = name.lstrip("-").replace("_", "-"), _table()[1]
    return spellings.get(f"--{bare}") or spellings.get(f"-{bare}")


def _is_option(word: str) -> bool:
    """Whether argparse sees an option in a word: not in `-1`, a lone dash, or an unknown name with a space."""
    if not word.startswith("-") or word == "-" or _NEGATIVE_NUMBER.fullmatch(word):
        return False
    return " " not in word or _parts(word)[0] in _table()[1]


def _is_known(word: str) -> bool:
    """Whether a word names an option of vLLM."""
    return _is_option(word) and _parts(word)[0] in _table()[1]


def _parts(word: str) -> tuple[str, str, str | None]:
    """Name with its dashes, key after the dot, and the value that hangs on the word, if any."""
    name, equals, value = word.partition("=")
    attached = value if equals else None
    name, _, key = name.partition(".")
    if name.startswith("--"):
        return name.replace("_", "-"), key, attached
    if level := _OPTIMIZATION.fullmatch(word):
        return "--optimization-level", "", level[1]
    spellings = _table()[1]
    if name not in spellings and name[:2] in spellings:  # -n2
        return name[:2], "", word[2:]
    return name, key, attached


def _uses(words: Sequence[str]) -> Iterator[_Use]:
    """Options with the values that follow them."""
    left = deque(words)
    while left:
        word = left.popleft()
        if not _is_option(word):
            yield _Use("", None, (word,))
            continue
        name, key, attached = _parts(word)
        if name == "-O" and left and left[0] in _OPTIMIZATION_LEVELS:
            name = "--optimization-level"
        option = _table()[1].get(name)
        written = f"{name}.{key}" if key else name
        values = tuple(_following(left, option, key)) if attached is None else (attached,)
        yield _Use(written, option, values, key)


def _following(left: deque[str], option: _Option | None, key: str) -> Iterator[str]:
    """Take the values off the words: all that follow where one says too much already, or where many may come."""
    greedy = option is None or ((option.several or option.kind in _BARE_KINDS) and not key)
    ends = _is_known if key else _is_option  # after a key vLLM takes any word: -0.5, say
    while left and not ends(left[0]):
        yield left.popleft()
        if not greedy:
            return


def _complaints(use: _Use) -> Iterator[str]:
    """Faults of one option, whatever the others are."""
    option, written = use.option, use.written
    if not written:
        yield f"{_shown(use.values[0])} belongs to no option; the model tag comes first."
    elif option is None:
        yield f"{_shown(written)} is no option of vLLM {vllm_version()}{_suggestion(written)}"
    elif use.key and option.kind not in _JSON_KINDS:
        yield f"{written}: --{option.name} is not JSON, so it has no keys."
    elif option.kind in _BARE_KINDS:
        if use.values:
            yield f"{written} takes no value, and {_shown(use.values[0])} follows."
    elif not use.values:
        if not option.optional:
            yield f"{written} lacks its value."
    elif use.key:
        yield from _unknown_keys(option, [use.key.removesuffix("+").partition(".")[0]])
    else:
        for value in use.values:
            if wanted := _wanted_instead(option, value):
                yield f"{written} wants {wanted}, not {_shown(value)}."
            elif option.keys and value not in _NO_VALUE:
                yield from _unknown_keys(option, _read_object(value))


def _unknown_keys(option: _Option, keys: Iterable[str]) -> Iterator[str]:
    """Keys that an object does not have; those of objects inside it are left to vLLM."""
    for key in keys:
        if option.keys and key not in option.keys:
            yield f"--{option.name} has no key {_shown(key)}{_likely(key, option.keys)}"


def _earlier(use: _Use, first: dict[str, str]) -> str:
    """Note where an option or key is given first; say where it was, if it has been.

    A JSON option in one piece and in keys counts as twice: vLLM would forget the piece.
    """
    option = use.option
    if option is None or option.repeats:
        return ""
    name, whole = option.name, first.get(option.name, "")
    if use.key:
        place = f"{name}.{use.key}"
        first.setdefault(f"{name}.", use.written)
        earlier = whole or ("" if use.appends else first.get(place, ""))
    else:
        place = name
        earlier = whole or first.get(f"{name}.", "")
    first.setdefault(place, use.written)
    return earlier


def _wanted_instead(option: _Option, value: str) -> str:
    """The values that the option takes, if it does not take this one."""
    if option.none and value in _NO_VALUE:
        return ""
    if option.kind == "choice":
        given = value.lower().replace("-", "_") if option.loose else value
        if given in option.choices:
            return ""
        near = get_close_matches(given, option.choices, n=1)
        return f"one of {', '.join(option.choices)}" + (f" (perhaps {near[0]})" if near else "")
    if option.kind not in _READERS:
        return ""
    wanted, read = _READERS[option.kind]
    try:
        read(value)
    except (ValueError, RecursionError):  # the latter for JSON that is nested thousands deep
        return wanted
    return ""


def _read_size(value: str) -> None:
    if not _SIZE.fullmatch(value.strip()):
        int(value)


def _read_length(value: str) -> None:
    if value.strip().lower() != "auto":
        _read_size(value)


def _read_object(value: str) -> dict[str, object]:
    plain = _SIZE_IN_JSON.sub(lambda match: match[1] or match[2], value)
    if not isinstance(found := json.loads(plain), dict):
        raise ValueError("not an object")
    return found


def _read_json_or_text(value: str) -> None:
    if value.strip().startswith("{") and value.strip().endswith("}"):
        json.loads(value)


_READERS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "integer": ("a whole number", int),
    "size": ("a whole number (16k is 16,000, 16K is 16,384)", _read_size),
    "length": ("a whole number (16k is 16,000, 16K is 16,384) or auto", _read_length),
    "number": ("a number", float),
    "json": ("JSON", json.loads),
    "object": ("a JSON object", _read_object),
    "json or text": ("JSON in braces, or text without", _read_json_or_text),
}


def _suggestion(written: str) -> str:
    """The known name that was probably meant: one that begins like it, else one that looks like it."""
    name = written.partition(".")[0]
    names = [word for word in _table()[1] if not word.startswith("--no-")]
    likely = [word for word in names if word.startswith(name) and name.startswith("--")]
    return f"; did you mean {likely[0]}?" if len(likely) == 1 else _likely(name, names)


def _likely(word: str, known: Sequence[str]) -> str:
    """The end of a sentence about an unknown word: the nearest known one, if any is near."""
    near = get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]}?" if near else "."


def _shown(text: str) -> str:
    """A word in quotes, short and printable."""
    return repr(text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 1]}…")
