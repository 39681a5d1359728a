"""Words for the configs of the dataset, and its limits, which hold for every run."""

from __future__ import annotations

MEANINGS = {
    "cot": "solutions in words (chains of thought) with the right answer",
    "tir": "solutions with code that was run (tool-integrated reasoning) with the right answer",
    "genselect": "comparisons of several solutions that chose a right one",
    "problems": "all problems, each once, with the answer that counts",
    "additional_problems": "those of them without a published solution",
    "rejected": "samples that are no solution, each with its verdict and the reason; not for training",
    "sft_messages": "view: fine-tuning with TRL and others, `messages`",
    "sft_prompt_completion": "view: fine-tuning with TRL, `prompt` and `completion`",
    "sft_input_output": "view: fine-tuning as OpenMathReasoning's, `input` and `output`",
    "nemo_rl": "view: fine-tuning with NeMo-RL",
    "axolotl": "view: fine-tuning with axolotl",
    "verl_sft": "view: fine-tuning with verl",
    "verl_rl": "view: reinforcement with verl",
    "nemo_gym": "view: reinforcement with NeMo Gym",
    "genselect_rl": "view: reinforcement of comparisons, with the candidates that are right",
    "preferences": "view: pairs of a right and a wrong solution of one problem",
}
"""Meanings of the configs, in the order in which a card names them."""

LIMITS = (
    "Answers come from discussions, or from votes of samples where a discussion gives none (`answer_source`). A wrong "
    "answer that a discussion states and a sample confirms is not found.",
    "A verdict is about the final answer alone. The way to a right answer may be wrong.",
    "Undecided samples are neither right nor wrong; they stand among the rejected ones, never in a set for training.",
    "A pass rate is of the model that it names, with its sampling. Problems whose answer nobody knows have none.",
    "Decontamination finds problems that are equal, alike or share a passage with those of the benchmarks that it was "
    "given, and with no others.",
    "Statements are in the words of forum posts, as a model took them out; nobody has read all rows.",
)
BIASES = (
    "Problems are those that people asked on a forum: of competitions and schools more than of research or daily use.",
    "Problems without a short answer that can be checked are left out, and those that models could not solve have no "
    "solutions.",
    "Solutions are in the style of the models that wrote them, and longer where problems are harder.",
)
USES = (
    "Supervised training of models for mathematical reasoning.",
    "Training by reinforcement with answers that can be checked.",
    "Studies of verifiers, votes and rejected samples.",
)
