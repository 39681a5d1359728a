from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import orjson
import pytest

from omr_kedro.llm.calls.errors import OUTAGES, REJECTIONS, STOPS, error_of_status


@pytest.mark.parametrize(
    ("status", "body", "kind", "retryable"),
    [
        (429, b'{"status":429,"title":"Too Many Requests"}', "throttled", True),
        (429, b'{"error":{"message":"You exceeded your quota","code":"insufficient_quota"}}', "no_money", False),
        (429, b'{"error":{"type":"insufficient_quota"}}', "no_money", False),
        (402, b'{"error":{"message":"Insufficient Balance"}}', "no_money", False),
        (503, b'{"error":{"message":"The engine is currently busy"}}', "overloaded", True),
        (500, b"", "server_error", True),
        (504, b"", "server_error", True),
        (408, b"", "server_error", True),
        (
            400,
            b'{"status":400,"title":"Bad Request","detail":"Function id \'a-1\': DEGRADED function cannot be invoked"}',
            "server_error",
            True,
        ),
        (400, b'{"error":{"message":"maximum context length is 1024 tokens"}}', "bad_request", False),
        (422, b'{"error":"body -> presence_penalty"}', "bad_request", False),
        (401, b'{"error":"Unauthorized"}', "no_access", False),
        (403, b"Authorization failed", "forbidden", False),
        (404, b"404 page not found", "not_found", False),
        (410, b'{"title":"Gone","detail":"The model has reached its end of life"}', "gone", False),
        (302, b"", "moved", False),
        (200, b"", "garbage", True),
    ],
)
def test_a_status_says_whether_to_ask_again(status: int, body: bytes, kind: str, retryable: bool) -> None:
    error = error_of_status(status, body, {})
    assert (error.kind, error.retryable) == (kind, retryable)
    assert f"HTTP {status}" in error.message


def test_kinds_that_stop_a_run_or_reject_a_row_are_not_asked_again_and_outages_are() -> None:
    kinds = {status: error_of_status(status, b"", {}) for status in (307, 401, 402, 403, 404, 410, 500, 502, 503)}
    assert {status for status, error in kinds.items() if error.kind in STOPS} == {307, 401, 402, 410}
    assert {status for status, error in kinds.items() if error.kind in REJECTIONS} == {403, 404}
    assert {status for status, error in kinds.items() if error.kind in OUTAGES} == {500, 502, 503}
    assert {status for status, error in kinds.items() if error.retryable} == {500, 502, 503}


@pytest.mark.parametrize("status", [400, 403, 404, 422, 500, 503])
@pytest.mark.parametrize(
    "post",
    [
        "ResourceExhausted", "Function is DEGRADED", "insufficient_quota", "response_format json_schema guided",
        '{"error":{"code":"insufficient_quota"}}', "Too Many Requests", "invalid api key", "model not found",
    ],
)  # fmt: skip
def test_words_of_a_post_that_a_body_echoes_steer_nothing(status: int, post: str) -> None:
    plain = error_of_status(status, b"", {}).kind
    shapes: list[object] = [post, {"error": post}, {"error": {"message": post}}, {"detail": post}, {"detail": [post]}]
    assert {error_of_status(status, orjson.dumps(body), {}).kind for body in shapes} == {plain}
    assert error_of_status(status, post.encode(), {}).kind in {plain, error_of_status(status, b"{}", {}).kind}


@pytest.mark.parametrize("date", ["Wed, 21 Oct 99999999 07:28:00 GMT", "Fri, 31 Dec 9999 23:59:59 -9999"])
def test_a_date_of_no_year_and_no_zone_says_nothing_and_ends_nothing(date: str) -> None:
    assert error_of_status(429, b"", {"Retry-After": date, "Date": date}).retry_after_s is None


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
