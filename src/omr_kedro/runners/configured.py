"""The runner of a person who named none."""

from __future__ import annotations

from typing import Any, NoReturn

from kedro.runner import AbstractRunner

from omr_kedro.runners.errors import RunnerConfigError


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
