"""Solutions that were drawn for a problem: their answers, their votes, and when enough of them are drawn."""

from omr_kedro.solutions.answer_classes import AnswerClass, answer_classes, equal_answers
from omr_kedro.solutions.loops import is_looping, least_new_share
from omr_kedro.solutions.pass_rate import pass_rate, pass_rate_of_first
from omr_kedro.solutions.stop_rule import Decision, StopReason, StopRule, decide
from omr_kedro.solutions.votes import Sample, Votes, count_votes, final_answer, read_sample

__all__ = [
    "AnswerClass",
    "Decision",
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
    "least_new_share",
    "pass_rate",
    "pass_rate_of_first",
    "read_sample",
]
