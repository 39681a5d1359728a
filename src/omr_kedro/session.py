"""The session picks the runner that `conf/<env>/runner.yml` names, unless a person named one."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException
from kedro.framework.project import pipelines, settings
from kedro.framework.session import KedroSession
from kedro.runner import AbstractRunner, SequentialRunner

from omr_kedro.hooks import Preflight, RunOpening, RunSummary, StageReport, VizRecord
from omr_kedro.hooks.run_log import run_log
from omr_kedro.parameter_names import check_parameter_names, known_parameters
from omr_kedro.runners import ConfiguredRunner, SessionSpec, SlurmOptions, SlurmRunner, load_runner, make_runner
from omr_kedro.selection import check_environment, selected

_FILTERS = {
    **{name: name for name in ("tags", "node_names", "from_nodes", "to_nodes", "from_inputs", "to_outputs")},
    "namespaces": "node_namespaces",
}
"""Arguments of `Pipeline.filter`, by those of `KedroSession.run`."""


class OMRSession(KedroSession):
    """`KedroSession` with a configured runner, and with hooks that know it."""

    def run(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Run as `KedroSession.run` does; without a runner, `runner.yml` names it.

        Raises:
            OmrError: an environment, a pipeline or a parameter that was named is not there, or the runner cannot run.
        """
        self.check_names()
        call = inspect.signature(super().run).bind(*args, **kwargs)
        given = call.arguments
        names = given.get("pipeline_names") or given.get("pipeline_name") or []
        names = [names] if isinstance(names, str) else list(names)
        filters = {argument: given.get(name) for name, argument in _FILTERS.items()}
        selected(pipelines, names, filters)
        runner = given["runner"] = self._chosen(given.get("runner"))
        if isinstance(runner, SlurmRunner):
            runner.bind(
                SessionSpec(
                    project_path=str(self._project_path),
                    env=self.store.get("env"),
                    conf_source=str(self._conf_source) if self._conf_source else None,
                    runtime_params=dict(self.store.get("runtime_params") or {}),
                    pipeline_names=names,
                )
            )
        report = StageReport()
        for hook in hooks_for(runner, report):
            self._hook_manager.register(hook)
        with run_log(Path(self._project_path)):
            try:
                result: dict[str, Any] = super().run(*call.args, **call.kwargs)
            except KeyboardInterrupt:
                report.interrupted()
                raise
        return result

    def check_names(self) -> None:
        """Refuse an environment that is not there, and parameters that nothing reads.

        Raises:
            UnknownNameError: names those that there are.
        """
        env, given = self.store.get("env"), self.store.get("runtime_params")
        check_environment(env, Path(self._conf_source))
        if given:
            loader_args = {"conf_source": self._conf_source, "env": env, **settings.CONFIG_LOADER_ARGS}
            check_parameter_names(given, known_parameters(pipelines, **loader_args))

    @property
    def job_folder(self) -> Path:
        """Folder of this environment's jobs: specs, logs and results."""
        given = self._runner_config().get(SlurmRunner.__name__) or {}
        return Path(str(self._project_path), given.get("folder", SlurmOptions.model_fields["folder"].default))

    @property
    def serves_here(self) -> bool:
        """Whether local model servers of a run without `--runner` would start in this process."""
        return serves_here(self._chosen(None))

    @property
    def credentials(self) -> dict[str, Any]:
        """Credentials of this environment; they hold keys."""
        try:
            return dict(self._get_config_loader()["credentials"])
        except MissingConfigException:
            return {}

    def _runner_config(self) -> dict[str, Any]:
        try:
            return dict(self._get_config_loader()["runner"])
        except MissingConfigException:
            return {}

    def _chosen(self, runner: AbstractRunner | None) -> AbstractRunner:
        if runner is not None and not isinstance(runner, ConfiguredRunner | SlurmRunner):
            return runner
        config = self._runner_config()
        name = config.get("runner", SequentialRunner.__name__)
        kind = SlurmRunner if isinstance(runner, SlurmRunner) else load_runner(name)
        given = _merge(config.get(kind.__name__) or {}, runner.given if runner else {})
        return make_runner(kind, {"is_async": bool(runner and runner._is_async), **given})


def hooks_for(runner: AbstractRunner, report: StageReport) -> list[object]:
    """The hooks of one run that depend on its runner; Kedro tells hooks no more than the runner's name."""
    dry_run = isinstance(runner, SlurmRunner) and runner.options.dry_run
    told = [] if dry_run else [RunOpening(), report, RunSummary(report), VizRecord()]
    return [Preflight(served_here=serves_here(runner)), *told]


def serves_here(runner: AbstractRunner) -> bool:
    """Whether local model servers of a run start in this process."""
    if not isinstance(runner, SlurmRunner):
        return True
    return runner.where == "here" and not runner.options.dry_run


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merge(merged[name], value) if both else value
    return merged
