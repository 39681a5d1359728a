"""Names that a person typed, against those that there are."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from omr_kedro.shards.errors import OmrError
from omr_kedro.shards.printable import printable_name

_SHOWN = 40
_NEAR = 3


class UnknownNameError(OmrError):
    """A person named something that is not there."""


def unknown_name(kind: str, name: str, known: Iterable[str], advice: str = "") -> UnknownNameError:
    """The error for a name that is not known: the names that are near to it, and all that there are.

    Args:
        kind: what it was to name, in the singular: "environment", "pipeline".
        name: as it was typed.
        known: all names of this kind; dots in them separate their parts.
        advice: a sentence that takes the place of the known names.
    """
    names = sorted(set(known))
    near = near_names(name, names)
    question = f" Did you mean {' or '.join(near)}?" if near else ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    listed = f" Known: {', '.join(names[:_SHOWN])}{more}." if names else ""
    return UnknownNameError(
        f"There is no {kind} '{printable_name(name)}'.{question}{f' {advice}' if advice else listed}"
    )


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """The names that one may have been meant for, nearest first: by their last part, or as a whole."""
    names = list(known)
    last_parts = {each.rpartition(".")[2]: each for each in names if "." in each}
    by_last_part = [last_parts[part] for part in get_close_matches(name.rpartition(".")[2], last_parts, _NEAR)]
    return by_last_part or get_close_matches(name, names, _NEAR)
