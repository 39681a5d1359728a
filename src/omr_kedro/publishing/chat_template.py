"""A tokenizer's own chat template, rendered as the library `transformers` does, without that library."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from omr_kedro.shards import BadInputError
from omr_kedro.shards.printable import printable

CONFIG, FILE = "tokenizer_config.json", "chat_template.jinja"
_SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")
_MARK = "\u2402text\u2403"


@dataclass(frozen=True)
class ChatTemplate:
    """The template of a model, and the special tokens that it may name. Strangers wrote it: a sandbox renders it."""

    source: str
    name: str
    """The model's name and revision, for people."""
    tokens: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_folder(cls, folder: Path, name: str) -> ChatTemplate:
        """The template in a folder with a model's tokenizer: `chat_template.jinja`, or in `tokenizer_config.json`.

        Raises:
            BadInputError: there is none, or it cannot be read.
        """
        try:
            config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            own = folder / FILE
            source = own.read_text(encoding="utf-8") if own.is_file() else _default(config.get("chat_template"))
        except (OSError, ValueError, AttributeError) as error:
            raise BadInputError(f"{name}: {CONFIG} cannot be read: {error}") from error
        if not source:
            raise BadInputError(f"{name}: neither {FILE} nor {CONFIG} has a chat template.")
        tokens = {key: _text(config.get(key)) for key in _SPECIAL}
        return cls(source, name, {key: token for key, token in tokens.items() if token is not None})

    def render(self, messages: Sequence[Mapping[str, Any]], *, prompt: bool = False, tools: Any = None) -> str:
        """The text of a chat.

        Args:
            messages: of the chat.
            prompt: whether the assistant's turn is opened at the end.
            tools: JSON schemas of tools that the model may call.

        Raises:
            BadInputError: the template refuses the messages.
        """
        try:
            return self._compiled.render(
                messages=messages, add_generation_prompt=prompt, tools=tools, documents=None, **self.tokens
            )
        except (TemplateError, TypeError, ValueError) as error:
            raise BadInputError(f"{self.name}: the chat template fails: {printable(str(error)[:500])}") from error

    @cached_property
    def end_of_turn(self) -> str:
        """The text that the template puts behind a reply, such as `<|im_end|>`; blanks at its end are left out."""
        asked = {"role": "user", "content": _MARK}
        rendered = self.render([asked, {"role": "assistant", "content": _MARK}])
        return rendered.rpartition(_MARK)[2].rstrip()

    @cached_property
    def _compiled(self) -> Template:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
        )
        environment.filters["tojson"] = _json
        environment.globals |= {"raise_exception": _refuse, "strftime_now": _now}
        try:
            return environment.from_string(self.source)
        except TemplateError as error:
            raise BadInputError(f"{self.name}: the chat template cannot be read: {error}") from error


class _Generation(Extension):
    """`{% generation %}` marks replies for masks of loss; its inside is rendered as it is."""

    tags = {"generation"}  # noqa: RUF012 (as jinja2 wants it)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _default(template: Any) -> str:
    if isinstance(template, list):  # several by name
        template = next((each["template"] for each in template if each.get("name") == "default"), "")
    return template if isinstance(template, str) else ""


def _text(token: Any) -> str | None:
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else None


def _json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **more: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **more)


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)


def _now(format: str) -> str:
    """A fixed day: a template that names today would make other rows each day."""
    return datetime(2026, 1, 1, tzinfo=UTC).strftime(format)
