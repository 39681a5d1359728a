"""The front matter of a dataset card: the YAML between its first two lines `---`, which the hub and `datasets` read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from omr_kedro.shards import BadInputError

_BLOCK = re.compile(r"\A---\n(.*?)\n---(?:\n|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class StatedSplit:
    """A split as a card states it."""

    config: str
    split: str
    files: tuple[str, ...]
    """Paths in the repository, from `data/` on."""
    rows: int


def with_front_matter(fields: Mapping[str, Any], text: str) -> str:
    """A card of front matter and text.

    Whatever the values hold, they stay values: YAML quotes them, and no line of them can end the block.
    """
    block = yaml.safe_dump(dict(fields), sort_keys=False, allow_unicode=False, width=2**20)
    return f"---\n{block}---\n{text}"


def read_front_matter(card: str) -> dict[str, Any]:
    """The fields of a card's front matter.

    Raises:
        BadInputError: it has none, or one that is no mapping.
    """
    found = _BLOCK.match(card)
    try:
        fields = yaml.safe_load(found[1]) if found else None
    except yaml.YAMLError as error:
        raise BadInputError(f"The card's front matter is no YAML ({type(error).__name__}).") from None
    if not isinstance(fields, dict):
        raise BadInputError("The card has no front matter: it begins with a line `---`, YAML, and another such line.")
    return fields


def stated_splits(card: str) -> list[StatedSplit]:
    """The splits that a card states, by its `configs` and `dataset_info`.

    Raises:
        BadInputError: the two do not name the same splits, or do not have the form that `with_front_matter` was given.
    """
    fields = read_front_matter(card)
    try:
        files = dict(_files(fields["configs"]))
        rows = dict(_rows(fields["dataset_info"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInputError(
            f"The card's front matter lacks the files or the rows of a split ({type(error).__name__})."
        ) from None
    if set(files) != set(rows):
        raise BadInputError("The card's `configs` and `dataset_info` do not name the same splits.")
    return [StatedSplit(config, split, paths, rows[config, split]) for (config, split), paths in files.items()]


def stated_licences(card: str) -> list[str]:
    """The licences that a card states; none where it does not say.

    Raises:
        BadInputError: it has no front matter.
    """
    stated = read_front_matter(card).get("license")
    return [str(each) for each in (stated if isinstance(stated, list) else [stated]) if each]


def _files(configs: list[dict[str, Any]]) -> Iterator[tuple[tuple[str, str], tuple[str, ...]]]:
    for config in configs:
        for each in config["data_files"]:
            paths = [each["path"]] if isinstance(each["path"], str) else each["path"]
            yield (str(config["config_name"]), str(each["split"])), tuple(map(str, paths))


def _rows(infos: list[dict[str, Any]]) -> Iterator[tuple[tuple[str, str], int]]:
    for info in infos:
        for split in info["splits"]:
            yield (str(info["config_name"]), str(split["name"])), int(split["num_examples"])
