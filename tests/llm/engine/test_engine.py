from __future__ import annotations

import multiprocessing
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from omr_kedro.llm.calls import Ask, EndpointError, StoppedError, TooManyFailuresError
from omr_kedro.llm.calls.errors import JournalError, LoopError
from omr_kedro.llm.endpoint import Limits
from omr_kedro.llm.endpoint.limits import Window
from omr_kedro.llm.engine import ChatModel, ModelEntry, engine
from tests.support.call_plans import (
    Gate,
    asked,
    call_plan,
    echo,
    rows,
    said,
    saving,
    scratch_in,
    session_of,
    table,
    texts,
)
from tests.support.chat_server import ChatServer, FaultyServer, shuffled
from tests.support.waiting import PATIENCE_S, wait_until


def test_every_request_becomes_a_row_in_the_order_of_the_requests(tmp_path: Path) -> None:
    shards = {"a": texts(30), "b": texts(20)}
    with ChatServer(echo) as server:
        assert table(tmp_path).save(call_plan(server, shards)) == 2
    assert [row["row_id"] for row in rows(tmp_path)] == [f"a-{n}" for n in range(30)] + [f"b-{n}" for n in range(20)]
    assert [row["text"] for row in rows(tmp_path)] == [f"re {text}" for text in texts(30) + texts(20)]


def test_the_window_is_never_exceeded_and_is_filled(tmp_path: Path) -> None:
    with ChatServer(latency_s=0.02) as server:
        table(tmp_path).save(call_plan(server, {"a": texts(60)}, max_in_flight=5))
    assert server.most_in_flight == 5


def test_later_shards_are_asked_about_while_an_earlier_one_waits_for_a_slow_call(tmp_path: Path) -> None:
    shards = {name: [f"{name} {n}" for n in range(3)] for name in "abcd"} | {"a": ["slow", "a 1", "a 2"]}
    with Gate("slow") as server:
        finished = call_plan(server, shards).finished(list(shards), scratch_in(tmp_path))
        order = [next(finished).id for _ in range(3)]
        assert "slow" in asked(server), "it was the first to be sent"
        server.open()
        order += [shard.id for shard in finished]
    assert sorted(order[:3]) == ["b", "c", "d"], "finished while `a` was held up"
    assert order[3] == "a"


def test_equal_calls_of_a_shard_are_paid_for_once_and_each_row_gets_the_reply(tmp_path: Path) -> None:
    with ChatServer(echo, latency_s=0.01) as server:
        table(tmp_path).save(call_plan(server, {"a": ["same", "other", "same", "same"]}))
    assert sorted(asked(server)) == ["other", "same"]
    assert [row["text"] for row in rows(tmp_path)] == ["re same", "re other", "re same", "re same"]


def test_a_finished_table_is_not_asked_for_again(tmp_path: Path) -> None:
    with ChatServer() as server:
        table(tmp_path).save(call_plan(server, {"a": texts(9)}))
        assert table(tmp_path).save(call_plan(server, {"a": texts(9)})) == 0
    assert len(server.calls) == 9


def test_too_many_failures_stop_the_run_and_the_next_one_asks_only_for_what_is_missing(tmp_path: Path) -> None:
    shards = {"a": texts(40), "b": texts(40)}

    def half_broken(body: dict[str, Any]) -> str | web.Response:
        return "fine" if int(said(body).split()[1]) % 2 else web.Response(status=500)

    with ChatServer(half_broken) as server:
        with pytest.raises(TooManyFailuresError, match=r"max_failed_share"):
            table(tmp_path).save(call_plan(server, shards, max_failed_share=0.05, max_tries=1))
        assert len(server.calls) < 80
    with ChatServer() as mended:
        table(tmp_path).save(call_plan(mended, shards))
    answered = [call.key for call in server.calls if half_broken(call.body) == "fine"]
    journalled = len(rows(tmp_path)) - len(mended.calls)
    assert journalled == len(answered), "what was answered is not asked for again, and everything else is"
    assert all(row["error_kind"] is None for row in rows(tmp_path))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, '{"status":404,"title":"Not Found","detail":"Function \'f\': Not found for account \'a\'"}'),
        (410, '{"title":"Gone","status":410,"detail":"The model has reached its end of life"}'),
        (401, '{"error":"Unauthorized"}'),
        (403, "Authorization failed"),
    ],
)
def test_an_endpoint_that_does_not_serve_us_stops_the_run_and_the_error_says_what_to_change(
    tmp_path: Path, status: int, body: str
) -> None:
    with (
        ChatServer(lambda _: web.Response(status=status, text=body)) as server,
        pytest.raises(EndpointError) as stopped,
    ):
        table(tmp_path).save(call_plan(server, {"a": texts(500)}))
    assert body[:20] in str(stopped.value)
    assert "the model's entry in the catalog" in str(stopped.value)
    assert len(server.calls) < 50


def test_an_endpoint_that_only_refuses_stops_the_run_when_patience_ends(tmp_path: Path) -> None:
    refusal = pytest.raises(EndpointError, match=r"refused every call.*max_in_flight")
    with ChatServer(lambda _: web.Response(status=429, headers={"Retry-After": "0.01"})) as server, refusal:
        table(tmp_path).save(call_plan(server, {"a": texts(20)}, patience_s=0.2))


@pytest.mark.parametrize("others", [0, 1, 40])
def test_a_call_that_is_throttled_for_ever_fails_alone_and_holds_no_other_back(tmp_path: Path, others: int) -> None:
    def picky(body: dict[str, Any]) -> str | web.Response:
        return web.Response(status=429) if said(body) == "question 0" else "fine"

    with ChatServer(picky) as server:
        plan = call_plan(server, {"a": texts(1 + others)}, max_in_flight=2, max_tries=2, patience_s=0.5)
        table(tmp_path).save(plan)
    (row,) = (row for row in rows(tmp_path) if row["error_kind"])
    assert (row["row_id"], row["error_kind"]) == ("a-0", "throttled")
    assert asked(server).count("question 0") < 40
    assert not table(tmp_path)._mark("a").settled, "the next run asks again"  # type: ignore[union-attr]


def test_a_call_that_is_throttled_for_ever_neither_narrows_the_window_again_and_again_nor_hammers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def picky(body: dict[str, Any]) -> str | web.Response:
        soon = {"Retry-After": "0.01"}
        return web.Response(status=429, headers=soon) if said(body) == "question 0" else "fine"

    def refused(window: Window, *args: Any, **options: Any) -> None:
        refusals.append(window)
        whole(window, *args, **options)

    refusals: list[Window] = []
    whole = Window.refused
    monkeypatch.setattr(Window, "refused", refused)
    with ChatServer(picky, latency_s=0.01) as server:
        table(tmp_path).save(call_plan(server, {"a": texts(400)}, max_in_flight=4, max_tries=2, patience_s=1))
    assert [row["row_id"] for row in rows(tmp_path) if row["error_kind"]] == ["a-0"]
    assert 1 <= len(refusals) <= 3, "by then it was known that others fare better"
    assert asked(server).count("question 0") <= 12


@pytest.mark.slow
def test_many_calls_that_are_throttled_for_ever_do_not_keep_the_others_out(tmp_path: Path) -> None:
    def picky(body: dict[str, Any]) -> str | web.Response:
        return web.Response(status=429) if int(said(body).split()[1]) % 5 == 2 else "fine"

    with ChatServer(picky) as server:
        plan = call_plan(server, {"a": texts(30)}, max_in_flight=4, max_tries=1, patience_s=2)
        table(tmp_path).save(plan)
    failed = {row["row_id"]: row["error_kind"] for row in rows(tmp_path) if row["error_kind"]}
    assert failed == {f"a-{number}": "throttled" for number in range(2, 30, 5)}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_rows_that_fail_for_ever_end_no_later_run_in_which_only_they_are_left(tmp_path: Path, status: int) -> None:
    def picky(body: dict[str, Any]) -> str | web.Response:
        return web.Response(status=status) if said(body).startswith("bad") else "fine"

    shards = {"a": [*texts(20), *(f"bad {number}" for number in range(20))]}
    limits: dict[str, Any] = {"max_in_flight": 16, "max_tries": 1, "patience_s": 0.5, "start_patience_s": 0.5}
    with ChatServer(picky) as server:
        table(tmp_path).save(call_plan(server, shards, **limits))
        assert table(tmp_path).save(call_plan(server, shards, **limits)) == 1, "its failures may pass"
        assert len(server.probes) >= 1
    assert asked(server).count("question 0") == 1
    failed = {row["row_id"] for row in rows(tmp_path) if row["error_kind"]}
    assert failed == {f"a-{number}" for number in range(20, 40)}


class _Narrow(ChatServer):
    """Takes two calls at a time, and refuses the others."""

    async def answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if self.in_flight > 2:
            return web.Response(status=429)
        return await super().answer(request, body)


def test_an_endpoint_that_takes_few_calls_at_a_time_answers_them_all(tmp_path: Path) -> None:
    with _Narrow(latency_s=0.02) as server:
        table(tmp_path).save(call_plan(server, {"a": texts(100)}, max_in_flight=100, max_tries=1, patience_s=60))
    assert [row["error_kind"] for row in rows(tmp_path)] == [None] * 100


def test_an_endpoint_that_has_answered_nothing_since_the_start_is_not_waited_for_as_long(tmp_path: Path) -> None:
    refusal = pytest.raises(EndpointError, match=r"answered none since the run began.*`limits\.start_patience_s`")
    # It asks for an hour, and gets what is left of the time.
    with ChatServer(lambda _: web.Response(status=503, headers={"Retry-After": "3600"})) as server, refusal:
        table(tmp_path).save(
            call_plan(server, {"a": texts(20)}, patience_s=PATIENCE_S, start_patience_s=0.2, max_in_flight=2)
        )


def test_an_endpoint_that_answered_before_is_waited_for_and_the_line_says_how_long(tmp_path: Path) -> None:
    back = threading.Event()

    def answer(body: dict[str, Any]) -> str | web.Response:
        if said(body) == "first" or back.is_set():
            return "fine"
        later = {"Retry-After": "0.01"}
        return web.Response(status=503, text="[red]\x1b[2Jlater\n" + "x" * 10_000, headers=later)

    with ChatServer(answer) as server, ThreadPoolExecutor() as pool:
        first = call_plan(server, {"first": ["first"]}, patience_s=PATIENCE_S, start_patience_s=0.0, max_in_flight=16)
        table(tmp_path / "first").save(first)
        save = pool.submit(table(tmp_path).save, replace(call_plan(server, {"a": texts(20)}), model=first.model))
        tallies = session_of(first).tallies
        wait_until(lambda: bool(tallies[1:]) and tallies[1].waits_s is not None)
        line = tallies[1].line()
        back.set()
        assert save.result(PATIENCE_S) == 1
    assert re.search(r"last overloaded: HTTP 503: \[red\]\\x1b\[2Jlater x+…; no answer; waits [\d.]+ ", line)
    assert len(line) < 300


def test_a_retry_after_of_nothing_is_no_leave_to_hammer(tmp_path: Path) -> None:
    refusal = pytest.raises(EndpointError)
    with ChatServer(lambda _: web.Response(status=429, headers={"Retry-After": "0"})) as server, refusal:
        table(tmp_path).save(call_plan(server, {"a": texts(20)}, patience_s=1.0))
    assert len(server.calls) < 50


def test_a_request_that_can_never_work_is_a_failed_row_and_is_not_asked_again(tmp_path: Path) -> None:
    def too_long(body: dict[str, Any]) -> str | web.Response:
        message = {"error": {"message": "maximum context length is 1024 tokens"}}
        return web.json_response(message, status=400) if said(body) == "question 3" else "fine"

    with ChatServer(too_long) as server:
        table(tmp_path).save(call_plan(server, {"a": texts(6)}))
        assert table(tmp_path).save(call_plan(server, {"a": texts(6)})) == 0
    assert len(server.calls) == 6
    failed = [row for row in rows(tmp_path) if row["error_kind"]]
    assert [(row["row_id"], row["error_kind"]) for row in failed] == [("a-3", "bad_request")]
    assert "1024 tokens" in failed[0]["error"]


def test_a_failure_that_may_pass_is_a_failed_row_now_and_is_asked_again_by_the_next_run(tmp_path: Path) -> None:
    def broken(body: dict[str, Any]) -> str | web.Response:
        return web.Response(status=500) if said(body) == "question 3" else "fine"

    with ChatServer(broken) as server:
        table(tmp_path).save(call_plan(server, {"a": texts(6)}, max_tries=2))
    failed = [row for row in rows(tmp_path) if row["error_kind"]]
    assert [(row["row_id"], row["error_kind"], row["tries"]) for row in failed] == [("a-3", "server_error", 2)]
    with ChatServer() as mended:
        assert table(tmp_path).save(call_plan(mended, {"a": texts(6)})) == 1
    assert asked(mended) == ["question 3"]
    assert {row["text"] for row in rows(tmp_path)} == {"fine"}


def test_a_consumer_that_fails_stops_new_calls_and_those_in_flight_reach_the_journal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shards = {"a": ["quick"], "b": [f"slow {n}" for n in range(100)]}
    with Gate("slow") as server:
        finished = call_plan(server, shards, max_in_flight=4).finished(["a", "b"], scratch_in(tmp_path))
        next(finished)
        wait_until(lambda: sum("slow" in text for text in asked(server)) == 4)
        with ThreadPoolExecutor() as pool:
            closing = pool.submit(finished.close)
            wait_until(lambda: "calls in flight, which are paid for" in caplog.text)
            server.open()
            closing.result(PATIENCE_S)
    assert (tmp_path / "b.open").read_bytes().count(b"\n") == len(server.calls) - 1
    assert len(server.calls) <= 1 + 8, "calls in flight when it stopped, and at most as many that took their place"


@pytest.mark.parametrize("limits", [{}, {"requests_per_minute": 0.1}])
def test_calls_that_only_wait_for_their_turn_do_not_hold_up_the_end(tmp_path: Path, limits: dict[str, Any]) -> None:
    def come_back_in_an_hour(body: dict[str, Any]) -> str | web.Response:
        return "fine" if said(body) == "quick" else web.Response(status=429, headers={"Retry-After": "3600"})

    with ChatServer(come_back_in_an_hour) as server:
        calls = call_plan(server, {"a": ["quick"], "b": texts(50)}, **limits)
        finished = calls.finished(["a", "b"], scratch_in(tmp_path))
        next(finished)
        if not limits:
            wait_until(lambda: len(server.calls) > 1)
        closing = threading.Thread(target=finished.close, daemon=True)
        closing.start()
        closing.join(PATIENCE_S)
        assert not closing.is_alive()


def test_a_disk_that_is_full_stops_the_run_and_the_next_one_asks_for_what_was_not_written(tmp_path: Path) -> None:
    with ChatServer() as server:
        calls = call_plan(server, {"a": texts(300)})
        journal = tmp_path / "table/.open/a.jsonl"

        def requests(name: str) -> Iterator[Ask]:
            for number, request in enumerate(calls.asks(name)):
                if number == 0:
                    journal.symlink_to("/dev/full")  # after the journal was read: reading /dev/full has no end
                yield request

        with pytest.raises(JournalError, match=r"a\.jsonl.*No space left"):
            table(tmp_path).save(replace(calls, asks=requests))
        assert len(server.calls) < 100
        journal.unlink()
        table(tmp_path).save(calls)
    assert len(rows(tmp_path)) == 300


def test_a_request_that_cannot_be_made_ends_the_run_with_its_error_and_keeps_what_was_paid(tmp_path: Path) -> None:
    with ChatServer() as server:
        calls = call_plan(server, {"a": texts(5)})

        def requests(name: str) -> Iterator[Ask]:
            yield from calls.asks(name)
            raise ValueError("row 6 is odd")

        with pytest.raises(ValueError, match="row 6 is odd"):
            table(tmp_path).save(replace(calls, asks=requests))
        paid = len(server.calls)
        table(tmp_path).save(calls)
    assert (paid, len(server.calls)) == (5, 5)


@pytest.mark.slow
def test_whatever_goes_wrong_every_request_ends_as_a_row_and_none_is_paid_for_twice(tmp_path: Path) -> None:
    faults = {"429": 20, "429 with Retry-After": 20, "500": 10, "503": 4, "hang": 4, "garbage": 4, "cut": 4}
    plan = shuffled(faults | {"empty": 4, "length": 4, "none": 126})
    shards = {name: [f"{name} {n}" for n in range(40)] for name in "abcde"}
    with FaultyServer(plan, reply=echo) as server:
        table(tmp_path).save(call_plan(server, shards, max_in_flight=32, timeout_s=5))
    found = rows(tmp_path)
    assert [row["row_id"] for row in found] == [f"{name}-{n}" for name in "abcde" for n in range(40)]
    assert all(row["error_kind"] is None for row in found)
    assert server.answered == {row["call_key"]: 1 for row in found}
    assert sum(row["text"] == "" for row in found) == 4
    assert sum(row["finish_reason"] == "length" for row in found) == 4
    assert len(server.calls) == 200 + sum(faults.values())


def test_no_error_log_or_file_holds_the_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secret = "nvapi-" + "Zk3" * 20
    caplog.set_level("DEBUG")

    def repeats_it(body: dict[str, Any]) -> web.Response:
        return web.Response(status=400 if "1" in said(body) else 401, text=f"the key {secret} is bad")

    with ChatServer(repeats_it) as server, pytest.raises(EndpointError) as stopped:
        table(tmp_path).save(call_plan(server, {"a": texts(12)}, key=secret, max_in_flight=1))
    assert server.calls[0].authorization == f"Bearer {secret}"
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert secret not in f"{stopped.value}{stopped.value.__cause__!r}{caplog.text}{written}"


def test_tables_that_ask_one_model_at_the_same_time_share_its_window(tmp_path: Path) -> None:
    with ChatServer(latency_s=0.02) as server:
        one = call_plan(server, {"a": texts(40)}, max_in_flight=4)
        two = replace(call_plan(server, {"b": texts(40)}), model=one.model)
        for thread in [saving(tmp_path / "one", one), saving(tmp_path / "two", two)]:
            thread.join()
    assert server.most_in_flight == 4
    assert len(asked(server)) == 80


def test_calls_with_the_lowest_turn_go_first(tmp_path: Path) -> None:
    late, early = ({"a": [f"{word} {n}" for n in range(20)]} for word in ("late", "early"))
    with Gate("late 0", latency_s=0.001) as server:
        second = replace(call_plan(server, late, max_in_flight=1), priority=(2, 0))
        first = replace(call_plan(server, early), model=second.model, priority=(1, 7))
        threads = [saving(tmp_path / "late", second)]
        wait_until(lambda: asked(server) == ["late 0"])
        threads.append(saving(tmp_path / "early", first))
        wait_until(lambda: len(session_of(second).window._waiting) == 2)
        server.open()
        for thread in threads:
            thread.join()
    words = [text.split()[0] for text in asked(server)]
    # One late call waits already when the early ones come, and is overtaken as well.
    assert words == ["late", *["early"] * 20, *["late"] * 19]


def test_a_halt_lets_calls_in_flight_end_and_starts_no_more(tmp_path: Path) -> None:
    with Gate("question") as server, ThreadPoolExecutor() as pool:
        work = call_plan(server, {"a": texts(40)}, max_in_flight=4)
        save = pool.submit(table(tmp_path).save, work)
        wait_until(lambda: len(asked(server)) == 4)
        session_of(work).halt("time is up", grace_s=PATIENCE_S)
        server.open()
        with pytest.raises(StoppedError, match="time is up"):
            save.result()
        with pytest.raises(StoppedError, match="time is up"):
            table(tmp_path).save(work)
    assert len(asked(server)) == 4
    journal = (tmp_path / "table" / ".open" / "a.jsonl").read_text()
    assert journal.count("\n") == 4


def test_a_halt_gives_calls_up_that_outlast_its_grace(tmp_path: Path) -> None:
    with Gate("question") as server, ThreadPoolExecutor() as pool:
        work = call_plan(server, {"a": texts(40)}, max_in_flight=4)
        save = pool.submit(table(tmp_path).save, work)
        wait_until(lambda: len(asked(server)) == 4)
        session_of(work).halt("time is up", grace_s=0.05)
        with pytest.raises(StoppedError):
            save.result(PATIENCE_S)


def _be_interrupted_at_once(base_url: str, folder: Path) -> None:
    """Ctrl-C comes before the loop has had time for anything."""
    model = ChatModel(ModelEntry("m", base_url))
    shards = {name: texts(2) for name in "abcdef"}
    with model.session.open() as loop:
        interrupted = threading.Event()
        loop.call_soon_threadsafe(interrupted.wait, PATIENCE_S)
        interrupt = partial(signal.pthread_kill, threading.get_ident(), signal.SIGINT)
        threading.Timer(0.2, interrupt).start()
        threading.Timer(0.5, interrupted.set).start()
        try:
            table(folder).save(replace(call_plan(ChatServer(), shards), model=model))
        except KeyboardInterrupt:
            os._exit(0)


def test_a_run_that_is_interrupted_before_its_first_call_ends(tmp_path: Path) -> None:
    with ChatServer() as server:
        process = multiprocessing.get_context("fork").Process(
            target=_be_interrupted_at_once, args=(server.base_url, tmp_path)
        )
        process.start()
        process.join(PATIENCE_S)
        process.kill()
        process.join()
    assert process.exitcode == 0
    assert server.calls == []


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_a_row_that_an_endpoint_rejects_fails_alone_also_when_it_is_the_last(tmp_path: Path, status: int) -> None:
    def picky(body: dict[str, Any]) -> str | web.Response:
        return web.Response(status=status, text=said(body)) if said(body) == "question 3" else "fine"

    with ChatServer(picky) as server:
        table(tmp_path).save(call_plan(server, {"a": texts(6)}, max_tries=2, patience_s=PATIENCE_S))
    assert [row["row_id"] for row in rows(tmp_path) if row["error_kind"]] == ["a-3"]
    assert not table(tmp_path)._mark("a").settled, "the next run asks again"  # type: ignore[union-attr]


@pytest.mark.parametrize("status", [403, 404])
def test_an_endpoint_that_rejects_the_few_calls_of_a_run_says_so(tmp_path: Path, status: int) -> None:
    with ChatServer(lambda _: web.Response(status=status)) as server, pytest.raises(EndpointError, match=r"HTTP 40\d"):
        table(tmp_path).save(call_plan(server, {"a": texts(2)}, max_failed_share=0.05))


def test_an_account_without_money_stops_the_run_and_its_calls_are_asked_when_there_is_some(tmp_path: Path) -> None:
    with (
        ChatServer(lambda _: web.Response(status=402)) as server,
        pytest.raises(EndpointError, match="balance or quota"),
    ):
        table(tmp_path).save(call_plan(server, {"a": texts(9)}))
    with ChatServer() as topped_up:
        table(tmp_path).save(call_plan(topped_up, {"a": texts(9)}))
    assert len(topped_up.calls) == 9


def test_an_unreadable_answer_is_asked_for_twice_at_most(tmp_path: Path) -> None:
    with ChatServer(lambda _: web.Response(text="<html>")) as server:
        table(tmp_path).save(call_plan(server, {"a": texts(1)}, max_tries=6))
    assert len(server.calls) == 2


def test_an_endpoint_that_is_away_for_a_while_is_waited_for_and_no_row_fails(tmp_path: Path) -> None:
    with ChatServer() as server:
        address, port = server.base_url, int(server.base_url.rpartition(":")[2].removesuffix("/v1"))
        plan = call_plan(server, {"a": texts(3), "b": texts(60)}, max_in_flight=20, max_tries=3)
        finished = plan.finished(["a", "b"], scratch_in(tmp_path))
        next(finished)
    with ThreadPoolExecutor() as pool:
        rest = pool.submit(list, finished)
        wait_until(lambda: session_of(plan)._silent_since is not None)
        with ChatServer(port=port) as back:
            assert back.base_url == address
            (shard,) = rest.result(PATIENCE_S)
    assert all(row["error_kind"] is None for row in shard.rows)


def test_a_process_that_was_stopped_for_longer_than_the_time_limit_reads_the_replies_that_wait(tmp_path: Path) -> None:
    with ChatServer(latency_s=0.5) as server:
        process = multiprocessing.get_context("fork").Process(target=_ask, args=(server.base_url, tmp_path))
        process.start()
        wait_until(lambda: len(server.calls) == 8)
        os.kill(process.pid or 0, signal.SIGSTOP)
        wait_until(lambda: server.in_flight == 0)
        time.sleep(3)  # longer than the limit of each call
        os.kill(process.pid or 0, signal.SIGCONT)
        process.join(PATIENCE_S)
    assert process.exitcode == 0
    assert len(server.calls) == 8, "nothing is paid for twice"
    assert all(row["text"] == "fine" for row in rows(tmp_path))


def _ask(base_url: str, folder: Path) -> None:
    model = ChatModel(ModelEntry("m", base_url, limits=Limits(max_in_flight=8, timeout_s=2)))
    table(folder).save(replace(call_plan(ChatServer(), {"a": texts(8)}), model=model))


def test_a_run_whose_terminal_is_gone_goes_on_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def show(self, _: object) -> None:
            raise SystemExit(1)  # as rich does when a pipe is broken

        def close(self) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(engine, "display", Gone)
    with ChatServer(latency_s=0.2) as server:
        table(tmp_path).save(call_plan(server, {"a": texts(60)}, max_in_flight=8))
    assert len(rows(tmp_path)) == 60


def test_whatever_ends_the_loop_of_calls_ends_the_run_with_its_cause_and_keeps_what_was_paid(tmp_path: Path) -> None:
    def end_it() -> None:
        raise SystemExit("a fault of a library")

    with Gate("question") as server, ThreadPoolExecutor() as pool:
        work = call_plan(server, {"a": texts(40)}, max_in_flight=4)
        save = pool.submit(table(tmp_path).save, work)
        wait_until(lambda: len(asked(server)) == 4)
        session_of(work).call_soon(end_it)
        server.open()
        with pytest.raises(LoopError, match="a fault of a library"):
            save.result(PATIENCE_S)
        table(tmp_path).save(work)
    assert len(rows(tmp_path)) == 40
    assert max(Counter(server.keys).values()) == 1
