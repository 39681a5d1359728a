"""Kedro's settings for this project: session, hooks, configuration."""

import sys

from omr_kedro.hooks import Resources, RunAccount, Terminal
from omr_kedro.session import OMRSession

SESSION_CLASS = OMRSession

# Those of every session; a run gets two more (`session.hooks_for`).
HOOKS = (Terminal(), RunAccount(), Resources())

# What Kedro-Viz shows of a run is recorded by `hooks.VizRecord`, since its own hooks know but one runner;
# kedro-telemetry's send reports to a server.
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-telemetry", "kedro-viz")

CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # For settings that hold where code can be run in the sandbox.
    "custom_resolvers": {"on_linux": lambda: sys.platform == "linux"},
    "config_patterns": {"runner": ["runner*", "**/runner*"]},
    # Deep merging: an environment lists only what differs from base. Not so for the patterns of the catalog, whose
    # entries are merged by their own name alone (conf/base/catalog.yml).
    "merge_strategy": dict.fromkeys(("catalog", "credentials", "globals", "parameters", "runner"), "soft"),
}
