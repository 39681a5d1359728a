from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from omr_kedro.llm.calls.errors import STOPS, THROTTLES, error_of_status


@pytest.mark.parametrize(
    ("status", "body", "kind", "retryable"),
    [
        (429, b'{"status":429,"title":"Too Many Requests"}', "throttled", True),
        (400, b'{"error":"ResourceExhausted: Worker local total request limit reached (33/32)"}', "throttled", True),
        (503, b'{"error":{"message":"The engine is currently busy"}}', "overloaded", True),
        (500, b"", "server_error", True),
        (504, b"", "server_error", True),
        (408, b"", "server_error", True),
        (400, b'{"detail":"Function is DEGRADED and cannot be invoked"}', "server_error", True),
        (400, b'{"error":{"message":"maximum context length is 1024 tokens"}}', "bad_request", False),
        (422, b'{"error":"body -> presence_penalty"}', "bad_request", False),
        (401, b'{"error":"Unauthorized"}', "no_access", False),
        (403, b"Authorization failed", "no_access", False),
        (404, b"404 page not found", "no_model", False),
        (410, b'{"title":"Gone","detail":"The model has reached its end of life"}', "no_model", False),
        (302, b"", "garbage", True),
    ],
)
def test_a_status_says_whether_to_ask_again(status: int, body: bytes, kind: str, retryable: bool) -> None:
    error = error_of_status(status, body, {})
    assert (error.kind, error.retryable) == (kind, retryable)
    assert f"HTTP {status}" in error.message


def test_kinds_that_stop_a_run_are_not_asked_again_and_refusals_are() -> None:
    assert not any(
        error_of_status(s, b"", {}).retryable for s in (401, 404) if error_of_status(s, b"", {}).kind in STOPS
    )
    assert error_of_status(429, b"", {}).kind in THROTTLES


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    assert error_of_status(429, b"", {"Retry-After": "7"}).retry_after_s == 7
    assert error_of_status(429, b"", {"Retry-After": "-7"}).retry_after_s == 0
    assert error_of_status(429, b"", {"Retry-After": "soon"}).retry_after_s is None
    assert error_of_status(429, b"", {}).retry_after_s is None
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert 3000 < (error_of_status(429, b"", {"Retry-After": date}).retry_after_s or 0) <= 3600


@pytest.mark.parametrize("value", ["inf", "nan", "1e999", "Wed, 21 Oct 9999 99:99:99 GMT", "31 February", "12 minutes"])
def test_a_retry_after_that_makes_no_sense_says_nothing(value: str) -> None:
    assert error_of_status(429, b"", {"Retry-After": value}).retry_after_s is None


@pytest.mark.parametrize("zone", ["GMT", "-0000"])
def test_a_date_is_read_by_the_clock_of_the_server_which_ours_need_not_agree_with(zone: str) -> None:
    headers = {"Date": "Wed, 21 Oct 2015 07:28:00 GMT", "Retry-After": f"Wed, 21 Oct 2015 07:28:09 {zone}"}
    assert error_of_status(429, b"", headers).retry_after_s == 9


def test_a_body_that_is_no_text_is_shown_all_the_same() -> None:
    assert "HTTP 500" in error_of_status(500, b"\xff\xfe" * 3000, {}).message
