from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from omr_kedro.llm.calls import Message
from omr_kedro.offline_model.requests import read_chat, read_continuation
from omr_kedro.offline_model.talk import FENCED, TOOL_CALL, Talk, Turn, talk_of
from omr_kedro.offline_model.tokenizer import encode, encode_chat
from omr_kedro.solutions.code_blocks import TAGS, CodeTags
from tests.offline_model.texts import POSTS

ASKED: list[Message] = [{"role": "system", "content": "Solve."}, {"role": "user", "content": "1 + 1?"}]
TOOLS = [{"type": "function", "function": {"name": "python"}}]


def said_by_text(said: str, **more: Any) -> Talk:
    opening, talk = talk_of(read_continuation({"prompt": [*encode_chat(ASKED), *encode(said)], **more}))
    assert opening == ASKED
    return talk


def test_a_first_turn_follows_nothing() -> None:
    assert talk_of(read_chat({"messages": ASKED})) == (ASKED, Talk())
    assert said_by_text("") == Talk()


@given(
    st.lists(st.tuples(st.sampled_from(["I compute.", "And again.", ""]), POSTS), max_size=4),
    st.sampled_from(sorted(TAGS.items())),
    st.booleans(),
)
def test_turns_by_text_are_found_by_their_output_whatever_was_printed(
    told: list[tuple[str, str]], tags: tuple[str, CodeTags], notices: bool
) -> None:
    blocks = tags[1]
    written = [f"{text}\n{blocks.begin}\n1 + 1\n{blocks.end}\n" for text, _ in told]
    left = [len(told) - number if notices else None for number in range(1, len(told) + 1)]
    said = "".join(
        text + blocks.output(output, remaining)
        for text, (_, output), remaining in zip(written, told, left, strict=True)
    )
    talk = said_by_text(said, stop=[blocks.stop])
    assert [turn.text.rstrip("\n") for turn in talk.turns] == [text.rstrip("\n") for text in written]
    assert [len(turn.outputs) for turn in talk.turns] == [1] * len(told)
    assert talk.may_run is not (notices and bool(told))
    assert talk.tags is (TOOL_CALL if tags[0] == "tool_call" else FENCED)


def test_calls_and_their_outputs_are_turns() -> None:
    function = {"name": "python", "arguments": '{"code": "1"}'}
    calls = [{"id": name, "type": "function", "function": function} for name in ("a", "b")]
    said = {"role": "assistant", "content": None, "reasoning_content": "I compute.", "tool_calls": calls}
    outputs = [{"role": "tool", "tool_call_id": name, "content": f"{name}\n"} for name in ("a", "b")]
    body = {"messages": [*ASKED, said, *outputs], "tools": TOOLS}
    turn = Turn("I compute.", ["a\n", "b\n"])
    assert talk_of(read_chat(body)) == (ASKED, Talk((turn,), None))
    assert talk_of(read_chat({**body, "tool_choice": "none"})) == (ASKED, Talk((turn,), None, may_run=False))
