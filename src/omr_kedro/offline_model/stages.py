"""Prompts and the rules that answer them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from omr_kedro.llm.calls import Prompt, PromptError
from omr_kedro.offline_model.nearest_example import nearest_reply
from omr_kedro.offline_model.replies import Reply
from omr_kedro.offline_model.requests import Call
from omr_kedro.offline_model.rules_answers import extract_answer
from omr_kedro.offline_model.rules_classify import is_binary, is_invalid, is_mcq, is_proof
from omr_kedro.offline_model.rules_convert import convert
from omr_kedro.offline_model.rules_extract import extract
from omr_kedro.offline_model.rules_judge import same_answer, same_problem
from omr_kedro.offline_model.rules_select import select, summarise_selection
from omr_kedro.offline_model.rules_solve import solve
from omr_kedro.offline_model.rules_solve_tir import solve_tir
from omr_kedro.offline_model.rules_summarise import summarise
from omr_kedro.offline_model.rules_usefulness import NOVELTY, SIGNIFICANCE, novelty, significance
from omr_kedro.offline_model.talk import Talk, talk_of


@dataclass(frozen=True, slots=True)
class Stage:
    """A rule, the fields of the prompt that it reads, and the labels it chooses from, if any."""

    fields: tuple[str, ...]
    rule: Callable[..., str | Reply]
    labels: tuple[str, ...] = ()
    sampled: bool = False
    """Whether the rule takes the seed too, after the fields."""
    converses: bool = False
    """Whether it goes on with a conversation, which it takes last (`Talk`)."""

    def check(self, prompt: Prompt) -> None:
        """See that the prompt and the rule speak of the same things.

        Raises:
            PromptError: the prompt lacks a field or offers other labels.
        """
        if missing := [name for name in self.fields if name not in prompt.fields]:
            raise PromptError(f"prompt '{prompt.name}': the rule needs the fields {missing}")
        if set(prompt.choices) != set(self.labels):
            raise PromptError(
                f"prompt '{prompt.name}': 'choices' are {list(prompt.choices)}, the rule knows {list(self.labels)}"
            )

    def reply(self, values: Mapping[str, str], seed: int, talk: Talk) -> Reply:
        """Apply the rule to the values of a row, and to what was said about it."""
        more = [*([seed] if self.sampled else []), *([talk] if self.converses else [])]
        given = self.rule(*(values[name] for name in self.fields), *more)
        return given if isinstance(given, Reply) else Reply(given)


def _label(holds: Callable[..., bool], yes: str, no: str, *fields: str) -> Stage:
    return Stage(fields, lambda *values: yes if holds(*values) else no, (yes, no))


STAGES: Mapping[str, Stage] = {
    "extract_problems": Stage(("forum_post",), extract),
    "classify_proof": _label(is_proof, "proof", "not proof", "problem"),
    "classify_mcq": _label(is_mcq, "mcq", "not mcq", "problem"),
    "classify_binary": _label(is_binary, "binary", "not binary", "problem"),
    "classify_invalid": _label(is_invalid, "invalid", "not invalid", "problem"),
    "extract_answers": Stage(("problem", "forum_post", "forum_discussions"), extract_answer),
    "convert_proofs": Stage(("problem",), convert),
    "judge_contamination": _label(same_problem, "True", "False", "problem", "benchmark_problem"),
    "solve_cot": Stage(("problem",), solve, sampled=True),
    "solve_tir": Stage(("problem",), solve_tir, sampled=True, converses=True),
    "solve_tir_tools": Stage(("problem",), solve_tir, sampled=True, converses=True),
    "judge_answer": _label(same_answer, "same", "different", "answer_a", "answer_b"),
    "summarise_solution": Stage(("problem", "solution"), summarise, sampled=True),
    "select_solution": Stage(("problem", "candidates"), select, sampled=True),
    "summarise_selection": Stage(("problem", "candidates", "comparison"), summarise_selection, sampled=True),
    "judge_novelty": Stage(("problem", "fragment"), novelty, NOVELTY, sampled=True),
    "judge_significance": Stage(("problem", "fragment"), significance, SIGNIFICANCE, sampled=True),
}
"""By the name of the prompt's file."""


def load_prompts(folder: Path) -> tuple[Prompt, ...]:
    """All prompts of a folder, checked against the rules.

    A prompt without a rule is known all the same: where it has choices, the worked examples answer it.

    Raises:
        PromptError: the folder holds no prompt, or one that cannot be used.
    """
    prompts = tuple(_load(path) for path in sorted(folder.glob("*.yml")))
    if not prompts:
        raise PromptError(f"no prompt (*.yml) in '{folder}'")
    for prompt in prompts:
        if prompt.name in STAGES:
            STAGES[prompt.name].check(prompt)
    return prompts


def answer(call: Call, prompts: Sequence[Prompt], seed: int) -> Reply:
    """The reply to messages that were rendered from one of the prompts; for others, what this server is."""
    opening, talk = talk_of(call)
    for prompt in prompts:
        values = prompt.match(opening)
        if values is not None and (not talk.turns or _converses(prompt)):
            return _reply(prompt, values, seed, talk)
    known = ", ".join(prompt.name for prompt in prompts)
    return Reply(f"I am a set of rules, not a language model, and know only these prompts: {known}.")


def _converses(prompt: Prompt) -> bool:
    return prompt.name in STAGES and STAGES[prompt.name].converses


def _reply(prompt: Prompt, values: Mapping[str, str], seed: int, talk: Talk) -> Reply:
    if rule := STAGES.get(prompt.name):
        return rule.reply(values, seed, talk)
    return Reply(nearest_reply(prompt, values) if prompt.choices and prompt.examples else _no_rule(prompt))


def _no_rule(prompt: Prompt) -> str:
    return f"I am a set of rules, not a language model, and have none for the prompt '{prompt.name}'."


def _load(path: Path) -> Prompt:
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PromptError(f"prompt '{path}' cannot be read: {error}") from None
    return Prompt.from_mapping(path.stem, content)
