"""The session picks the runner that `conf/<env>/runner.yml` names, unless a person named one."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException
from kedro.framework.session import KedroSession
from kedro.runner import AbstractRunner, SequentialRunner
from kedro.utils import load_obj

from omr_kedro.hooks import Preflight, RunSummary
from omr_kedro.runners import ConfiguredRunner, SessionSpec, SlurmOptions, SlurmRunner
from omr_kedro.runners.errors import RunnerConfigError


class OMRSession(KedroSession):
    """`KedroSession` with a configured runner, and with hooks that know it."""

    def run(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Run as `KedroSession.run` does; without a runner, `runner.yml` names it."""
        call = inspect.signature(super().run).bind(*args, **kwargs)
        runner = call.arguments["runner"] = self._chosen(call.arguments.get("runner"))
        if isinstance(runner, SlurmRunner):
            names = call.arguments.get("pipeline_names") or call.arguments.get("pipeline_name") or []
            runner.bind(
                SessionSpec(
                    project_path=str(self._project_path),
                    env=self.store.get("env"),
                    conf_source=str(self._conf_source) if self._conf_source else None,
                    runtime_params=dict(self.store.get("runtime_params") or {}),
                    pipeline_names=[names] if isinstance(names, str) else list(names),
                )
            )
        for hook in hooks_for(runner):
            self._hook_manager.register(hook)
        result: dict[str, Any] = super().run(*call.args, **call.kwargs)
        return result

    @property
    def job_folder(self) -> Path:
        """Folder of this environment's jobs: specs, logs and results."""
        given = self._runner_config().get(SlurmRunner.__name__) or {}
        return Path(str(self._project_path), given.get("folder", SlurmOptions.model_fields["folder"].default))

    def _runner_config(self) -> dict[str, Any]:
        try:
            return dict(self._get_config_loader()["runner"])
        except MissingConfigException:
            return {}

    def _chosen(self, runner: AbstractRunner | None) -> AbstractRunner:
        if runner is not None and not isinstance(runner, ConfiguredRunner | SlurmRunner):
            return runner
        config = self._runner_config()
        if isinstance(runner, SlurmRunner):
            kind: Any = SlurmRunner
        else:
            kind = load_obj(config.get("runner", SequentialRunner.__name__), "kedro.runner")
        given = _merge(config.get(kind.__name__) or {}, runner.given if runner else {})
        is_async = bool(runner and runner._is_async)
        try:
            chosen: AbstractRunner = kind(is_async=is_async, **given)
        except TypeError as error:
            raise RunnerConfigError(f"{kind.__name__} (runner.yml, --runner-params): {error}") from None
        return chosen


def hooks_for(runner: AbstractRunner) -> list[object]:
    """The hooks of one run that depend on its runner; Kedro tells hooks no more than the runner's name."""
    slurm = runner if isinstance(runner, SlurmRunner) else None
    dry_run = bool(slurm and slurm.options.dry_run)
    served_here = not slurm or (slurm.where == "here" and not dry_run)
    return [Preflight(served_here=served_here), *([] if dry_run else [RunSummary()])]


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merge(merged[name], value) if both else value
    return merged
