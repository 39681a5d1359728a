from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from omr_kedro.llm.calls import Completion, Request, Sampling

REQUEST = Request("row", [{"role": "user", "content": "2 + 2?"}], Sampling(seed=3), "prompt", ("a", "b"))


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, messages=[{"role": "user", "content": "2 + 3?"}]),
        replace(REQUEST, sampling=Sampling(seed=4)),
        replace(REQUEST, sampling=Sampling(seed=3, temperature=0.7)),
        replace(REQUEST, sampling=Sampling(seed=3, max_tokens=5)),
        replace(REQUEST, choices=("a",)),
        replace(REQUEST, sample_index=1),
    ],
)
def test_whatever_decides_the_reply_changes_the_key(other: Request) -> None:
    assert other.key("model") != REQUEST.key("model")


def test_another_model_is_another_call() -> None:
    assert REQUEST.key("model") != REQUEST.key("other")


@pytest.mark.parametrize("change", [{"row_id": "other"}, {"part": "second"}, {"prompt_hash": "other"}])
def test_whose_call_it_is_does_not_change_the_key(change: dict[str, Any]) -> None:
    assert replace(REQUEST, **change).key("model") == REQUEST.key("model")


def test_only_what_is_set_is_sent_and_each_sample_has_its_seed() -> None:
    assert Sampling(max_tokens=5).wire(2) == {"temperature": 0.0, "max_tokens": 5}
    assert Sampling(seed=10).wire(2)["seed"] == 12


def test_a_completion_survives_a_table_row() -> None:
    done = Completion("key", "model", "text", finish_reason="stop", prompt_tokens=3)
    assert Completion.from_row(done.row(REQUEST.identity())) == done
