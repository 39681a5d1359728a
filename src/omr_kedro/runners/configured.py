"""The runner of a person who named none."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NoReturn

from kedro.runner import AbstractRunner, ParallelRunner
from kedro.utils import load_obj

from omr_kedro.runners.errors import RunnerConfigError
from omr_kedro.shards.names import unknown_name


class ConfiguredRunner(AbstractRunner):
    """Stands for the runner that `conf/<env>/runner.yml` names, and holds the parameters meant for it.

    Kedro's command line makes a runner before there is a session that could read the configuration.
    """

    def __init__(self, is_async: bool = False, **given: Any) -> None:
        super().__init__(is_async=is_async)
        self.given = given

    def _get_executor(self, max_workers: int) -> NoReturn:
        raise NotImplementedError

    def _run(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise RunnerConfigError("ConfiguredRunner needs the project's session: SESSION_CLASS in settings.py.")


_KNOWN = ("SequentialRunner", "ThreadRunner", "omr_kedro.runners.SlurmRunner")


def load_runner(name: str) -> type[AbstractRunner]:
    """The runner of a name: of a class of Kedro's, or a dotted path.

    Raises:
        UnknownNameError: there is no such runner.
        RunnerConfigError: it cannot run this project.
    """
    try:
        kind = load_obj(name, "kedro.runner")
    except (ImportError, AttributeError, ValueError):
        raise unknown_name("runner", name, _KNOWN) from None
    if not (isinstance(kind, type) and issubclass(kind, AbstractRunner)):
        raise unknown_name("runner", name, _KNOWN)
    if issubclass(kind, ParallelRunner):
        raise RunnerConfigError(
            f"{kind.__name__} cannot run this project: each of its processes would have a model, an account and a "
            "window of calls of its own. Several nodes at a time run with --runner=ThreadRunner; and each node that "
            "asks a model has as many calls in flight as the model's limits allow."
        )
    return kind


def make_runner(kind: type[AbstractRunner], given: Mapping[str, Any]) -> AbstractRunner:
    """A runner with the parameters that were given for it.

    Raises:
        UnknownNameError: it takes no such parameter; one that takes all (`**given`) looks at them itself.
        RunnerConfigError: a value cannot be used.
    """
    taken = inspect.signature(kind).parameters
    if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in taken.values()):
        for name in given:
            if name not in taken:
                raise unknown_name(f"parameter of {kind.__name__} (runner.yml, --runner-params)", name, taken)
    try:
        return kind(**given)
    except (TypeError, ValueError) as error:
        raise RunnerConfigError(f"{kind.__name__} (runner.yml, --runner-params): {error}") from None
