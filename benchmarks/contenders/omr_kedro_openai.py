"""omr_kedro with its calls made through the `openai` package: the client of hosted endpoints."""

from __future__ import annotations

from functools import partial

from benchmarks.contenders import omr_kedro_engine
from benchmarks.contenders.contract import contend

if __name__ == "__main__":
    contend(partial(omr_kedro_engine.work, client="openai"))
