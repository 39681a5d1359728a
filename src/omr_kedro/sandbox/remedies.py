"""Words for a machine that offers too little, or less than it could."""

from __future__ import annotations

import platform

WITHOUT_CODE = "--params=solve_tir.enabled=false leaves solutions with code out"
"""How a run does without a sandbox."""

WAYS_OUT = f"""Ways out, any one of them:
  - let ordinary users have user namespaces: sysctl user.max_user_namespaces=10000, and where they exist
    kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0 (root);
  - boot a kernel with Landlock (Linux 5.13 or newer, `landlock` among the names in lsm=...);
  - in a container, allow unshare, mount and pivot_root, or landlock_create_ruleset, in its seccomp profile;
  - run this stage on another machine;
  - do without: {WITHOUT_CODE};
  - `--env offline` runs without isolation, as its code comes from this project's own rules.
What to ask an administrator for: docs/sandbox.md."""
"""Remedies, for whoever was refused."""


def other_system() -> str:
    """A sentence for people whose machine runs no Linux; empty on Linux."""
    system = platform.system()
    if system == "Linux":
        return ""
    name = {"Darwin": "macOS", "": "another system"}.get(system, system)
    return (
        f"TIR (solutions with code) needs Linux, and this is {name}: run its stages on a machine with Linux, or on "
        f"Windows in WSL; {WITHOUT_CODE}"
    )


def refusal_text(tried: str) -> str:
    """The message of a refusal.

    Args:
        tried: each level and the kernel's words.
    """
    return (
        f"This machine offers too little to run code that a model wrote, so none is run.\nTried: {tried}.\n{WAYS_OUT}"
    )
