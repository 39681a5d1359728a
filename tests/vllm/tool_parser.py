"""A parser of tool calls for vLLM (`--tool-parser-plugin`): calls of the format `hermes` that stand in fenced JSON.

Qwen2.5-Coder-Instruct is told to put its calls between `<tool_call>` tags, and puts them into blocks of ```json.
"""

import re
from typing import Any

from vllm.tool_parsers.abstract_tool_parser import ToolParserManager
from vllm.tool_parsers.hermes_tool_parser import Hermes2ProToolParser

_FENCED = re.compile(r"```json\s*(\{.*?\})\s*```", re.S)


@ToolParserManager.register_module("fenced_json")
class FencedJsonToolParser(Hermes2ProToolParser):  # type: ignore[misc]
    """Takes fenced JSON for a call; all else is as in `hermes`."""

    def extract_tool_calls(self, model_output: str, request: Any) -> Any:
        """The calls in a whole reply, and its text without them."""
        return super().extract_tool_calls(_FENCED.sub(r"<tool_call>\1</tool_call>", model_output), request)
