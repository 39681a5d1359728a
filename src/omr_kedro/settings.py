"""Kedro's settings for this project."""

from omr_kedro.hooks import ModelServers, Preflight, RunSummary, Terminal

HOOKS = (Terminal(), Preflight(), ModelServers(), RunSummary())

# Its run-status view understands only full runs of one runner, and warns about every other run.
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-telemetry", "kedro-viz")

CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment lists only what differs from base.
    "merge_strategy": {"catalog": "soft", "credentials": "soft", "globals": "soft", "parameters": "soft"},
}
