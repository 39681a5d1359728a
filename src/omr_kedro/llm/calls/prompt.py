"""A prompt: fixed text, worked examples, and named fields for what comes from the data.

Field values are put in by one pass over the template, so text from a forum is only ever text: braces, `{{field}}`
markers or format directives inside a value stay what they are. Marks that would end the place of a value are set apart
by a blank (`< /problem>`): the tags of the template, and the special tokens of chat templates, which a server's
tokenizer reads as such wherever they stand.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from omr_kedro.shards import OmrError

Message = dict[str, Any]
"""One chat message of the OpenAI protocol: `role` and `content`; of later turns also `tool_calls` and their like."""

_FIELD = re.compile(r"\{\{([A-Za-z_]\w*)\}\}", re.ASCII)
_TAG = re.compile(r"</?([A-Za-z][\w-]{0,40})>", re.ASCII)
_SPECIAL_NAMES = (
    "s", "unk", "pad", "bos", "eos", "mask", "sep", "cls", "think", "tool_call", "tool_response", "tools",
    "start_of_turn", "end_of_turn", "start_of_image", "end_of_image", "end_of_utterance", "system", "user", "assistant",
)  # fmt: skip
"""Names of tags that are single tokens, or steer chat templates, in Llama, Qwen, Gemma, Mistral, DeepSeek and Phi."""
_SPECIAL = (
    r"<(?=[|｜][^\s<>|｜]{1,60}[|｜]>)|<(?=</?SYS>>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|gMASK)\])"
)
"""Openings of other special tokens: `<|im_end|>`, `<｜User｜>`, `<<SYS>>`, `[INST]`."""
_KEYS = {"description", "system", "user", "choices", "examples"}


class PromptError(OmrError):
    """A prompt file that cannot be used; the message names the key and what it should hold."""


@dataclass(frozen=True, slots=True)
class Example:
    """A worked example: values for the template's fields, and the reply that a good model gives."""

    fields: Mapping[str, str]
    reply: str


@dataclass(frozen=True)
class Prompt:
    """A template for one kind of model call.

    The fixed text (system message and examples) comes first and the row's own text last, so that calls which share
    a prompt share the longest possible prefix in the server's cache.
    """

    name: str
    user: str
    system: str = ""
    description: str = ""
    choices: tuple[str, ...] = ()
    """The only replies that count, for prompts that ask for a label; empty for free text."""
    examples: tuple[Example, ...] = field(default=())

    @classmethod
    def from_mapping(cls, name: str, content: Any) -> Prompt:
        """Build a prompt from a parsed YAML file.

        Raises:
            PromptError: on a missing, unknown or mistyped key, or an example that does not fit the template.
        """
        if not isinstance(content, Mapping):
            raise PromptError(f"prompt '{name}': expected a mapping with the keys {sorted(_KEYS)}")
        if unknown := set(content) - _KEYS:
            raise PromptError(f"prompt '{name}': unknown keys {sorted(map(str, unknown))}; known are {sorted(_KEYS)}")
        texts = {key: content.get(key) or "" for key in ("description", "system", "user")}
        for key, text in texts.items():
            if not isinstance(text, str):
                raise PromptError(f"prompt '{name}': '{key}' must be text, not {type(text).__name__}")
        if not texts["user"].strip():
            raise PromptError(f"prompt '{name}': 'user' is missing or empty; it holds the {{{{fields}}}} of a row")
        prompt = cls(
            name=name,
            user=texts["user"].strip(),
            system=texts["system"].strip(),
            description=texts["description"].strip(),
            choices=_read_choices(name, content.get("choices")),
            examples=_read_examples(name, content.get("examples")),
        )
        prompt._check_examples()
        return prompt

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The names of the template's fields, in order of first appearance."""
        return tuple(dict.fromkeys(_FIELD.findall(self.user)))

    @cached_property
    def hash(self) -> str:
        """16 hex digits that change when anything a model sees changes; the description is for people alone."""
        seen = [self.system, self.user, self.choices, [[dict(e.fields), e.reply] for e in self.examples]]
        return hashlib.sha256(orjson.dumps(seen, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]

    def messages(self, **values: str) -> list[Message]:
        """Render the chat messages for one row.

        Raises:
            PromptError: when a field has no value, or one that is not text.
        """
        return [*self._opening, {"role": "user", "content": self._fill(values, self._marks)}]

    def match(self, messages: Sequence[Mapping[str, Any]]) -> dict[str, str] | None:
        """Undo `messages`: the field values when these messages were rendered from this prompt, else None."""
        if len(messages) != len(self._opening) + 1 or list(messages[:-1]) != self._opening:
            return None
        found = self._pattern.fullmatch(str(messages[-1].get("content")))
        return found.groupdict() if found else None

    @cached_property
    def _marks(self) -> re.Pattern[str]:
        """Openings in a value that a model or its tokenizer may take for marks of ours."""
        names = {*_SPECIAL_NAMES, *_TAG.findall(self.system), *_TAG.findall(self.user)}
        tags = "|".join(sorted(map(re.escape, names)))
        return re.compile(rf"<(?=/?\s{{0,3}}(?:{tags})\s{{0,3}}/?>)|{_SPECIAL}", re.IGNORECASE)

    @cached_property
    def _opening(self) -> list[Message]:
        system = [{"role": "system", "content": self.system}] if self.system else []
        turns = [
            message
            for example in self.examples
            for message in (
                {"role": "user", "content": self._fill(example.fields)},
                {"role": "assistant", "content": example.reply},
            )
        ]
        return system + turns

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        parts, seen = [], set[str]()
        for i, part in enumerate(_FIELD.split(self.user)):
            if i % 2 == 0:
                parts.append(re.escape(part))
            else:
                parts.append(f"(?P={part})" if part in seen else f"(?P<{part}>.*)")
                seen.add(part)
        return re.compile("".join(parts), re.DOTALL)

    def _fill(self, values: Mapping[str, str], marks: re.Pattern[str] | None = None) -> str:
        """The template with its fields; `marks` are set apart in the values of strangers."""
        if missing := [name for name in self.fields if name not in values]:
            raise PromptError(f"prompt '{self.name}': no value for {missing}; got {sorted(values)}")
        if wrong := [name for name in self.fields if not isinstance(values[name], str)]:
            raise PromptError(f"prompt '{self.name}': the values of {wrong} must be text")
        if marks:
            values = {name: marks.sub(lambda found: f"{found[0]} ", values[name]) for name in self.fields}
        return _FIELD.sub(lambda found: values[found[1]], self.user)

    def _check_examples(self) -> None:
        for number, example in enumerate(self.examples, start=1):
            if set(example.fields) != set(self.fields):
                raise PromptError(
                    f"prompt '{self.name}': example {number} gives the fields {sorted(example.fields)}, "
                    f"the template has {sorted(self.fields)}"
                )
            if self.choices and example.reply not in self.choices:
                raise PromptError(
                    f"prompt '{self.name}': the reply of example {number} is {example.reply!r}, "
                    f"which is none of the choices {list(self.choices)}"
                )


def _read_choices(name: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(choice, str) and choice for choice in value):
        raise PromptError(f"prompt '{name}': 'choices' must be a list of non-empty strings; quote True and False")
    return tuple(value)


def _read_examples(name: str, value: Any) -> tuple[Example, ...]:
    if not isinstance(value, list | None):
        raise PromptError(f"prompt '{name}': 'examples' must be a list, not {type(value).__name__}")
    examples = []
    for number, entry in enumerate(value or [], start=1):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("reply"), str):
            raise PromptError(f"prompt '{name}': example {number} needs the template's fields and a text 'reply'")
        fields = {key: text.strip() if isinstance(text, str) else text for key, text in entry.items() if key != "reply"}
        if wrong := [key for key, text in fields.items() if not isinstance(text, str)]:
            raise PromptError(f"prompt '{name}': example {number}: {wrong} must be text")
        examples.append(Example(fields, entry["reply"].strip()))
    return tuple(examples)
