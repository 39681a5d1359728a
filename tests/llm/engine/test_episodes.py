from __future__ import annotations

import asyncio
import gc
import re
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

import orjson
import pytest
from aiohttp import web

from omr_kedro.llm.calls import (
    Ask,
    CallPlan,
    Completion,
    Episode,
    EpisodeLimits,
    EpisodeOptions,
    Request,
    Sampling,
    StepFailedError,
    Steps,
)
from omr_kedro.llm.calls.errors import (
    JournalError,
    ModelServerError,
    SpendingLimitError,
    StoppedError,
    TooManyFailuresError,
)
from omr_kedro.llm.calls.prices import Price
from omr_kedro.llm.calls.prompt import Message
from omr_kedro.llm.endpoint import Limits
from omr_kedro.llm.endpoint.spending import Spending, SpendingLimits
from omr_kedro.llm.engine import ChatModel, ModelEntry, PaidCalls, is_paid
from omr_kedro.llm.engine.journal import ShardJournal, paid_calls
from tests.support.call_plans import Gate, echo, said, saving, scratch_in, session_of, table
from tests.support.chat_server import ChatServer
from tests.support.episodes import CountedSandbox, Outcome, rows, under_chance
from tests.support.waiting import PATIENCE_S, wait_until


class Play(Protocol):
    def __call__(self, steps: Steps, row: str) -> Awaitable[None]: ...


def question(row: str, text: str = "begin", **fields: Any) -> Request:
    return Request(row, [{"role": "user", "content": f"{row}: {text}"}], Sampling(0.7, seed=5), "prompt", **fields)


def plan(
    server: ChatServer | str, play: Play, rows_of: dict[str, int], options: EpisodeOptions | None = None, **limits: Any
) -> CallPlan:
    """An episode for each of so many rows of each shard."""

    def asks(shard: str) -> Iterator[Ask]:
        for number in range(rows_of[shard]):
            row = f"{shard}-{number}"
            yield Episode(row, partial(play, row=row), "prompt")

    base_url = server if isinstance(server, str) else server.base_url
    return CallPlan(
        name="test",
        model=ChatModel(ModelEntry("m", base_url, limits=Limits(**{"max_in_flight": 8, **limits}))),
        asks=asks,
        expected=dict(rows_of),
        fingerprints=dict.fromkeys(rows_of, "as it is"),
        episodes=options or EpisodeOptions(),
        max_failed_share=1.0,
    )


async def two_turns(steps: Steps, row: str) -> None:
    first = await steps.ask(question(row))
    await steps.ask(question(row, f"go on from {first.text}", turn=1))


async def rounds(steps: Steps, row: str) -> None:
    """Samples that write code or give an answer, two at a time, until two of them agree."""
    votes = Counter[str]()
    for start in (0, 2, 4, 6):
        votes.update(await steps.together(sample(steps, row, number) for number in (start, start + 1)))
        if votes.most_common(1)[0][1] > 1:
            return


async def sample(steps: Steps, row: str, number: int) -> str:
    request = question(row, sample_index=number)
    session = steps.session(request)
    for turn in range(4):
        reply = await steps.ask(replace(request, turn=turn))
        if reply.text.startswith("answer"):
            return reply.text
        output = await steps.run(session, reply.text)
        request = replace(request, messages=[*request.messages, {"role": "user", "content": output.text}])
    return "none"


def some_answer(body: dict[str, Any]) -> str:
    """Code or one of three answers, by chance but the same to the same body."""
    number = blake2b(orjson.dumps(body, option=orjson.OPT_SORT_KEYS), digest_size=4).digest()[0]
    return f"answer {number % 3}" if number > 100 else f"print({number})"


def with_code(base_url: str, folder: Path) -> CallPlan:
    return plan(base_url, rounds, {"a": 6, "b": 6}, EpisodeOptions(CountedSandbox(folder)))


def test_a_step_may_depend_on_the_reply_to_the_step_before(tmp_path: Path) -> None:
    with ChatServer(echo) as server:
        table(tmp_path).save(plan(server, two_turns, {"a": 3, "b": 2}))
    assert [(row["row_id"], row["turn"]) for row in rows(tmp_path)] == [
        (row, turn) for row in ("a-0", "a-1", "a-2", "b-0", "b-1") for turn in (0, 1)
    ]
    assert rows(tmp_path)[3]["text"] == "re a-1: go on from re a-1: begin"


def test_each_turn_of_a_sample_has_a_seed_of_its_own(tmp_path: Path) -> None:
    with ChatServer(echo) as server:
        table(tmp_path).save(plan(server, two_turns, {"a": 1}))
    seeds = [call.body["seed"] for call in server.calls]
    assert seeds[0] == 5
    assert seeds[1] != 5
    assert [row["seed"] for row in rows(tmp_path)] == seeds


@pytest.mark.parametrize(
    "kills", [pytest.param(8, id="8"), pytest.param(300, id="300", marks=[pytest.mark.kills, pytest.mark.slow])]
)
def test_killed_at_any_moment_and_whatever_ends_first_the_table_is_the_same_and_nothing_is_made_twice(
    tmp_path: Path, kills: int
) -> None:
    found = under_chance(with_code, some_answer, tmp_path, kills=kills)
    assert found.steps > 50
    assert found.kills >= kills
    assert found.runs > 1 or kills < 100, "few kills may all fall into one run"
    assert found.different == 0
    assert found.again == []


def test_the_harness_finds_an_episode_that_decides_by_who_is_first(tmp_path: Path) -> None:
    async def race(steps: Steps, row: str) -> None:
        order = list[int]()

        async def one(number: int) -> None:
            await steps.ask(question(row, sample_index=number))
            order.append(number)

        await steps.together(map(one, range(3)))
        await steps.ask(question(row, f"{order}", turn=1))

    found = under_chance(lambda url, _: plan(url, race, {"a": 12}), some_answer, tmp_path, kills=3)
    assert found.different > 0


def test_the_steps_of_a_finished_table_are_read_and_not_made_again(tmp_path: Path) -> None:
    with ChatServer(some_answer) as server:
        table(tmp_path).save(with_code(server.base_url, tmp_path))
        made = rows(tmp_path)
        asked, ran = len(server.calls), len(CountedSandbox(tmp_path).ran())
        changed = replace(with_code(server.base_url, tmp_path), fingerprints={"a": "other code", "b": "other code"})
        table(tmp_path).save(changed)
        assert (len(server.calls), len(CountedSandbox(tmp_path).ran())) == (asked, ran)
    assert rows(tmp_path) == made


def test_a_table_that_was_paid_for_is_completed_without_model_and_sandbox(tmp_path: Path) -> None:
    with ChatServer(some_answer) as server:
        calls = with_code(server.base_url, tmp_path)
        table(tmp_path).save(calls)
        made = rows(tmp_path)
    changed = replace(calls, fingerprints={"a": "other code", "b": "other code"})
    assert all(is_paid(changed, shard, table(tmp_path).scratch(shard)) for shard in ("a", "b"))
    table(tmp_path).save(PaidCalls(changed))
    assert rows(tmp_path) == made
    more = replace(changed, asks=plan(server.base_url, rounds, {"a": 7}, calls.episodes).asks)
    assert not is_paid(more, "a", table(tmp_path).scratch("a"))


def test_steps_that_a_changed_episode_does_not_take_are_kept_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async def three_turns(steps: Steps, row: str) -> None:
        await two_turns(steps, row)
        await steps.ask(question(row, "and more", turn=2))

    with ChatServer(echo) as server:
        table(tmp_path).save(plan(server, three_turns, {"a": 4}))
        shorter = replace(plan(server, two_turns, {"a": 4}), fingerprints={"a": "fewer turns"})
        table(tmp_path).save(shorter)
        assert "4 paid for earlier serve no more (kept)" in caplog.text
        table(tmp_path).save(plan(server, three_turns, {"a": 4}))
    assert len(server.calls) == 12, "what was kept serves again"


def test_a_step_that_fails_ends_its_episode_and_no_other(tmp_path: Path) -> None:
    def picky(body: dict[str, Any]) -> str | web.Response:
        return web.Response(status=400) if said(body) == "a-1: begin" else echo(body)

    with ChatServer(picky) as server:
        table(tmp_path).save(plan(server, two_turns, {"a": 3}))
    found = [(row["row_id"], row["turn"], row["error_kind"]) for row in rows(tmp_path)]
    assert found == [("a-0", 0, None), ("a-0", 1, None), ("a-1", 0, "bad_request"), ("a-2", 0, None), ("a-2", 1, None)]


def test_an_episode_may_go_on_after_a_step_that_failed(tmp_path: Path) -> None:
    async def one(steps: Steps, request: Request) -> Completion:
        try:
            return await steps.ask(request)
        except StepFailedError as failed:
            return failed.completion

    async def four(steps: Steps, row: str) -> None:
        replies = await steps.together(one(steps, question(row, f"{n}", sample_index=n)) for n in range(4))
        await steps.ask(question(row, f"{sum(reply.error_kind is None for reply in replies)} were answered", turn=1))

    def picky(body: dict[str, Any]) -> str | web.Response:
        return web.Response(status=400) if said(body) == "a-0: 2" else echo(body)

    with ChatServer(picky) as server:
        table(tmp_path).save(plan(server, four, {"a": 1}))
    assert rows(tmp_path)[1]["text"] == "re a-0: 3 were answered"


def test_branches_come_to_their_end_when_one_of_them_fails(tmp_path: Path) -> None:
    async def four(steps: Steps, row: str) -> None:
        await steps.together(steps.ask(question(row, f"{n}", sample_index=n)) for n in range(4))
        raise AssertionError("never reached")

    def picky(body: dict[str, Any]) -> str | web.Response:
        return web.Response(status=400) if said(body) == "a-0: 0" else echo(body)

    with ChatServer(picky, latency_s=0.01) as server:
        table(tmp_path).save(plan(server, four, {"a": 1}))
    assert [row["error_kind"] for row in rows(tmp_path)] == ["bad_request", None, None, None]


def test_an_error_of_an_episode_itself_costs_its_row_alone(tmp_path: Path) -> None:
    async def odd(steps: Steps, row: str) -> None:
        await steps.ask(question(row))
        if row == "a-1":
            raise ValueError("\x1b[31mrow 1 is odd")

    with ChatServer(echo) as server:
        assert table(tmp_path).save(plan(server, odd, {"a": 3})) == 1
        again = plan(server, odd, {"a": 3})
        assert table(tmp_path).save(again) == 0, "the next run would end it in the same way"
    (end,) = [row for row in rows(tmp_path) if row["kind"] == "end"]
    assert (end["row_id"], end["error_kind"]) == ("a-1", "episode_crashed")
    assert end["error"] == "ValueError: \\x1b[31mrow 1 is odd"
    assert len(server.calls) == 3


@pytest.mark.parametrize(
    ("limits", "kind", "steps"),
    [
        (EpisodeLimits(steps=3), "step_limit", 3),
        (EpisodeLimits(tokens=12), "token_limit", 3),
        (EpisodeLimits(seconds=0), "time_limit", 0),
    ],
)
def test_an_episode_without_end_is_ended_by_its_limits(
    tmp_path: Path, limits: EpisodeLimits, kind: str, steps: int
) -> None:
    async def endless(steps: Steps, row: str) -> None:
        turn = 0
        while True:
            await steps.ask(question(row, turn=turn))
            turn += 1

    with ChatServer(echo) as server:
        table(tmp_path).save(plan(server, endless, {"a": 2}, EpisodeOptions(limits=limits)))
    assert len(server.calls) == 2 * steps
    assert [row["error_kind"] for row in rows(tmp_path)] == ([None] * steps + [kind]) * 2


def test_an_episode_that_ran_out_of_time_goes_on_in_the_next_run(tmp_path: Path) -> None:
    with ChatServer(echo, latency_s=0.05) as server:
        table(tmp_path).save(plan(server, two_turns, {"a": 2}, EpisodeOptions(limits=EpisodeLimits(seconds=0.01))))
        assert [row["kind"] for row in rows(tmp_path)] == ["model", "end"] * 2
        table(tmp_path).save(plan(server, two_turns, {"a": 2}))
    assert [row["kind"] for row in rows(tmp_path)] == ["model", "model"] * 2
    assert len(server.calls) == 4


def test_two_steps_cannot_be_in_the_same_place(tmp_path: Path) -> None:
    async def unnamed(steps: Steps, row: str) -> None:
        await steps.ask(question(row, "one"))
        await steps.ask(question(row, "two"))

    with ChatServer(echo) as server:
        table(tmp_path).save(plan(server, unnamed, {"a": 1}))
    (_, end) = rows(tmp_path)
    assert "give them turns or parts" in end["error"]


def test_two_episodes_that_ask_the_same_pay_once(tmp_path: Path) -> None:
    async def same(steps: Steps, row: str) -> None:
        reply = await steps.ask(replace(question(row), messages=[{"role": "user", "content": "same"}]))
        await steps.ask(question(row, reply.text, turn=1))

    with ChatServer(echo, latency_s=0.02) as server:
        table(tmp_path).save(plan(server, same, {"a": 5}))
    assert sum(said(call.body) == "same" for call in server.calls) == 1
    assert [row["text"] for row in rows(tmp_path)][::2] == ["re same"] * 5


def test_a_call_of_several_episodes_is_counted_once_and_only_an_earlier_run_s_as_taken_from_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def same(steps: Steps, row: str) -> None:
        await steps.ask(replace(question(row), messages=[{"role": "user", "content": "same"}]))

    caplog.set_level("INFO")
    with ChatServer(echo) as server:
        table(tmp_path).save(plan(server, same, {"a": 3}, max_in_flight=1))
        (first,) = re.findall(r"test: (.*) calls to .*, (.*) taken from earlier runs", caplog.text)
        caplog.clear()
        table(tmp_path).save(replace(plan(server, same, {"a": 5}, max_in_flight=1), fingerprints={"a": "more"}))
        (second,) = re.findall(r"test: (.*) calls to .*, (.*) taken from earlier runs", caplog.text)
    assert (first, second) == (("1", "0"), ("0", "1"))


def test_later_steps_go_before_episodes_that_are_not_open_yet(tmp_path: Path) -> None:
    with ChatServer(echo) as server:
        table(tmp_path).save(plan(server, two_turns, {"a": 20}, max_in_flight=1))
    begun = [said(call.body).partition(":")[0] for call in server.calls]
    assert begun == [f"a-{number}" for number in range(20) for _ in (0, 1)]


def test_no_more_episodes_are_open_than_keep_the_window_full(tmp_path: Path) -> None:
    most = list[int]()

    async def counted(steps: Steps, row: str) -> None:
        session = steps.session(question(row))
        await steps.run(session, "print(1)")
        most.append(len(tally.open_episodes))
        await steps.ask(question(row))

    with ChatServer(echo, latency_s=0.01) as server:
        options = EpisodeOptions(CountedSandbox(tmp_path, longest_s=0.2))
        calls = plan(server, counted, {"a": 60}, options, max_in_flight=4)
        saving = threading.Thread(target=table(tmp_path).save, args=(calls,))
        saving.start()
        wait_until(lambda: session_of(calls).tallies)
        tally = session_of(calls).tallies[0]
        saving.join()
    assert max(most) <= 8
    assert server.most_in_flight <= 4
    assert tally.episodes == 60


def test_what_a_request_adds_to_others_is_sent_and_read(tmp_path: Path) -> None:
    async def exact(steps: Steps, row: str) -> None:
        ask = Request(row, [], Sampling(max_tokens=9), "p", prompt_ids=[1, 2], stop=("</tool_call>",))
        ask = replace(ask, extra_body={"return_token_ids": True})
        first = await steps.ask(ask)
        assert first.token_ids == [7, 8]
        await steps.ask(replace(ask, turn=1, prompt_ids=[*(ask.prompt_ids or ()), *first.token_ids, 3]))

    def go_on(body: dict[str, Any]) -> web.Response:
        choice = {"text": "x", "token_ids": [7, 8], "finish_reason": "stop", "stop_reason": "</tool_call>"}
        return web.json_response({"choices": [choice], "usage": {"prompt_tokens": len(body["prompt"])}})

    with ChatServer(go_on) as server:
        table(tmp_path).save(plan(server, exact, {"a": 1}))
    bodies = [call.body for call in server.calls]
    assert [body["prompt"] for body in bodies] == [[1, 2], [1, 2, 7, 8, 3]]
    assert all(body["stop"] == ["</tool_call>"] and body["return_token_ids"] for body in bodies)
    assert all("messages" not in body for body in bodies)
    assert [(row["text"], row["stop_reason"], row["token_ids"]) for row in rows(tmp_path)] == [
        ("x", "</tool_call>", [7, 8])
    ] * 2


def test_code_of_a_sample_runs_in_one_session_that_ends_with_the_episode(tmp_path: Path) -> None:
    async def adding(steps: Steps, row: str) -> None:
        session = steps.session(question(row))
        for code in ("x = 1", "y = 2", "print(x + y)"):
            await steps.run(session, code)

    sandbox = CountedSandbox(tmp_path)
    table(tmp_path).save(plan("http://127.0.0.1:9/v1", adding, {"a": 2}, EpisodeOptions(sandbox)))
    assert [row["text"] for row in rows(tmp_path)][2::3] == ["x = 1\ny = 2\nprint(x + y)"] * 2
    assert [(row["kind"], row["turn"], row["finish_reason"]) for row in rows(tmp_path)][:3] == [
        ("code", number, "completed") for number in range(3)
    ]
    assert sandbox.open == 0


class Dying(CountedSandbox):
    """Loses its sessions so many times before code has an outcome."""

    def __init__(self, folder: Path, deaths: int) -> None:
        super().__init__(folder)
        self.deaths = deaths

    def session(self, key: str, earlier: Any = ()) -> Any:
        session = super().session(key, earlier)
        if self.deaths:
            self.deaths -= 1
            session.run = self._die  # type: ignore[method-assign]
        return session

    async def _die(self, code: str) -> Outcome:
        await asyncio.sleep(0)
        return Outcome("unavailable", "", f"died before {code}", settled=False)


async def one_piece(steps: Steps, row: str) -> None:
    await steps.run(steps.session(question(row)), "print(1)")


def test_code_is_run_in_another_session_when_the_sandbox_dies(tmp_path: Path) -> None:
    table(tmp_path).save(plan("http://127.0.0.1:9/v1", one_piece, {"a": 1}, EpisodeOptions(Dying(tmp_path, deaths=2))))
    assert [row["text"] for row in rows(tmp_path)] == ["print(1)"]


def test_an_episode_whose_code_no_sandbox_runs_ends_and_is_played_again_by_the_next_run(tmp_path: Path) -> None:
    table(tmp_path).save(plan("http://127.0.0.1:9/v1", one_piece, {"a": 1}, EpisodeOptions(Dying(tmp_path, deaths=9))))
    (row,) = rows(tmp_path)
    assert (row["error_kind"], row["error"]) == ("sandbox_unavailable", "died before print(1)")
    table(tmp_path).save(plan("http://127.0.0.1:9/v1", one_piece, {"a": 1}, EpisodeOptions(CountedSandbox(tmp_path))))
    (row,) = rows(tmp_path)
    assert row["error_kind"] is None


def test_the_closing_line_tells_of_episodes_and_of_code(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with ChatServer(some_answer) as server:
        table(tmp_path).save(with_code(server.base_url, tmp_path))
    runs = sum(row["kind"] == "code" for row in rows(tmp_path))
    assert f"{len(server.calls)} calls to m" in caplog.text
    assert f"0 failed; 12 episodes; {runs} runs of code; " in caplog.text


async def three_rounds(steps: Steps, row: str) -> None:
    for start in (0, 2, 4):
        await steps.together(steps.ask(question(row, f"{n}", sample_index=n)) for n in (start, start + 1))


def test_later_rounds_go_before_episodes_that_are_not_open_yet(tmp_path: Path) -> None:
    with ChatServer(echo) as server:
        table(tmp_path).save(plan(server, three_rounds, {"a": 10}, max_in_flight=1))
    begun = [said(call.body).partition(":")[0] for call in server.calls]
    assert begun == [f"a-{number}" for number in range(10) for _ in range(6)]


def test_tables_that_ask_one_model_share_the_places_for_open_episodes(tmp_path: Path) -> None:
    most = list[int]()

    async def counted(steps: Steps, row: str) -> None:
        most.append(sum(len(tally.open_episodes) for tally in session_of(one).tallies))
        await steps.run(steps.session(question(row)), "print(1)")
        await steps.ask(question(row))

    with ChatServer(echo) as server:
        options = EpisodeOptions(CountedSandbox(tmp_path, longest_s=0.1))
        one = plan(server, counted, {"a": 20}, options, max_in_flight=2)
        tables = [replace(one, priority=(0, number)) for number in range(5)]
        threads = [saving(tmp_path / f"{number}", calls) for number, calls in enumerate(tables)]
        for thread in threads:
            thread.join()
    assert len(most) == 100
    assert max(most) <= 4
    assert session_of(one).window.in_flight == session_of(one).episodes.in_flight == 0


def test_an_episode_that_waits_for_the_step_of_another_holds_no_slot(tmp_path: Path) -> None:
    same: list[Message] = [{"role": "user", "content": "the same"}]
    turn = asyncio.Event()

    async def one(steps: Steps, row: str) -> None:
        if row == "a-0":
            await steps.run(steps.session(question(row)), "print(1)")
            turn.set()
        else:
            await turn.wait()  # it was opened with the only slot, and the other has begun the same step meanwhile
        await steps.ask(replace(question(row), messages=same))

    with ChatServer(echo) as server:
        options = EpisodeOptions(CountedSandbox(tmp_path))
        saved = saving(tmp_path, plan(server, one, {"a": 2}, options, max_in_flight=1))
        saved.join(PATIENCE_S)
        assert not saved.is_alive()
    assert len(server.calls) == 1
    assert [row["text"] for row in rows(tmp_path) if row["kind"] == "model"] == ["re the same"] * 2


async def deaf(steps: Steps, row: str) -> None:
    """Asks four times, whatever happens."""
    for turn in range(4):
        with suppress(BaseException):
            await steps.ask(question(row, f"turn {turn}", turn=turn))


async def four_turns(steps: Steps, row: str) -> None:
    for turn in range(4):
        await steps.ask(question(row, f"turn {turn}", turn=turn))


@pytest.mark.parametrize("play", [four_turns, deaf])
def test_a_limit_of_spending_in_the_middle_of_episodes_costs_no_step_twice(tmp_path: Path, play: Play) -> None:
    with ChatServer(echo, latency_s=0.002) as server:
        calls = plan(server, play, {"a": 8, "b": 8, "c": 8})
        session = session_of(calls)
        for _ in range(20):
            session.charge(Spending(SpendingLimits(total_tokens=400)), Price())
            try:
                table(tmp_path).save(calls)
                break
            except SpendingLimitError:
                assert session.window.in_flight == session.episodes.in_flight == 0
    assert len(server.calls) == len(set(server.keys)) == len(rows(tmp_path)) == 96
    assert not any(row["error_kind"] for row in rows(tmp_path))


def test_what_was_not_paid_for_is_missing_also_where_the_episode_takes_no_notice(tmp_path: Path) -> None:
    with ChatServer(echo) as server:
        table(tmp_path).save(plan(server, four_turns, {"a": 2}))
        calls = plan(server, deaf, {"a": 2})
        assert is_paid(calls, "a", table(tmp_path).scratch("a"))
        assert not is_paid(plan(server, deaf, {"a": 3}), "a", table(tmp_path).scratch("a"))


def test_an_episode_that_catches_every_error_is_ended_by_its_limit(tmp_path: Path) -> None:
    async def endless(steps: Steps, row: str) -> None:
        turn = 0
        while True:
            with suppress(Exception):
                await steps.together([steps.ask(question(row, turn=turn))])
            turn += 1

    options = EpisodeOptions(limits=EpisodeLimits(steps=3))
    with ChatServer(echo) as server:
        calls = plan(server, endless, {"a": 2}, options)
        table(tmp_path).save(calls)
        assert [row["error_kind"] for row in rows(tmp_path)] == [None, None, None, "step_limit"] * 2
        assert is_paid(calls, "a", table(tmp_path).scratch("a"))


def test_an_episode_that_takes_no_notice_of_its_limit_has_reached_it(tmp_path: Path) -> None:
    with ChatServer(echo) as server:
        table(tmp_path).save(plan(server, deaf, {"a": 1}, EpisodeOptions(limits=EpisodeLimits(steps=2))))
    assert [row["error_kind"] for row in rows(tmp_path)] == [None, None, "step_limit"]


async def by_a_timeout(step: Awaitable[Completion]) -> None:
    async with asyncio.timeout(0.01):
        await step


async def by_wait_for(step: Awaitable[Completion]) -> None:
    await asyncio.wait_for(step, 0.01)


async def by_a_task(step: Awaitable[Completion]) -> None:
    task = asyncio.ensure_future(step)
    await asyncio.sleep(0.01)
    task.cancel()
    with suppress(Exception):
        await task
    raise TimeoutError


@pytest.mark.parametrize(
    ("impatiently", "ends"),
    [(by_a_timeout, {"a-1": "episode_crashed"}), (by_wait_for, {"a-1": "episode_crashed"}), (by_a_task, {})],
)
def test_an_episode_that_does_not_wait_for_its_step_costs_its_row_alone(
    tmp_path: Path, impatiently: Callable[[Awaitable[Completion]], Awaitable[None]], ends: dict[str, str]
) -> None:
    async def hasty(steps: Steps, row: str) -> None:
        await steps.ask(question(row))
        if row == "a-1":
            with suppress(TimeoutError):
                await impatiently(steps.ask(question(row, "slow", turn=1)))
        await steps.ask(question(row, "more", turn=2))

    with Gate("slow", reply=echo) as server:
        calls = plan(server, hasty, {"a": 3, "b": 1})
        saved = saving(tmp_path, calls)
        saved.join(PATIENCE_S)
        assert not saved.is_alive()
        server.open()
    assert session_of(calls).window.in_flight == 0
    assert {row["row_id"]: row["error_kind"] for row in rows(tmp_path) if row["kind"] == "end"} == ends
    assert sum(row["row_id"] != "a-1" for row in rows(tmp_path)) == 6


async def code_between(steps: Steps, row: str) -> None:
    """Rounds of two samples, each of which runs code before it goes on."""
    for start in (0, 2):
        await steps.together(asks_and_runs(steps, row, number) for number in (start, start + 1))


async def asks_and_runs(steps: Steps, row: str, number: int) -> None:
    request = question(row, f"{number}", sample_index=number)
    await steps.ask(request)
    await steps.run(steps.session(request), "print(1)")
    await steps.ask(replace(request, turn=1))


@pytest.mark.parametrize("grace_s", [PATIENCE_S, 0.0])
@pytest.mark.parametrize("after", [1, 12, 40])
def test_a_stop_in_the_middle_of_rounds_and_code_leaves_nothing_open_and_costs_no_finished_step(
    tmp_path: Path, grace_s: float, after: int
) -> None:
    sandbox = CountedSandbox(tmp_path, longest_s=0.05)
    with ChatServer(echo, latency_s=0.005) as server:
        calls = plan(server, code_between, {"a": 10, "b": 10}, EpisodeOptions(sandbox), max_in_flight=6)
        session = session_of(calls)
        saved = saving(tmp_path, calls, StoppedError)
        wait_until(lambda: len(server.calls) + len(sandbox.ran()) >= after)
        session.halt("time is up", grace_s)
        saved.join(PATIENCE_S)
        assert not saved.is_alive()
        # Sessions of the sandbox are closed beside the thread that saves.
        wait_until(lambda: session.window.in_flight == session.episodes.in_flight == sandbox.open == 0)
        session.resume()
        paid = {found.call_key for shard in "ab" for found in paid_calls(table(tmp_path).scratch(shard))}
        asked, ran = len(server.calls), len(sandbox.ran())
        table(tmp_path).save(calls)
    assert paid.isdisjoint(server.keys[asked:])
    assert len(server.calls[asked:]) + len(sandbox.ran()[ran:]) + len(paid) == len(rows(tmp_path)) == 20 * 12
    assert sandbox.open == 0


class Waiting(CountedSandbox):
    """Its code runs until it is told to end."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.ends = threading.Event()

    def session(self, key: str, earlier: Any = ()) -> Any:
        session = super().session(key, earlier)
        session.run = self._wait  # type: ignore[method-assign]
        return session

    async def _wait(self, code: str) -> Outcome:
        self.log.touch()
        await asyncio.to_thread(self.ends.wait, PATIENCE_S)
        return Outcome("completed", code)


def test_a_stop_waits_for_code_that_runs_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sandbox = Waiting(tmp_path)
    calls = plan("http://127.0.0.1:9/v1", one_piece, {"a": 2}, EpisodeOptions(sandbox))
    finished = calls.finished(["a"], scratch_in(tmp_path))
    with ThreadPoolExecutor() as pool:
        pool.submit(next, finished)
        wait_until(sandbox.log.exists)
        tally = session_of(calls).tallies[0]
        wait_until(lambda: tally.code_in_flight == 2)
        session_of(calls).halt("time is up", PATIENCE_S)
        wait_until(lambda: tally.under_way == "2 runs of code")
        sandbox.ends.set()
    assert len(list(paid_calls(scratch_in(tmp_path)("a")))) == 2


def test_the_death_of_a_server_ends_episodes_at_once_and_the_next_run_goes_on(tmp_path: Path) -> None:
    with Gate("turn 2", reply=echo) as server:
        calls = plan(server, four_turns, {"a": 6}, max_in_flight=3)
        session = session_of(calls)
        saved = saving(tmp_path, calls, ModelServerError)
        wait_until(lambda: sum(said(call.body).endswith("turn 2") for call in server.calls) == 3)
        session._deaths.append("it died")
        saved.join(PATIENCE_S)
        assert not saved.is_alive()
        assert session.window.in_flight == session.episodes.in_flight == 0
        asked = len(server.calls)
        server.open()
        table(tmp_path).save(calls)
    assert len(server.calls) - asked == 24 - 6, "the first two turns of three episodes were paid for"


def test_a_task_that_was_only_just_started_gives_its_slot_back_when_calls_are_given_up(tmp_path: Path) -> None:
    with ChatServer(echo) as server:
        calls = plan(server, two_turns, {"a": 4})
        session = session_of(calls)

        def give_up() -> None:
            (engine,) = session._callers
            engine.stop(StoppedError("now"))
            engine.give_up()

        def asks(shard: str) -> Iterator[Ask]:
            asyncio.get_running_loop().call_soon(give_up)  # it comes before the first turn of what is started next
            yield from calls.asks(shard)

        with pytest.raises(StoppedError):
            table(tmp_path).save(replace(calls, asks=asks))
    assert session.window.in_flight == session.episodes.in_flight == 0


def test_the_share_of_failures_is_that_of_the_calls_that_episodes_made_and_not_of_the_estimate(tmp_path: Path) -> None:
    def picky(body: dict[str, Any]) -> str | web.Response:
        return web.Response(status=400) if said(body) in ("a-1: begin", "a-2: begin") else echo(body)

    with ChatServer(picky) as server:
        few = replace(plan(server, two_turns, {"a": 6}), expected={"a": 1000}, max_failed_share=0.1)
        with pytest.raises(TooManyFailuresError, match="2 of 10 calls"):
            table(tmp_path).save(few)


def test_code_that_no_sandbox_runs_is_a_failure_that_names_the_sandbox(tmp_path: Path) -> None:
    calls = plan("http://127.0.0.1:9/v1", one_piece, {"a": 3}, EpisodeOptions(Dying(tmp_path, deaths=99)))
    with pytest.raises(TooManyFailuresError, match="sandbox_unavailable: died before"):
        table(tmp_path).save(replace(calls, max_failed_share=0.1))


@pytest.mark.filterwarnings("ignore:coroutine")  # of the branch that was made before the one that cannot be
def test_an_episode_whose_branches_cannot_be_made_ends_the_same_way_when_it_is_played_again(tmp_path: Path) -> None:
    async def odd(steps: Steps, row: str) -> None:
        await steps.together(steps.ask(question(row, f"{1 / n}", sample_index=n)) for n in (1, 0))

    with ChatServer(echo) as server:
        calls = plan(server, odd, {"a": 1})
        table(tmp_path).save(calls)
        assert [row["error"] for row in rows(tmp_path)] == ["ZeroDivisionError: division by zero"]
        assert is_paid(calls, "a", table(tmp_path).scratch("a"))


def test_of_an_episode_that_ended_memory_holds_keys_alone(tmp_path: Path) -> None:
    with Gate("held-63: go on", reply=echo) as server:
        calls = plan(server, two_turns, {"held": 64})
        saved = saving(tmp_path, calls)
        wait_until(lambda: session_of(calls).tallies and session_of(calls).tallies[0].episodes == 63)
        gc.collect()
        requests = [found for found in gc.get_objects() if isinstance(found, Request)]
        left = Counter(request.row_id for request in requests if request.row_id.startswith("held"))
        server.open()
        saved.join()
    assert left["held-63"] > 0
    assert left.keys() == {"held-63"}, "of the episode that is open"


def test_a_journal_that_cannot_be_read_ends_the_run_and_is_no_failure_of_an_episode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(journal: ShardJournal, key: str) -> Completion:
        raise OSError("input/output error")

    with ChatServer(echo) as server:
        calls = plan(server, two_turns, {"a": 3})
        table(tmp_path).save(calls)
        made = rows(tmp_path)
        changed = replace(calls, fingerprints={"a": "other code"})
        with monkeypatch.context() as patch:
            patch.setattr(ShardJournal, "completion", broken)
            with pytest.raises(OSError, match="input/output error"):
                table(tmp_path).save(changed)
            with pytest.raises(JournalError, match="is gone"):
                table(tmp_path).save(PaidCalls(changed))
        table(tmp_path).save(changed)
    assert rows(tmp_path) == made
    assert len(server.calls) == 6


def test_what_is_left_of_a_damaged_shard_of_episodes_is_counted_when_they_have_ended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ChatServer(echo) as server:
        calls = plan(server, two_turns, {"a": 4})
        table(tmp_path).save(calls)
        path = tmp_path / "table/a.jsonl"
        path.write_bytes(path.read_bytes().replace(b"re a-2: begin", b"re a-2: BEGIN", 1))
        table(tmp_path).save(plan(server, two_turns, {"a": 4}))
    assert len(server.calls) == 9
    assert "a: 7 replies of the damaged shard are there still, 1 are asked again." in caplog.text
