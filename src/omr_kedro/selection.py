"""The part of the project that a command names: its environment, pipelines, nodes, tags, datasets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from kedro.pipeline import Pipeline

from omr_kedro.shards import OmrError
from omr_kedro.shards.names import unknown_name


def check_environment(name: str | None, folder: Path) -> None:
    """Refuse an environment that is not there.

    Args:
        name: None is Kedro's default.
        folder: of the configuration, an environment a folder; passed over where it is none (an archive, an address).

    Raises:
        UnknownNameError: names the environments that there are.
    """
    if name and folder.is_dir() and not (folder / name).is_dir():
        known = [path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
        raise unknown_name("environment", name, known)


def selected(pipelines: Mapping[str, Pipeline], names: Iterable[str], filters: Mapping[str, Any]) -> Pipeline:
    """The pipeline that a run is asked for.

    Args:
        pipelines: all of the project, by name.
        names: those asked for; none is the default.
        filters: of `Pipeline.filter`, by the name of its argument; empty ones keep everything.

    Raises:
        UnknownNameError: one of these names is not there.
        OmrError: all are, and no node fits them all.
    """
    wanted = list(names) or ["__default__"]
    for name in wanted:
        if name not in pipelines:
            raise unknown_name("pipeline", name, (known for known in pipelines if known != "__default__"))
    whole = sum((pipelines[name] for name in wanted), start=Pipeline([]))
    given = {argument: list(value) for argument, value in filters.items() if value}
    for argument, (kind, known_in) in _KINDS.items():
        known = known_in(whole)
        for name in given.get(argument, ()):
            if name not in known:
                raise unknown_name(kind, name, known)
    try:
        return whole.filter(**given)
    except ValueError:
        asked = ", ".join(f"{argument.replace('_', ' ')} {', '.join(value)}" for argument, value in given.items())
        raise OmrError(f"No node of {', '.join(wanted)} fits all that was asked for: {asked}.") from None


def _nodes(pipeline: Pipeline) -> set[str]:
    return {node.name for node in pipeline.nodes}


def _tags(pipeline: Pipeline) -> set[str]:
    return {tag for node in pipeline.nodes for tag in node.tags}


def _namespaces(pipeline: Pipeline) -> set[str]:
    return {prefix for node in pipeline.nodes for prefix in node.namespace_prefixes}


_KINDS: dict[str, tuple[str, Callable[[Pipeline], set[str]]]] = {
    "tags": ("tag", _tags),
    **dict.fromkeys(("node_names", "from_nodes", "to_nodes"), ("node", _nodes)),
    **dict.fromkeys(("from_inputs", "to_outputs"), ("dataset", Pipeline.datasets)),
    "node_namespaces": ("namespace", _namespaces),
}
"""Kind and known names, by argument of `Pipeline.filter`."""
