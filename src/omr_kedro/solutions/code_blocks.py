r"""Code in the text of a model, and output in the text that it goes on from.

A model that computes by text writes a block of code and stops at the tag that ends it; the output is put behind it in a
block of its own, and the model goes on. Output is a stranger's: it can neither end its block nor begin another one.
"""

from __future__ import annotations

from dataclasses import dataclass

_FENCE = "```"


@dataclass(frozen=True, slots=True)
class CodeTags:
    """Tags around code and output, each on a line of its own."""

    begin: str
    end: str
    output_begin: str = f"{_FENCE}output"
    output_end: str = _FENCE

    @property
    def stop(self) -> str:
        """The text at which the server is to stop: a fence that ends a block, and not one that begins a block."""
        return f"{self.end}\n" if self.end == _FENCE else self.end

    def code_at_end(self, text: str) -> str | None:
        """The code of the block that a text ends with; None where it ends with none."""
        parts = self.split_at_end(text)
        return parts[1] if parts else None

    def split_at_end(self, text: str) -> tuple[str, str] | None:
        """The text before the block that a text ends with, and the code in it; None where it ends with none.

        The block begins at the last opening tag that stands on a line of its own: what is before it is closed, or no
        code.
        """
        body = text.rstrip().removesuffix(self.end)
        if len(body) == len(text.rstrip()):
            return None
        lines = body.split("\n")
        places = [number for number, line in enumerate(lines) if line.strip() == self.begin]
        if not places or any(line.strip() == self.end for line in lines[places[-1] + 1 :]):
            return None
        return "\n".join(lines[: places[-1]]), "\n".join(lines[places[-1] + 1 :]).strip("\n")

    def output(self, text: str, remaining: int | None = None) -> str:
        """The text that stands behind a block of code: its output in a block, and how many more blocks may be run.

        Args:
            text: output of the code.
            remaining: told to the model; None tells nothing.
        """
        inside = _harmless(text, self.end, self.begin)
        if inside and not inside.endswith("\n"):
            inside += "\n"
        block = f"\n{self.output_begin}\n{inside}{self.output_end}\n"
        return block if remaining is None else block + _notice(remaining)


FENCED = CodeTags(f"{_FENCE}python", _FENCE)
"""As chat models write code."""
TOOL_CALL = CodeTags("<tool_call>", "</tool_call>")
"""As OpenMathReasoning has it: a tag that many tokenizers know as one token."""
TAGS = {"fenced": FENCED, "tool_call": TOOL_CALL}


def without_block(text: str, code: str) -> str:
    """The text without the block that it ends with, if that holds this code."""
    found = filter(None, (tags.split_at_end(text) for tags in TAGS.values()))
    return next((before for before, inside in found if inside.strip() == code.strip()), text)


def _harmless(text: str, *tags: str) -> str:
    """The text without lines that would end the block or begin another."""
    marks = {_FENCE, *tags}
    return "\n".join(
        f" {line}" if any(line.lstrip().startswith(mark) for mark in marks) and not line.startswith(" ") else line
        for line in text.split("\n")
    )


def _notice(remaining: int) -> str:
    told = f"Code may be run {remaining} more times." if remaining else "No more code is run."
    return f"{_FENCE}system\n{told}\n{_FENCE}\n"
