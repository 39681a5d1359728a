"""Trials: what a crash, a full disk or a wrong clock may do to a run, tried at a thousand points and more."""
