from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from omr_kedro.publishing.views import INSTRUCTION, SCHEMAS, Rendering
from omr_kedro.shards import Row
from tests.publishing.dataset import Dataset, names, posed
from tests.publishing.support import rejected, solution, with_code

FREE, HELD = names(2, 0.3, held=False), names(2, 0.3, held=True)
ASKED = INSTRUCTION.replace("{problem}", f"How many, {FREE[0]}?")
SAID = "<think>\nThink 0.\n</think>\nSo it is $\\boxed{7}$."


def dataset(folder: Path, **options: Any) -> Dataset:
    return Dataset(
        folder,
        [solution(0, FREE[0])],
        [posed(name) for name in (*FREE, *HELD)],
        [rejected(90, problem=FREE[0])],
        [with_code(0, FREE[1])],
        rl={"share": 0.3},
        **options,
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset(tmp_path_factory.mktemp("data"))


def plain(messages: list[Row]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in messages]


def test_messages_hold_prompt_and_reply_with_the_reasoning_between_its_tags(data: Dataset) -> None:
    row, _ = data.view("sft_messages")
    assert plain(row["messages"]) == [("user", ASKED), ("assistant", SAID)]
    assert row["tools"] is None
    assert (row["problem_id"], row["solution_id"], row["expected_answer"]) == (FREE[0], f"{FREE[0]}-0", "7")


def test_code_is_a_call_of_a_tool_with_its_arguments_and_output_a_message_of_its_own(data: Dataset) -> None:
    _, row = data.view("sft_messages")
    user, call, output, answer = row["messages"]
    assert plain([user, call, output, answer]) == [
        ("user", "How many?"),
        ("assistant", "<think>\nCount.\n</think>\n"),
        ("tool", "7"),
        ("assistant", "$\\boxed{7}$"),
    ]
    (made,) = call["tool_calls"]
    assert made == {
        "id": "call_0",
        "type": "function",
        "function": {"name": "python", "arguments": {"code": "print(7)"}},
    }
    assert output["tool_call_id"] == "call_0"
    assert '"name":"python"' in row["tools"]


def test_a_prompt_ends_where_the_first_reply_begins(data: Dataset) -> None:
    cot, tir = data.view("sft_prompt_completion")
    assert (plain(cot["prompt"]), plain(cot["completion"])) == ([("user", ASKED)], [("assistant", SAID)])
    assert [message["role"] for message in tir["prompt"]] == ["user"]
    assert [message["role"] for message in tir["completion"]] == ["assistant", "tool", "assistant"]


def test_input_and_output_are_the_chat_as_the_template_writes_it(data: Dataset) -> None:
    cot, tir = data.view("sft_input_output")
    assert cot["input"] == f"<|im_start|>user\n{ASKED}<|im_end|>\n<|im_start|>assistant\n"
    assert cot["output"] == f"{SAID}<|im_end|>"
    assert "<tool_call>\nprint(7)" in tir["output"]
    assert cot["total_code_executions"] is None


def test_executions_are_counted_where_it_is_wanted(tmp_path: Path) -> None:
    rows = dataset(tmp_path, add_code_execution_counts=True).view("sft_input_output")
    assert [row["total_code_executions"] for row in rows] == [0, 2]


def test_nemo_rl_gets_plain_texts(data: Dataset) -> None:
    cot, tir = data.view("nemo_rl")
    assert cot["messages"] == [{"role": "user", "content": ASKED}, {"role": "assistant", "content": SAID}]
    assert "<tool_call>\nprint(7)" in tir["messages"][1]["content"]


def test_axolotl_is_told_which_messages_to_train_on(data: Dataset) -> None:
    cot, tir = data.view("axolotl")
    assert [message["train"] for message in cot["messages"]] == [False, True]
    assert [message["train"] for message in tir["messages"]] == [False, True, False, True]


def test_verl_gets_the_name_of_the_dataset(data: Dataset) -> None:
    assert {row["data_source"] for row in data.view("verl_sft")} == {"omr_kedro"}
    first, second = data.view("verl_rl")
    assert first["reward_model"] == {"style": "rule", "ground_truth": "7"}
    assert [row["extra_info"]["index"] for row in (first, second)] == [0, 1]
    assert first["prompt"][0]["content"].endswith(f"How many, {first['problem_id']}?")


def test_nemo_gym_gets_a_request_and_the_answer(data: Dataset) -> None:
    row, _ = data.view("nemo_gym")
    (asked,) = row["responses_create_params"]["input"]
    assert asked["role"] == "user"
    assert asked["content"].endswith(row["question"])
    assert (row["expected_answer"], row["answer_type"], row["pass_rate"]) == ("7", "number", 0.5)


def test_a_preference_is_a_right_and_a_wrong_reply_to_one_prompt(data: Dataset) -> None:
    (row,) = data.view("preferences")
    assert (plain(row["prompt"]), plain(row["chosen"])) == ([("user", ASKED)], [("assistant", SAID)])
    assert row["rejected"][0]["content"].startswith("<think>\nGuess 90.")
    assert (row["rejected_answer"], row["expected_answer"]) == ("8", "7")


def test_arguments_of_a_call_that_were_no_json_stay_as_they_were(tmp_path: Path) -> None:
    call = {"id": "c", "function": {"name": "python", "arguments": "print(1"}}
    chat = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "Not run", "tool_call_id": "c"},
        {"role": "assistant", "content": "7"},
    ]
    data = Dataset(
        tmp_path, [], [posed(FREE[0])], tir=[with_code(0, FREE[0], messages=json.dumps(chat))], rl={"share": 0.3}
    )
    (row,) = data.view("sft_messages")
    assert row["messages"][1]["tool_calls"][0]["function"]["arguments"] == {"code": "print(1"}


def test_a_problem_alone_is_asked_with_the_same_instruction_in_both_modes(tmp_path: Path) -> None:
    posed_alone = [{"role": "user", "content": f"How many, {FREE[0]}?"}, {"role": "assistant", "content": "7"}]
    code = with_code(0, FREE[0], messages=json.dumps(posed_alone))
    data = Dataset(tmp_path, [solution(0, FREE[0])], [posed(FREE[0])], tir=[code], rl={"share": 0.3})
    assert [row["messages"][0]["content"] for row in data.view("sft_messages")] == [ASKED, ASKED]


def test_an_instruction_of_one_s_own_needs_a_place_for_the_problem(tmp_path: Path) -> None:
    row, _ = dataset(tmp_path / "a", instruction="Q: {problem}\nA:").view("nemo_rl")
    assert row["messages"][0]["content"] == f"Q: How many, {FREE[0]}?\nA:"
    with pytest.raises(ValueError, match="instruction"):
        dataset(tmp_path / "b", instruction="Solve.")


@pytest.mark.parametrize(
    ("rendering", "text", "wanted"),
    [
        (Rendering(trim_prefix=True), "My solution:\nIt is 7.", "It is 7."),
        (Rendering(trim_prefix=True), "It is my solution: 7.", "It is my solution: 7."),
        (Rendering(trim_solutions=True), "so $\\boxed{7}$. Done.\nBye.", "so $\\boxed{7}$. Done."),
        (Rendering(trim_solutions=True), "$\\boxed{6}$\nno, $\\boxed{7}$", "$\\boxed{6}$\nno, $\\boxed{7}$"),
        (Rendering(trim_solutions=True), "no box\nhere", "no box\nhere"),
        (Rendering(split_arithmetic=True), "1 + 2 + 3 = 6", "1 + 2 + 3 = 3 + 3 = 6"),
        (Rendering(), "My solution:\n1 + 2 + 3 = 6", "My solution:\n1 + 2 + 3 = 6"),
    ],
)
def test_replies_are_trimmed_as_wanted(rendering: Rendering, text: str, wanted: str) -> None:
    assert rendering.reply(text) == wanted
    assert rendering.replies(pa.array([text, None])).to_pylist() == [wanted, None]


def test_every_row_of_a_view_has_the_id_that_its_lineage_is_found_by() -> None:
    for name, schema in SCHEMAS.items():
        assert {"problem_id", "solution_id"} & set(schema.names), name
