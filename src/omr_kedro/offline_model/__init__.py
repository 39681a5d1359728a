"""The embedded rule-based chat server: an OpenAI-compatible endpoint for people with neither GPU nor key.

It is no language model. It knows the prompts of one folder, reads the values of their fields back out of the messages
and answers by rules, so that a first run exercises the same path as a run on a cluster. What its tables show is how
the pipeline works, never how well a model does.
"""

from omr_kedro import __version__

MODEL_NAME = "offline-rules"
"""The one model that the server offers."""
FINGERPRINT = f"{MODEL_NAME}-{__version__}"
"""The `system_fingerprint` of every reply: rules change with the package."""
OWNER = "omr_kedro (rules, no language model)"

__all__ = ["FINGERPRINT", "MODEL_NAME", "OWNER"]
