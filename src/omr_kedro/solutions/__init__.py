"""Solutions of a problem: their answers and votes, when enough are drawn, and which are right."""

from omr_kedro.solutions.answer_classes import AnswerClass, answer_classes, equal_answers
from omr_kedro.solutions.judging import (
    Correctness,
    Judgement,
    Rung,
    judge_by_opinions,
    judge_without_model,
    opinion,
    questions,
)
from omr_kedro.solutions.loops import is_looping, least_new_share
from omr_kedro.solutions.modes import Mode
from omr_kedro.solutions.pass_rate import pass_rate, pass_rate_of_first
from omr_kedro.solutions.stop_rule import Decision, StopReason, StopRule, decide
from omr_kedro.solutions.votes import Sample, Votes, count_votes, final_answer, read_sample

__all__ = [
    "AnswerClass",
    "Correctness",
    "Decision",
    "Judgement",
    "Mode",
    "Rung",
    "Sample",
    "StopReason",
    "StopRule",
    "Votes",
    "answer_classes",
    "count_votes",
    "decide",
    "equal_answers",
    "final_answer",
    "is_looping",
    "judge_by_opinions",
    "judge_without_model",
    "least_new_share",
    "opinion",
    "pass_rate",
    "pass_rate_of_first",
    "questions",
    "read_sample",
]
