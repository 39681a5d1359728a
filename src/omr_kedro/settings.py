"""Kedro's settings for this project."""

from omr_kedro.hooks import Allowance, ModelServers, Preflight, RunSummary, Terminal
from omr_kedro.session import OMRSession

SESSION_CLASS = OMRSession

HOOKS = (Terminal(), Preflight(), Allowance(), ModelServers(), RunSummary())

# Its run-status view understands only full runs of one runner, and warns about every other run.
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-telemetry", "kedro-viz")

CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "config_patterns": {"runner": ["runner*", "**/runner*"]},
    "custom_resolvers": {
        "sum": lambda *numbers: sum(numbers),
        # What goes with a default is not for the value that somebody gives in its place.
        "unless": lambda given, otherwise: otherwise if given is None else None,
    },
    # An environment lists only what differs from base.
    "merge_strategy": dict.fromkeys(("catalog", "credentials", "globals", "parameters", "runner"), "soft"),
}
