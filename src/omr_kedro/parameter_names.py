"""Names that `--params` may use: a misspelt one would change nothing, and the run would ask the wrong thing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin

from kedro.config import MissingConfigException, OmegaConfigLoader
from kedro.pipeline import Pipeline
from kedro.validation.type_extractor import TypeExtractor
from pydantic import BaseModel

from omr_kedro.estimate.options import EstimateOptions
from omr_kedro.llm.endpoint import Prices, SpendingLimits
from omr_kedro.shards.names import unknown_name

Names = dict[str, "Names | None"]
"""Names by name of their group; None holds a value, or a group of which any name may be."""


class Known(NamedTuple):
    """Names of all settings that a person may try to change by `--params`."""

    parameters: Names
    settings: frozenset[str]
    """Names of globals.yml, which `--params` does not reach."""


_SECTIONS: dict[str, type] = {"spending": SpendingLimits, "prices": Prices, "estimate": EstimateOptions}
"""Sections that no node takes, so that no signature of one says what they hold."""
_CONFIGURATION = ("globals", "parameters", "catalog", "credentials", "runner")


class _Reading(OmegaConfigLoader):
    """A configuration that notes which runtime parameters it asks for, and is given none."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.asked: set[str] = set()
        super().__init__(*args, **{**kwargs, "runtime_params": {}})

    def _get_runtime_value(self, variable: str, default_value: Any = "") -> Any:
        self.asked.add(variable)
        return default_value


def check_parameter_names(given: Mapping[str, Any], known: Known) -> None:
    """Refuse parameters of a command line that nothing reads.

    Raises:
        UnknownNameError: names those that there are beside the first of them.
    """
    for name in given:
        if name in known.settings - known.parameters.keys():
            advice = "It is a setting of conf/<env>/globals.yml, which --params does not reach: change it there."
            raise unknown_name("parameter", name, (), advice)
    _check(given, known.parameters, "")


def _check(given: Mapping[str, Any], known: Names, prefix: str) -> None:
    for name, value in given.items():
        if name not in known:
            raise unknown_name("parameter", f"{prefix}{name}", (f"{prefix}{each}" for each in known))
        below = known[name]
        if isinstance(value, Mapping) and below:
            _check(value, below, f"{prefix}{name}.")


def known_parameters(pipelines: Mapping[str, Pipeline], **loader_args: Any) -> Known:
    """All names that the configuration, or a node, reads from `--params`.

    Args:
        pipelines: of the project; their nodes may take parameters that no file lists.
        loader_args: of the configuration's loader. Reading registers resolvers of OmegaConf, which belong to whoever
            reads last: do this before the configuration itself is read.
    """
    reading = _Reading(**loader_args)
    sections: dict[str, Any] = {}
    for part in _CONFIGURATION:
        with suppress(MissingConfigException):
            sections[part] = reading[part]
    names = _of_values(sections.get("parameters") or {})
    taken = {name for pipeline in pipelines.values() for name in pipeline.inputs() if name.startswith("params:")}
    for dotted in sorted(reading.asked | {name.removeprefix("params:") for name in taken}):
        _add(names, dotted.split("."))
    typed = TypeExtractor(dict(pipelines)).extract_types_from_pipelines()
    for name, kind in {**typed, **_SECTIONS}.items():
        names[name] = _of_type(kind)
    return Known(names, frozenset(sections.get("globals") or {}))


def _of_values(values: Mapping[str, Any]) -> Names:
    return {name: _of_values(value) or None if isinstance(value, Mapping) else None for name, value in values.items()}


def _of_type(kind: Any) -> Names | None:
    """Names of a model's fields; None for whatever is no model, and for one that takes any name."""
    members = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    kinds = [each for each in members if isinstance(each, type) and issubclass(each, BaseModel)]
    if not kinds or kinds[0].model_config.get("extra") == "allow":
        return None
    return {name: _of_type(field.annotation) for name, field in kinds[0].model_fields.items()}


def _add(names: Names, path: list[str]) -> None:
    first, *rest = path
    below = names.setdefault(first, {} if rest else None)
    if rest and below is not None:
        _add(below, rest)
