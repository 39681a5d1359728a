"""Rows for trainers, each in the form that its trainer loads unchanged.

A view is made of published rows, batch by batch. Each of its rows has the ids of what it is made of, its verdict and
its finish reason, so that `kedro lineage` finds it and the check before writing knows it; trainers pass over columns
that they do not know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from omr_kedro.publishing.arithmetic import split_arithmetic
from omr_kedro.publishing.chat_template import ChatTemplate
from omr_kedro.publishing.columns import Columns, batch_of, chats, constant
from omr_kedro.shards import OmrError
from omr_kedro.shards.recipes import Row
from omr_kedro.tables.publishing import CANDIDATE
from omr_kedro.text.boxes import find_boxes

_TEXT, _INT = pa.string(), pa.int64()
INSTRUCTION = r"""Solve the following math problem. Make sure to put the answer (and only answer) inside \boxed{}.

{problem}"""
"""User message of the original's prompt for solutions (NeMo-Skills, `generic/math`)."""


class NoTemplateError(OmrError):
    """A view that needs a chat template, where none is configured."""


@dataclass(frozen=True)
class Rendering:
    """How texts are put into views."""

    instruction: str = INSTRUCTION
    """User message, with `{problem}` in it."""
    trim_prefix: bool = False
    """Cut a first line that says "My solution:"."""
    trim_solutions: bool = False
    """Cut all behind the line of the last box."""
    split_arithmetic: bool = False
    """Take chains of arithmetic apart."""
    add_code_execution_counts: bool = False
    """Fill the column `total_code_executions`."""
    data_source: str = "omr_kedro"
    """Name of the dataset in rows for verl."""
    template: ChatTemplate | None = None

    def prompts(self, problems: pa.Array) -> pa.Array:
        """User messages of problems."""
        before, _, after = self.instruction.partition("{problem}")
        return pc.binary_join_element_wise(before, problems, after, "")

    def prompt(self, problem: str) -> str:
        """The user message of a problem."""
        return self.instruction.replace("{problem}", problem, 1)

    @property
    def changes_texts(self) -> bool:
        """Whether replies are not used as they are."""
        return self.trim_prefix or self.trim_solutions or self.split_arithmetic

    def reply(self, text: str) -> str:
        """A reply, trimmed as wanted."""
        if self.trim_prefix:
            text = _PREFIX.sub("", text)
        if self.trim_solutions and (boxes := find_boxes(text)):
            line_end = text.find("\n", boxes[-1].end)
            text = text if line_end < 0 else text[:line_end]
        return split_arithmetic(text) if self.split_arithmetic else text

    def replies(self, texts: pa.Array) -> pa.Array:
        """Replies, trimmed as wanted."""
        if not self.changes_texts:
            return texts
        return pa.array([text and self.reply(text) for text in texts.to_pylist()], _TEXT)


_PREFIX = re.compile(r"\A\s*(?:\*\*)?My solution:?(?:\*\*)?:?[ \t]*\n", re.IGNORECASE)


# ---- messages

CALL = pa.struct(
    [
        ("id", _TEXT),
        ("type", _TEXT),
        ("function", pa.struct([("name", _TEXT), ("arguments", pa.struct([("code", _TEXT)]))])),
    ]
)
"""A call of the only tool there is, so that no loader needs to fill up the arguments of others."""
PLAIN = pa.struct([("role", _TEXT), ("content", _TEXT)])
MESSAGE = pa.struct([*PLAIN, ("tool_calls", pa.list_(CALL)), ("tool_call_id", _TEXT), ("name", _TEXT)])
TRAINED = pa.struct([*MESSAGE, ("train", pa.bool_())])


def _messages(batch: pa.RecordBatch, rendering: Rendering, kind: pa.StructType = MESSAGE) -> pa.Array:
    """Chats: the prompt and the reply, or with code all turns; reasoning stands in the content, between its tags."""
    tir = pc.equal(batch.column("inference_mode"), "tir")
    if pc.any(tir).as_py():
        return pa.array([_with_code(row, rendering) for row in batch.to_pylist()], pa.list_(kind))
    prompt: Columns = {"content": rendering.prompts(batch.column("problem"))}
    reply: Columns = {"content": rendering.replies(batch.column("generated_solution"))}
    if kind == TRAINED:
        rows = len(batch)
        prompt["train"], reply["train"] = constant(False, rows, pa.bool_()), constant(True, rows, pa.bool_())
    return chats(["user", "assistant"], [prompt, reply], kind)


def _with_code(row: Row, rendering: Rendering) -> list[Row]:
    """The chat of a row of any mode."""
    if row["inference_mode"] != "tir":
        said = [{"role": "user", "content": rendering.prompt(row["problem"])}]
        return [
            {**said[0], "train": False},
            {"role": "assistant", "content": rendering.reply(row["generated_solution"]), "train": True},
        ]
    return [_turn(message, row["problem"], rendering) for message in row["messages"]]


def _turn(message: Row, problem: str, rendering: Rendering) -> Row:
    content = message["content"] or ""
    if message["role"] == "user" and content == problem:
        content = rendering.prompt(problem)
    if message["role"] == "assistant":
        reply = rendering.reply(content)
        content = f"<think>\n{message['reasoning']}\n</think>\n{reply}" if message["reasoning"] else reply
    return {
        "role": message["role"],
        "content": content,
        "tool_calls": _calls(message["tool_calls"]),
        "tool_call_id": message["tool_call_id"],
        "name": message["name"],
        "train": message["role"] == "assistant",
    }


def _calls(text: str | None) -> list[Row] | None:
    return [_call(call) for call in orjson.loads(text)] if text else None


def _call(call: Mapping[str, Any]) -> Row:
    function = call["function"]
    return {
        "id": call.get("id"),
        "type": "function",
        "function": {"name": function["name"], "arguments": {"code": _code(function["arguments"])}},
    }


def _code(arguments: Any) -> str:
    """The code of a call; of one whose arguments were no such JSON, these."""
    try:
        given = orjson.loads(arguments) if isinstance(arguments, str) else arguments
    except orjson.JSONDecodeError:
        return str(arguments)
    code = given.get("code") if isinstance(given, dict) else None
    return code if isinstance(code, str) else str(arguments)


def _parted(messages: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Chats as prompts, up to the first reply, and completions, from there on."""
    starts = messages.offsets.to_numpy()
    is_reply = pc.equal(messages.flatten().field("role"), "assistant").to_numpy(zero_copy_only=False)
    replies = np.flatnonzero(is_reply) + starts[0]
    firsts = replies[np.searchsorted(replies, starts[:-1])]
    prompts, completions = (
        pa.ListArray.from_arrays(
            pa.array(_offsets(begins, ends)), messages.values.take(pa.array(_ranges(begins, ends)))
        )
        for begins, ends in ((starts[:-1], firsts), (firsts, starts[1:]))
    )
    return prompts, completions


def _offsets(begins: Any, ends: Any) -> Any:
    return np.concatenate([[0], np.cumsum(ends - begins)]).astype(np.int32)


def _ranges(begins: Any, ends: Any) -> Any:
    return np.concatenate(
        [np.arange(begin, end) for begin, end in zip(begins, ends, strict=True)] or [np.empty(0, int)]
    )


# ---- SFT

_IDS = [(name, _TEXT) for name in ("problem_id", "solution_id", "expected_answer", "inference_mode")]
_CHECKED = [("verdict", _TEXT), ("finish_reason", _TEXT)]
"""Facts about the reply, for the check before writing."""
_OF_SOLUTION = [*_IDS, *_CHECKED]
SOURCE_COLUMNS = [
    "problem", "generated_solution", "inference_mode", "expected_answer", "problem_id", "solution_id", "messages",
    "tools", "tool_calls", "verdict", "finish_reason",
]  # fmt: skip
"""Columns of published rows that views are made of."""


def sft_messages(batch: pa.RecordBatch, rendering: Rendering) -> Columns:
    """Rows for TRL: `messages`, and `tools` as JSON."""
    return {"messages": _messages(batch, rendering)}


def sft_prompt_completion(batch: pa.RecordBatch, rendering: Rendering) -> Columns:
    """Rows for TRL with the loss on the completion alone."""
    prompt, completion = _parted(_messages(batch, rendering))
    return {"prompt": prompt, "completion": completion}


def sft_input_output(batch: pa.RecordBatch, rendering: Rendering) -> Columns:
    """Rows of the original's SFT step: the prompt and the reply as the tokenizer's chat template writes them.

    Raises:
        NoTemplateError: there is no template.
    """
    template = rendering.template
    if template is None:
        raise NoTemplateError("no chat template is configured")
    prompts = rendering.prompts(batch.column("problem")).to_pylist()
    asked = [template.render([{"role": "user", "content": prompt}], prompt=True) for prompt in prompts]
    replies = rendering.replies(batch.column("generated_solution"))
    counts = pc.fill_null(batch.column("tool_calls"), 0) if rendering.add_code_execution_counts else None
    return {
        "input": pa.array(asked, _TEXT),
        "output": pc.binary_join_element_wise(replies, template.end_of_turn, ""),
        **({} if counts is None else {"total_code_executions": counts}),
    }


def nemo_rl(batch: pa.RecordBatch, rendering: Rendering) -> Columns:
    """Rows for NeMo-RL: `messages` of plain texts; code and output stand in the reply, as the original has them."""
    prompt = {"content": rendering.prompts(batch.column("problem"))}
    reply = {"content": rendering.replies(batch.column("generated_solution"))}
    return {"messages": chats(["user", "assistant"], [prompt, reply], PLAIN)}


def axolotl(batch: pa.RecordBatch, rendering: Rendering) -> Columns:
    """Rows for axolotl (`type: chat_template`), with a flag on each message that is trained on."""
    return {"messages": _messages(batch, rendering, TRAINED)}


def verl_sft(batch: pa.RecordBatch, rendering: Rendering) -> Columns:
    """Rows for verl's SFT: `messages`, `tools`, and the name of the dataset."""
    return {
        "messages": _messages(batch, rendering),
        "data_source": constant(rendering.data_source, len(batch)),
    }


# ---- RL, of published problems


def verl_rl(row: Row, index: int, rendering: Rendering) -> Row:
    """A row for verl's RL: the prompt, and the answer for a rule to compare with."""
    return {
        "data_source": rendering.data_source,
        "prompt": [{"role": "user", "content": rendering.prompt(row["problem"])}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": row["expected_answer"]},
        "extra_info": {"split": "train", "index": index, **{name: row[name] for name in _ABOUT}},
    }


def nemo_gym(row: Row, index: int, rendering: Rendering) -> Row:
    """A row for NeMo Gym's server `math_with_judge`."""
    del index
    return {
        "responses_create_params": {"input": [{"role": "user", "content": rendering.prompt(row["problem"])}]},
        "question": row["problem"],
        **{name: row[name] for name in _ABOUT[1:]},
    }


_ABOUT = ("problem_id", "answer_type", "answer_source", "pass_rate", "pass_rate_model", "samples_drawn")
_FACTS: list[tuple[str, pa.DataType]] = [
    ("answer_type", _TEXT), ("answer_source", _TEXT), ("pass_rate", pa.float64()), ("pass_rate_model", _TEXT),
    ("samples_drawn", _INT),
]  # fmt: skip
_PROMPT = pa.list_(PLAIN)
_OF_PROBLEM = [("problem_id", _TEXT), ("expected_answer", _TEXT)]

SCHEMAS: dict[str, pa.Schema] = {
    "sft_messages": pa.schema([("messages", pa.list_(MESSAGE)), ("tools", _TEXT), *_OF_SOLUTION]),
    "sft_prompt_completion": pa.schema(
        [("prompt", pa.list_(MESSAGE)), ("completion", pa.list_(MESSAGE)), ("tools", _TEXT), *_OF_SOLUTION]
    ),
    "sft_input_output": pa.schema(
        [("input", _TEXT), ("output", _TEXT), ("total_code_executions", _INT), *_OF_SOLUTION]
    ),
    "nemo_rl": pa.schema([("messages", pa.list_(PLAIN)), *_OF_SOLUTION]),
    "axolotl": pa.schema([("messages", pa.list_(TRAINED)), ("tools", _TEXT), *_OF_SOLUTION]),
    "verl_sft": pa.schema([("messages", pa.list_(MESSAGE)), ("tools", _TEXT), ("data_source", _TEXT), *_OF_SOLUTION]),
    "verl_rl": pa.schema(
        [
            ("data_source", _TEXT),
            ("prompt", _PROMPT),
            ("ability", _TEXT),
            ("reward_model", pa.struct([("style", _TEXT), ("ground_truth", _TEXT)])),
            ("extra_info", pa.struct([("split", _TEXT), ("index", _INT), ("problem_id", _TEXT), *_FACTS])),
            *_OF_PROBLEM,
        ]
    ),
    "nemo_gym": pa.schema(
        [("responses_create_params", pa.struct([("input", _PROMPT)])), ("question", _TEXT), *_FACTS, *_OF_PROBLEM]
    ),
    "preferences": pa.schema(
        [
            ("prompt", pa.list_(MESSAGE)),
            ("chosen", pa.list_(MESSAGE)),
            ("rejected", pa.list_(MESSAGE)),
            ("tools", _TEXT),
            *_OF_SOLUTION,
            ("rejected_solution_id", _TEXT),
            ("rejected_answer", _TEXT),
            *((f"rejected_{name}", kind) for name, kind in _CHECKED),
        ]
    ),
    "genselect_rl": pa.schema(
        [
            ("prompt", _PROMPT),
            ("problem", _TEXT),
            ("candidates", pa.list_(CANDIDATE)),
            ("right", pa.list_(_INT)),
            ("group_id", _TEXT),
            ("set_id", _TEXT),
            *_OF_PROBLEM,
        ]
    ),
}
"""Columns of each view."""

SFT: dict[str, Callable[[pa.RecordBatch, Rendering], Columns]] = {
    "sft_messages": sft_messages,
    "sft_prompt_completion": sft_prompt_completion,
    "sft_input_output": sft_input_output,
    "nemo_rl": nemo_rl,
    "axolotl": axolotl,
    "verl_sft": verl_sft,
}
"""Views of solutions that are trained on, by their configs."""
RL: dict[str, Callable[[Row, int, Rendering], Row]] = {"verl_rl": verl_rl, "nemo_gym": nemo_gym}
"""Views of problems that are held out, by their configs."""


def sft_rows(view: str, batches: Iterable[pa.RecordBatch], rendering: Rendering) -> Iterator[pa.RecordBatch]:
    """Rows of a view of solutions."""
    schema = SCHEMAS[view]
    for batch in batches:
        if len(batch):
            copied = {name: batch.column(name) for name in schema.names if name in batch.schema.names}
            yield batch_of({**copied, **SFT[view](batch, rendering)}, schema, len(batch))


def rl_rows(view: str, batches: Iterable[pa.RecordBatch], rendering: Rendering) -> Iterator[pa.RecordBatch]:
    """Rows of a view of problems."""
    schema, index = SCHEMAS[view], 0
    for batch in batches:
        rows = []
        for row in batch.to_pylist():
            made = RL[view](row, index, rendering)
            rows.append({"problem_id": row["problem_id"], "expected_answer": row["expected_answer"], **made})
            index += 1
        yield pa.RecordBatch.from_pylist(rows, schema=schema)


# ---- preferences


class Pair(NamedTuple):
    """A right and a wrong solution of one problem, in the same mode."""

    right: Row
    wrong: Row


def preference_rows(pairs: Iterable[Pair], rendering: Rendering) -> Iterator[pa.RecordBatch]:
    """Rows of the view `preferences`: the prompt, and both replies."""
    batch: list[Row] = []
    for pair in pairs:
        batch.append(_preference(pair, rendering))
        if len(batch) == _PAIRS:
            yield pa.RecordBatch.from_pylist(batch, schema=SCHEMAS["preferences"])
            batch = []
    if batch:
        yield pa.RecordBatch.from_pylist(batch, schema=SCHEMAS["preferences"])


_PAIRS = 64


def _preference(pair: Pair, rendering: Rendering) -> Row:
    right, wrong = (_with_code(row, rendering) for row in pair)
    first = next(place for place, message in enumerate(right) if message["role"] == "assistant")
    return {
        "prompt": _bare(right[:first]),
        "chosen": _bare(right[first:]),
        "rejected": _bare(wrong[next(n for n, message in enumerate(wrong) if message["role"] == "assistant") :]),
        **{name: pair.right[name] for name in ("tools", *(name for name, _ in _OF_SOLUTION))},
        **{f"rejected_{name}": pair.wrong[name] for name, _ in _CHECKED},
        "rejected_solution_id": pair.wrong["solution_id"],
        "rejected_answer": pair.wrong["predicted_answer"],
    }


def _bare(messages: list[Row]) -> list[Row]:
    return [{name: value for name, value in message.items() if name != "train"} for message in messages]


# ---- GenSelect


def genselect_rl_row(row: Row, prompt: str) -> Row:
    """A row of the view `genselect_rl`: the comparison that is asked for, and which candidates are right."""
    candidates = [{name: each[name] for name in ("solution_id", "text", "correct")} for each in row["candidates"]]
    return {
        "prompt": [{"role": "user", "content": prompt}],
        "candidates": candidates,
        "right": [place for place, each in enumerate(candidates) if each["correct"]],
        **{name: row[name] for name in ("problem", "group_id", "set_id", "problem_id", "expected_answer")},
    }
