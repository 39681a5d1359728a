"""A real server process, asked through the official client."""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import pytest_asyncio
import yaml

from omr_kedro import __version__
from omr_kedro.llm.calls import Prompt
from omr_kedro.offline_model import MODEL_NAME
from omr_kedro.offline_model.rules_solve import worked_problems
from omr_kedro.offline_model.rules_solve_tir import ORDER
from omr_kedro.offline_model.stages import STAGES
from omr_kedro.offline_model.tokenizer import count, decode
from omr_kedro.pipelines.solve_tir.conversation import PYTHON_TOOL
from tests.offline_model.examples import PROMPTS
from tests.offline_model.server import address, serving, start
from tests.support.waiting import PATIENCE_S

CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "a", "type": "function", "function": {"name": "python", "arguments": "{}"}}],
}
PROOF = "Prove that $n^3 - n$ is divisible by 6 for every integer $n$."


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest_asyncio.fixture
async def client(base_url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
        yield client


def prompt(name: str) -> Prompt:
    return Prompt.from_mapping(name, yaml.safe_load((PROMPTS / f"{name}.yml").read_text("utf-8")))


async def ask(client: openai.AsyncOpenAI, messages: Any, **more: Any) -> Any:
    return await client.chat.completions.create(model=MODEL_NAME, messages=messages, **more)


def tokenized(url: str, text: str) -> list[int]:
    body = json.dumps({"model": MODEL_NAME, "prompt": text, "add_special_tokens": False}).encode()
    with urllib.request.urlopen(f"{url.removesuffix('/v1')}/tokenize", body, timeout=10) as response:
        answer = json.load(response)
    assert answer["count"] == len(answer["tokens"])
    return list(answer["tokens"])


def post(url: str, body: bytes | None) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(f"{url}/chat/completions", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


async def test_it_says_what_it_is(client: openai.AsyncOpenAI) -> None:
    [model] = (await client.models.list()).data
    assert (model.id, model.owned_by) == ("offline-rules", "omr_kedro (rules, no language model)")


def test_it_is_healthy(base_url: str) -> None:
    with urllib.request.urlopen(base_url.replace("/v1", "/health"), timeout=10) as response:
        assert response.status == 200


async def test_a_prompt_is_recognised_and_answered_by_its_rule(client: openai.AsyncOpenAI) -> None:
    reply = await ask(
        client, prompt("classify_proof").messages(problem=PROOF), temperature=0, top_p=0.95, seed=1, max_tokens=50
    )
    assert reply.choices[0].message.content == "proof"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.model == MODEL_NAME
    assert reply.system_fingerprint == f"offline-rules-{__version__}"
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert reply.usage.completion_tokens == 2


@pytest.mark.parametrize("name", sorted(STAGES))
async def test_every_prompt_of_the_project_has_a_rule(client: openai.AsyncOpenAI, name: str) -> None:
    known = prompt(name)
    reply = await ask(client, known.messages(**dict.fromkeys(known.fields, PROOF)))
    text = reply.choices[0].message.content
    assert "not a language model" not in text
    assert not known.choices or text in known.choices


async def test_a_probe_for_one_token_is_answered(client: openai.AsyncOpenAI) -> None:
    reply = await ask(client, [{"role": "user", "content": "1"}], max_tokens=1)
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.completion_tokens == 1


async def test_unknown_messages_get_an_honest_reply(client: openai.AsyncOpenAI) -> None:
    reply = await ask(client, [{"role": "user", "content": "Who are you?"}])
    assert reply.choices[0].finish_reason == "stop"
    assert "not a language model" in reply.choices[0].message.content
    assert "classify_proof" in reply.choices[0].message.content


async def test_a_reply_beyond_the_limit_is_cut_and_says_so(client: openai.AsyncOpenAI) -> None:
    messages = prompt("extract_problems").messages(forum_post=PROOF)
    for limit in ("max_tokens", "max_completion_tokens"):
        reply = await ask(client, messages, **{limit: 3})
        assert reply.choices[0].message.content == "Problem 1:\nP"
        assert reply.choices[0].finish_reason == "length"


async def test_several_samples_are_equal(client: openai.AsyncOpenAI) -> None:
    reply = await ask(client, prompt("classify_mcq").messages(problem=PROOF), n=3)
    assert [(choice.index, choice.message.content) for choice in reply.choices] == [(i, "not mcq") for i in range(3)]


async def test_samples_of_a_solution_are_drawn_by_seed(client: openai.AsyncOpenAI) -> None:
    messages = prompt("solve_cot").messages(problem=worked_problems()[0].problem)
    several = (await ask(client, messages, n=12, seed=5)).choices
    assert len({(choice.message.content, choice.finish_reason) for choice in several}) > 5
    alone = [(await ask(client, messages, seed=5 + index)).choices[0] for index in range(12)]
    assert [choice.message for choice in alone] == [choice.message for choice in several]
    assert {choice.finish_reason for choice in several} == {"stop", "length"}
    assert any(choice.message.content is None for choice in several), "as from a server whose parser took it all"


async def test_reasoning_in_its_own_field_counts_and_is_cut_first(client: openai.AsyncOpenAI) -> None:
    messages = prompt("solve_cot").messages(problem=worked_problems()[0].problem)
    whole = await ask(client, messages, seed=1)
    message = whole.choices[0].message
    assert whole.usage.completion_tokens == count(message.reasoning_content + message.content)
    cut = await ask(client, messages, seed=1, max_tokens=5)
    assert cut.choices[0].message.reasoning_content == message.reasoning_content[:20]
    assert (cut.choices[0].message.content, cut.choices[0].finish_reason) == (None, "length")


async def test_a_stop_word_ends_the_reply(client: openai.AsyncOpenAI) -> None:
    reply = await ask(client, prompt("extract_problems").messages(forum_post=PROOF), stop=["Prove"])
    assert reply.choices[0].message.content == "Problem 1:\n"
    assert reply.choices[0].finish_reason == "stop"


async def test_a_schema_gives_the_label_as_json(client: openai.AsyncOpenAI) -> None:
    label = {"type": "string", "enum": ["binary", "not binary"]}
    schema = {"type": "object", "properties": {"label": label}, "required": ["label"], "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "label", "strict": True, "schema": schema}}
    reply = await ask(client, prompt("classify_binary").messages(problem=PROOF), response_format=wanted)
    assert json.loads(reply.choices[0].message.content) == {"label": "not binary"}


async def test_a_choice_gives_the_bare_label_and_never_another(client: openai.AsyncOpenAI) -> None:
    choice = {"structured_outputs": {"choice": ["not proof", "proof"]}}
    reply = await ask(client, prompt("classify_proof").messages(problem=PROOF), extra_body=choice)
    assert reply.choices[0].message.content == "proof"
    reply = await ask(client, [{"role": "user", "content": "hello"}], extra_body=choice)
    assert reply.choices[0].message.content == "not proof"


async def test_an_unknown_model_is_not_found(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="`gpt` does not exist") as caught:
        await client.chat.completions.create(model="gpt", messages=[{"role": "user", "content": "1"}])
    assert caught.value.type == "NotFoundError"


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"stream": True}, "stream"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": None}]}, "messages"),
        ({"n": 0}, "'n'"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"stop": 3}, "stop"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"messages": [{"role": "tool", "content": "1", "tool_call_id": "a"}]}, "answers no call"),
        ({"messages": [CALLED]}, "have no message"),
        ({"messages": [CALLED, {"role": "user", "content": "1"}]}, "have no message"),
        ({"messages": [{**CALLED, "tool_calls": [{"id": "a"}]}]}, "tool_calls"),
        ({"extra_body": {"structured_outputs": {"choises": ["a"]}}}, "structured_outputs"),
    ],
)
async def test_a_wrong_field_is_refused_by_name(client: openai.AsyncOpenAI, more: dict[str, Any], word: str) -> None:
    with pytest.raises(openai.BadRequestError, match=word):
        await ask(client, **{"messages": [{"role": "user", "content": "1"}], **more})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"messages": "x"}', b"\xff"])
def test_a_malformed_body_is_refused_in_the_shape_of_the_api(base_url: str, body: bytes) -> None:
    status, answer = post(base_url, body)
    assert status == 400
    assert set(answer["error"]) == {"message", "type", "param", "code"}


def test_an_unknown_address_is_refused_in_the_shape_of_the_api(base_url: str) -> None:
    assert post(f"{base_url}/nowhere", b"{}")[0] == 404
    status, answer = post(base_url, None)
    assert status == 405
    assert "Method Not Allowed" in answer["error"]["message"]


@pytest.mark.parametrize("prompt", [None, [], [-1], ["a"], [True], [2**31 - 1], [0x7FF0_0001]])
async def test_a_prompt_of_other_tokens_is_refused(client: openai.AsyncOpenAI, prompt: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="prompt"):
        await client.completions.create(model=MODEL_NAME, prompt=prompt)


async def test_a_prompt_of_text_is_answered(client: openai.AsyncOpenAI) -> None:
    reply: Any = await client.completions.create(model=MODEL_NAME, prompt="Who are you?", max_tokens=4)
    assert (reply.choices[0].text, reply.choices[0].finish_reason) == ("I am a set of ru", "length")
    assert reply.usage.completion_tokens == 4


async def test_a_chat_goes_on_from_the_ids_that_it_began_with(client: openai.AsyncOpenAI, base_url: str) -> None:
    exact = {"return_token_ids": True, "include_stop_str_in_output": True, "skip_special_tokens": False}
    messages = prompt("solve_tir").messages(problem=worked_problems()[0].problem, executions="8")
    first = await ask(client, messages, stop=["```\n"], extra_body=exact)
    choice = first.choices[0]
    assert (choice.finish_reason, choice.stop_reason) == ("stop", "```\n")
    assert choice.message.content.endswith("```\n")
    assert decode(choice.token_ids) == choice.message.content
    assert first.usage.prompt_tokens == len(first.prompt_token_ids)
    output = tokenized(base_url, "\n```output\n351\n```\n")
    ids = [*first.prompt_token_ids, *choice.token_ids, *output]
    second: Any = await client.completions.create(model=MODEL_NAME, prompt=ids, stop=["```\n"], extra_body=exact)
    text = second.choices[0].text
    assert "The program prints 351." in text
    assert text.endswith("\\boxed{351}$.")
    assert second.choices[0].stop_reason is None
    assert second.choices[0].prompt_token_ids == ids
    assert decode(second.choices[0].token_ids) == text


async def test_the_stop_word_is_taken_away_where_it_is_not_wanted(client: openai.AsyncOpenAI) -> None:
    messages = prompt("solve_tir").messages(problem=worked_problems()[0].problem, executions="8")
    [choice] = (await ask(client, messages, stop=["```\n"], extra_body={"return_token_ids": True})).choices
    assert not choice.message.content.endswith("```\n")
    assert decode(choice.token_ids) == f"{choice.message.content}```\n"


async def test_a_tool_is_called_and_its_output_read(client: openai.AsyncOpenAI) -> None:
    messages = prompt("solve_tir_tools").messages(problem=worked_problems()[0].problem, executions="8")
    first = (await ask(client, messages, tools=[PYTHON_TOOL])).choices[0]
    assert first.finish_reason == "tool_calls"
    [call] = first.message.tool_calls
    assert "pairs" in json.loads(call.function.arguments)["code"]
    output = {"role": "tool", "tool_call_id": call.id, "content": "351\n"}
    last = (await ask(client, [*messages, first.message, output], tools=[PYTHON_TOOL])).choices[0]
    assert last.finish_reason == "stop"
    assert last.message.tool_calls is None
    assert "\\boxed{351}" in last.message.content


async def test_no_tool_is_called_that_is_not_offered_or_forbidden(client: openai.AsyncOpenAI) -> None:
    messages = prompt("solve_tir_tools").messages(problem=worked_problems()[0].problem, executions="8")
    for seed in range(len(ORDER)):
        [choice] = (await ask(client, messages, tools=[PYTHON_TOOL], tool_choice="none", seed=seed)).choices
        assert choice.message.tool_calls is None
        [choice] = (await ask(client, messages, seed=seed)).choices
        assert choice.message.tool_calls is None


async def test_messages_may_come_in_parts(client: openai.AsyncOpenAI) -> None:
    *opening, last = prompt("classify_proof").messages(problem=PROOF)
    parts = {"role": "user", "content": [{"type": "text", "text": last["content"]}]}
    assert (await ask(client, [*opening, parts])).choices[0].message.content == "proof"


async def test_equal_messages_have_equal_replies(client: openai.AsyncOpenAI) -> None:
    messages = prompt("convert_proofs").messages(problem=PROOF)
    replies = [(await ask(client, messages, seed=seed)).choices for seed in (1, 2)]
    assert replies[0] == replies[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_at_once_and_cleanly(number: signal.Signals) -> None:
    server = start(PROMPTS)
    address(server)
    server.send_signal(number)
    assert server.wait(timeout=PATIENCE_S) == 0


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({}, "no prompt"),
        ({"a.yml": "user: [1"}, "cannot be read"),
        ({"a.yml": "users: hello"}, "unknown keys"),
        ({"convert_proofs.yml": "user: '{{text}}'"}, "needs the fields ['problem']"),
        ({"classify_mcq.yml": "user: '{{problem}}'\nchoices: [yes please]"}, "the rule knows ['mcq', 'not mcq']"),
    ],
)
def test_prompts_that_cannot_be_used_are_named_at_the_start(
    tmp_path: Path, files: dict[str, str], complaint: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    server = start(tmp_path)
    _, errors = server.communicate(timeout=20)
    assert server.returncode == 1
    assert complaint in errors
    assert "Traceback" not in errors


def test_a_port_in_use_is_said_so(base_url: str) -> None:
    server = start(PROMPTS, "--port", base_url.split(":")[2].removesuffix("/v1"))
    _, errors = server.communicate(timeout=20)
    assert server.returncode == 1
    assert "address already in use" in errors
